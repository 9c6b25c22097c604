"""A table of rows that draws only what is seen, so that ten thousand epochs cost what ten do."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from xray_tui.tui.panes.bare import Bare
from xray_tui.tui.panes.still import Still
from xray_tui.tui.text import fit, set_in

_DRAWN_ROWS = 500
_HEAD = -1
"""In place of a row's index."""
_GAP = 1
_SORT_MARKS = ("▴", "▾")


class Column(NamedTuple):
    title: str
    width: int
    """In cells; of a flexible column the least."""
    right: bool = False
    rank: int = 0
    """Where it is narrow the highest rank goes first; rank 0 stays."""
    flexible: bool = False
    """Takes what is left over."""


Cell = Text | Callable[[int], Text]
"""What stands in a cell; a function is given all cells from there to the end of the row to fill."""
Row = Sequence[Cell]


class RowList(ScrollView, Still, Bare, can_focus=True, inherit_bindings=False):
    """Rows under a fixed head, with a cursor that keys and mouse move."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown", "page(1)", "page down", show=False),
        Binding("home,g", "end(0)", "first", show=False),
        Binding("end,G", "end(1)", "last", show=False),
        Binding("enter", "choose", "open", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "rows--head",
        "rows--sorted",
        "rows--cursor",
        "rows--cursor-focused",
    }

    class Moved(Message):
        """The person has moved the cursor."""

        def __init__(self, rows: "RowList", index: int) -> None:
            super().__init__()
            self.rows = rows
            self.index = index

        @property
        def control(self) -> "RowList":
            return self.rows

    class Chosen(Moved):
        """The person has opened the row under the cursor."""

    class HeadClicked(Message):
        """The person has clicked on a column's head: the owner sorts, and says so by ``show_sort``."""

        def __init__(self, rows: "RowList", column: int) -> None:
            super().__init__()
            self.rows = rows
            self.column = column
            """Its place among all columns."""

        @property
        def control(self) -> "RowList":
            return self.rows

    def __init__(self, columns: Sequence[Column], **named: Any) -> None:
        super().__init__(**named)
        self._columns = list(columns)
        self._hidden: set[int] = set()
        self._row: Callable[[int], Row] = lambda _: ()
        self.count = 0
        self._selectable = 0
        self._in_sight: int | None = None
        self._sorted: tuple[int, str] | None = None
        self._fitted: tuple[int, list[tuple[int, Column]]] = (-1, [])
        self.cursor: int | None = None
        self._canvas: tuple[int, Style] | None = None
        """Width and style of the lines."""
        self._drawn: dict[tuple[int, int, Style], Strip] = {}
        """Rows as they were drawn, by index, width and style: most are painted again as they are."""

    def show_rows(
        self,
        count: int,
        row: Callable[[int], Row],
        *,
        cursor: int | None,
        follow: int | None = None,
        selectable: int | None = None,
        fresh: Iterable[int] | None = None,
    ) -> None:
        """Show ``count`` rows, each built by ``row`` when it comes into sight.

        Args:
            cursor: the row to mark, or ``None`` for none.
            follow: the row to keep in sight where none is marked.
            selectable: rows that the cursor can stand on, the first ones; all by default.
            fresh: the rows that show something else than they did; all by default.
        """
        changed = None if fresh is None or count < self.count else {*fresh, self.cursor, cursor}
        moved = cursor != self.cursor or count != self.count
        self.count, self._row, self.cursor = count, row, cursor
        self._selectable = count if selectable is None else selectable
        self._take_size(Size(1, count + 1))
        self._in_sight = cursor if cursor is not None else follow
        if moved:  # else the person may have scrolled away, and stays there
            self._reveal()
        if changed is None:
            self.redraw()
        else:
            for index in changed:
                if index is not None:
                    self.refresh_row(index)

    def _take_size(self, size: Size) -> None:
        """As ``virtual_size``, but the whole screen is laid out anew only where the scrollbar comes or goes:
        that takes longer than all else that another number of rows does."""
        if size != self.virtual_size:
            self.set_reactive(RowList.virtual_size, size)
            self._scroll_update(size)

    def redraw(self) -> None:
        """Draw all rows again: what they show has changed, or its colours."""
        self._drawn.clear()
        self.refresh()

    def refresh_row(self, index: int) -> None:
        """Draw one row again: only what it shows has changed."""
        self._drawn = {key: strip for key, strip in self._drawn.items() if key[0] != index}
        self._paint_row(index)

    def _paint_row(self, index: int) -> None:
        y = 1 + index - self.scroll_offset.y if index != _HEAD else 0
        if index == _HEAD or 1 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def show_sort(self, column: int | None, *, descending: bool = False) -> None:
        """Mark the column, by its place among all, that the owner has sorted by; ``None`` marks none."""
        self._sorted = None if column is None else (column, "▾" if descending else "▴")
        self.refresh_row(_HEAD)

    def next_column(self, column: int | None) -> int | None:
        """The column with a title that is seen after this one, the first one after the last."""
        seen = [place for place, shown in self.visible_columns if shown.title]
        later = [place for place in seen if column is None or place > column]
        return next(iter(later or seen), None)

    @property
    def visible_columns(self) -> list[tuple[int, Column]]:
        """The columns that fit, with their place in a row, and flexible ones widened."""
        width = self.scrollable_content_region.width
        if self._fitted[0] != width:
            self._fitted = width, self._fit_columns(width)
        return self._fitted[1]

    def width_of(self, place: int) -> int:
        """Cells of a column that is seen; 0 where it is not."""
        return next((column.width for at, column in self.visible_columns if at == place), 0)

    def hide(self, place: int, hidden: bool) -> None:
        """Leave a column out, or have it again."""
        if (place in self._hidden) != hidden:
            self._hidden ^= {place}
            self.refit()

    def refit(self) -> None:
        """Give the columns their room anew."""
        self._fitted = -1, []
        self.redraw()

    def _fit_columns(self, width: int) -> list[tuple[int, Column]]:
        shown = [(place, column) for place, column in enumerate(self._columns) if place not in self._hidden]

        def needed() -> int:
            return sum(column.width + _GAP for _, column in shown) - _GAP

        while needed() > width and any(column.rank for _, column in shown):
            shown.remove(max(shown, key=lambda pair: pair[1].rank))
        spare = width - needed()
        flexible = [place for place, column in shown if column.flexible]
        if flexible and spare > 0:
            share, extra = divmod(spare, len(flexible))
            shown = [
                (place, column._replace(width=column.width + share + (extra if place == flexible[0] else 0)))
                if column.flexible
                else (place, column)
                for place, column in shown
            ]
        return shown

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._drawn.clear()

    def watch_has_focus(self, _has_focus: bool) -> None:
        if self.cursor is not None:  # its row has another ground then
            self._paint_row(self.cursor)

    def render_lines(self, crop: Region) -> list[Strip]:
        self._canvas = None
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        if self._canvas is None:  # asked for once for all lines that are drawn together: both are slow
            self._canvas = self.scrollable_content_region.width, self.rich_style
        width, base = self._canvas
        index = y - 1 + self.scroll_offset.y if y else _HEAD
        if index >= self.count:
            return Strip.blank(width, base)
        base += self._own_style(index)
        key = index, width, base
        if key not in self._drawn:
            if len(self._drawn) >= _DRAWN_ROWS:
                self._drawn.clear()
            drawn = self._head(width, base) if index == _HEAD else self._strip(self._row(index), width, base)
            self._drawn[key] = drawn
        return self._drawn[key]

    def _own_style(self, index: int) -> Style:
        if index == _HEAD:
            return self.get_component_rich_style("rows--head")
        if index == self.cursor:
            return self.get_component_rich_style("rows--cursor-focused" if self.has_focus else "rows--cursor")
        return Style.null()

    def _head(self, width: int, base: Style) -> Strip:
        """The titles; the mark of the sorted one stands right behind it, in the gap where that is full."""
        line = Text(end="", no_wrap=True)
        marked = base + self.get_component_rich_style("rows--sorted")
        for place, column in self.visible_columns:
            if line.cell_len:
                line.append(" " * (_GAP - (1 if line.plain.endswith(_SORT_MARKS) else 0)))
            if self._sorted is None or self._sorted[0] != place:
                line.append_text(fit(Text(column.title), column.width, right=column.right))
                continue
            title, mark = Text(column.title, marked), self._sorted[1]
            title.truncate(column.width)
            if column.right and line.cell_len + column.width < width:
                line.append_text(fit(title, column.width, right=True)).append(mark, marked)
            else:
                title.append(mark)
                line.append_text(fit(title, max(column.width, title.cell_len), right=column.right))
        return Strip(set_in(line, base, self.app.console)).adjust_cell_length(width, base)

    def _strip(self, cells: Row, width: int, base: Style) -> Strip:
        console = self.app.console
        segments: list[Segment] = []
        end = start = 0  # of the words before, and of the column
        for place, column in self.visible_columns:
            if place >= len(cells) or start >= width:
                break
            cell, room, right = cells[place], column.width, column.right
            if not isinstance(cell, Text):
                room, right = width - start, False
                cell = cell(room)
            if cell.cell_len > room:
                cell = fit(cell, room)
            at = start + (room - cell.cell_len if right else 0)
            segments += [Segment(" " * (at - end), base), *set_in(cell, base, console)]
            end = at + cell.cell_len
            start += room + _GAP
        return Strip([segment for segment in segments if segment.text]).adjust_cell_length(width, base)

    def _reveal(self) -> None:
        """Scroll so that the row to be kept in sight is."""
        height, index = self.scrollable_content_region.height - 1, self._in_sight
        if height <= 0 or index is None:
            return
        top = round(self.scroll_y)  # where it was to scroll to may be no place of it any more
        if index < top:
            self.scroll_to(y=index, animate=False)
        elif index >= top + height:
            self.scroll_to(y=index - height + 1, animate=False)

    def on_resize(self) -> None:
        self._reveal()

    def action_move(self, step: int) -> None:
        if self.count:
            at = self.cursor if self.cursor is not None else (self._selectable if step < 0 else -1)
            self._move_to(at + step)

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.scrollable_content_region.height - 2))

    def action_end(self, last: int) -> None:
        if self.count:
            self._move_to(self.count - 1 if last else 0)

    def action_choose(self) -> None:
        if self.cursor is not None and self.cursor < self.count:
            self.post_message(self.Chosen(self, self.cursor))

    def _move_to(self, index: int) -> None:
        """Mark a row; onto one that the cursor cannot stand on, the mark goes away."""
        index = min(self.count - 1, max(0, index))
        was, self.cursor = self.cursor, index if index < self._selectable else None
        self._in_sight = index
        self._reveal()
        for row in (was, self.cursor):
            if row is not None:
                self._paint_row(row)
        self.post_message(self.Moved(self, index))

    def on_click(self, event: events.Click) -> None:
        x, y = event.get_content_offset_capture(self)
        index = y - 1 + self.scroll_offset.y
        if y == 0:
            self._head_clicked(x)
        elif y >= 1 and 0 <= index < self.count:
            self._move_to(index)
            if event.chain == 2:
                self.action_choose()

    def _head_clicked(self, x: int) -> None:
        """A gap belongs to the column before it, like the mark that may stand in it."""
        end = 0
        for place, column in self.visible_columns:
            end += column.width + _GAP
            if x < end:
                if column.title:
                    self.post_message(self.HeadClicked(self, place))
                return

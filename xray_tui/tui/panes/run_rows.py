"""Runs as a table."""

import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.message import Message
from textual.strip import Strip

from xray_tui.runs.index import Summary
from xray_tui.tui.panes.rows import Column, Row, RowList
from xray_tui.tui.run_colours import run_colour
from xray_tui.tui.text import clean, set_in
from xray_tui.tui.themes import Palette
from xray_tui.words import ABSENT, duration, harmless, number, percent

_MARK_CELLS = 2
LIVE = ("running", "paused", "handover")


class Sorting(NamedTuple):
    key: Callable[[Summary], Any]
    """What a column is sorted by; ``None`` comes last either way."""
    falling: bool = False
    """Whether the highest is what a person looks for first."""


COLUMNS = (
    Column("", _MARK_CELLS),
    Column("started", 12, rank=4),
    Column("name", 13, flexible=True),
    Column("backbone", 18, rank=5),
    Column("status", 11, rank=1),
    Column("stage", 8, rank=8),
    Column("epochs", 6, right=True, rank=9),
    Column("acc", 8, right=True),
    Column("AUC", 5, right=True, rank=2),
    Column("loss", 5, right=True, rank=6),
    Column("took", 8, right=True, rank=7),
    Column("note", 14, rank=10, flexible=True),
)
_NAME, _BACKBONE, _NOTE = 2, 3, 11
_MOST_NAME_CELLS = 34
SORTINGS: Mapping[str, Sorting] = {
    "started": Sorting(lambda run: run.started, falling=True),
    "name": Sorting(lambda run: run.name.casefold()),
    "backbone": Sorting(lambda run: run.backbone or None),
    "status": Sorting(lambda run: run.status),
    "stage": Sorting(lambda run: run.stage, falling=True),
    "epochs": Sorting(lambda run: run.epochs, falling=True),
    "acc": Sorting(lambda run: run.accuracy, falling=True),
    "AUC": Sorting(lambda run: run.auc, falling=True),
    "loss": Sorting(lambda run: run.loss),
    "took": Sorting(lambda run: run.seconds, falling=True),
    "note": Sorting(lambda run: run.note.casefold() or None),
}


@dataclass(frozen=True)
class Order:
    """By which column runs are sorted, and whether the highest comes first."""

    title: str = "started"
    falling: bool = True

    @classmethod
    def by(cls, column: int) -> "Order":
        """The usual order by the column of that place."""
        title = COLUMNS[column].title
        return cls(title, SORTINGS[title].falling)

    @property
    def column(self) -> int:
        return next(place for place, column in enumerate(COLUMNS) if column.title == self.title)

    def apply(self, runs: Sequence[Summary]) -> list[Summary]:
        """The runs sorted: live ones on top, runs that have no such value at the bottom."""
        key = SORTINGS[self.title].key
        known = [run for run in runs if key(run) is not None]
        unknown = [run for run in runs if key(run) is None]
        known.sort(key=key, reverse=self.falling)
        both = known + unknown
        return [run for run in both if run.status in LIVE] + [run for run in both if run.status not in LIVE]


class RunRows(RowList):
    """The runs; a click on a run's dot selects it. Where none matches it says so."""

    class Dotted(Message):
        """The dot of a row was clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, **named: Any) -> None:
        super().__init__(COLUMNS, **named)
        self._names: Set[str] = frozenset()

    def tell_apart(self, names: Set[str]) -> None:
        """See to it that these names do not look the same where the backbone's room is enough for that."""
        if names != self._names:
            self._names = names
            self.refit()

    def has_room_for(self, name: str) -> bool:
        """Whether a run's name is seen whole."""
        return cell_len(harmless(name)) <= self.width_of(_NAME)

    def hide_notes(self, hidden: bool) -> None:
        """Where no run has a note, names have its room."""
        self.hide(_NOTE, hidden)

    def _fit_columns(self, width: int) -> list[tuple[int, Column]]:
        """The backbone gives way to names; what no name needs goes to the note, where that is seen."""
        shown = dict(super()._fit_columns(width))
        if _BACKBONE in shown and self._look_alike(shown[_NAME].width):
            self._hidden.add(_BACKBONE)
            shown = dict(super()._fit_columns(width))
            self._hidden.discard(_BACKBONE)
        spare = shown[_NAME].width - _MOST_NAME_CELLS
        if _NOTE in shown and spare > 0:
            for place, more in ((_NAME, -spare), (_NOTE, spare)):
                shown[place] = shown[place]._replace(width=shown[place].width + more)
        return list(shown.items())

    def _look_alike(self, cells: int) -> bool:
        """Whether some names are the same once they are cut."""
        cut = {name if len(name) <= cells else name[: cells - 1] for name in self._names}
        return len(cut) < len(self._names)

    def render_line(self, y: int) -> Strip:
        if self.count or y != 2:
            return super().render_line(y)
        words = Text("No run matches: esc shows all again.", Palette.of(self.app).muted)
        width, style = self.scrollable_content_region.width, self.rich_style
        return Strip(set_in(words, style, self.app.console)).adjust_cell_length(width, style)

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset_capture(self)
        index = at.y - 1 + self.scroll_offset.y
        if at.y >= 1 and at.x < _MARK_CELLS and 0 <= index < self.count:
            self.post_message(self.Dotted(index))


def started_in_words(run: Summary, newest: float | None) -> str:
    """When a run started; the year only where it is not that of the newest start."""
    if run.started is None:
        return ABSENT
    then = time.localtime(run.started)
    same = newest is not None and then.tm_year == time.localtime(newest).tm_year
    return time.strftime("%d %b %H:%M" if same else "%d %b %Y", then)


def run_row(
    run: Summary,
    newest: float | None,
    palette: Palette,
    *,
    selected: str | None = None,
    on_desk: bool = False,
) -> Row:
    """One run's cells.

    Args:
        newest: when the newest run of the list started.
        selected: the colour of a selected run.
        on_desk: whether the other tabs show this run.
    """
    live = run.status in LIVE
    colours = dict.fromkeys(("done", "pruned"), palette.muted)
    colours |= dict.fromkeys(("failed", "unreadable"), palette.error)
    status = palette.primary if live else colours.get(run.status, palette.warning)
    mark = Text("▸" if on_desk else " ", palette.primary)
    mark.append("●" if selected else "○", selected or run_colour(run.directory.name, palette))
    own_name = run.name != run.directory.name
    return (
        mark,
        Text(started_in_words(run, newest), palette.muted),
        clean(run.name, f"bold {palette.text}" if live else palette.text if own_name else palette.muted),
        clean(run.backbone, palette.muted),
        Text(run.status, f"bold {status}" if live else status),
        Text(run.stage or ABSENT, palette.stage(run.stage)),
        Text(str(run.epochs), palette.text),
        Text(percent(run.accuracy) + run.mark, f"bold {palette.text}"),
        Text(number(run.auc), palette.text),
        Text(number(run.loss), palette.muted),
        Text(duration(run.seconds), palette.muted),
        clean(run.note, palette.muted),
    )

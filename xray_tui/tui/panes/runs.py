"""The runs as a list to filter, sort and select from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from xray_tui.errors import UserError
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.filters import Filter, parse
from xray_tui.runs.index import Summary
from xray_tui.tui.panes.clear import Clear
from xray_tui.tui.panes.filter_line import FilterLine
from xray_tui.tui.panes.rows import Row, RowList
from xray_tui.tui.panes.run_rows import Order, RunRows, run_row
from xray_tui.tui.run_colours import run_colours
from xray_tui.tui.themes import Palette
from xray_tui.words import SELECTED_ON_TEST, count

_EXAMPLES = (
    "acc>=0.88",
    "cfg.backbone:resnet",
    'name:"night run"',
    "stage:unfrozen",
    "has:note",
    "!failed",
)


class RunsPane(Vertical, Clear):
    """Keeps the cursor on its run and the selection on its runs, whatever comes, goes or is sorted."""

    class Opened(Message):
        """The person wants to see a run."""

        def __init__(self, directory: RunDirectory) -> None:
            super().__init__()
            self.directory = directory

    class Moved(Message):
        """The cursor is on another run, or the selection is another one."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.runs: Sequence[Summary] = ()
        """All, newest first."""
        self.shown: Sequence[Summary] = ()
        """Those that match the filter, as they are sorted."""
        self.on_desk: Path | None = None
        """The run that the other tabs show."""
        self._more = False
        self._filter: Filter | None = None
        self._order = Order()
        self._selected: list[Path] = []
        self._chosen: Path | None = None
        """The run that the person put the cursor on, or found it on, in sight or not."""

    def compose(self) -> ComposeResult:
        yield FilterLine(_EXAMPLES, self._leave_filter, id="run-filter")
        yield RunRows(id="runs")

    @property
    def under_cursor(self) -> Summary | None:
        cursor = self.query_one(RunRows).cursor
        return self.shown[cursor] if cursor is not None and cursor < len(self.shown) else None

    @property
    def name_is_cut(self) -> bool:
        """Whether the name of the run under the cursor is not seen whole."""
        run = self.under_cursor
        return run is not None and not self.query_one(RunRows).has_room_for(run.name)

    @property
    def selected(self) -> list[Summary]:
        """In the order in which they were selected, filtered away or not."""
        runs = {run.directory.path: run for run in self.runs}
        return [runs[path] for path in self._selected]

    def show(self, runs: Sequence[Summary], *, more: bool = False) -> None:
        """Show these runs, which may be the same as before, or others.

        Args:
            more: whether others are still being read.
        """
        self._more = more
        known = {run.directory.path for run in runs}
        self.runs, self._selected = runs, [path for path in self._selected if path in known]
        self.lay_out()

    def lay_out(self) -> None:
        """Filter, sort and show the runs; the cursor stays on its run."""
        if not self.children:  # a screen that closes has lost its widgets before a reading is told to end
            return
        rows, palette = self.query_one(RunRows), Palette.of(self.app)
        matches = self._filter.matches if self._filter else lambda _: True
        self.shown = self._order.apply([run for run in self.runs if matches(run)])
        places = {run.directory.path: place for place, run in enumerate(self.shown)}
        newest = max((run.started for run in self.runs if run.started is not None), default=None)
        colours = run_colours((path.name for path in self._selected), palette)

        def row(index: int) -> Row:
            run = self.shown[index]
            path = run.directory.path
            selected = colours[path.name] if path in self._selected else None
            return run_row(run, newest, palette, selected=selected, on_desk=path.absolute() == self.on_desk)

        cursor = places.get(self._chosen, 0) if self._chosen else 0
        rows.hide_notes(not any(run.note for run in self.runs))
        rows.tell_apart({run.name for run in self.runs})
        rows.show_rows(len(places), row, cursor=cursor if places else None)
        rows.show_sort(self._order.column, descending=self._order.falling)
        self.query_one(FilterLine).show_count(self._counts(palette))
        if rows.has_focus:
            self._keep_to()
        self.post_message(self.Moved())

    def on_descendant_focus(self) -> None:
        self._keep_to()

    def _keep_to(self) -> None:
        """Who looks at the list means the run that the cursor is on, also when a newer one comes."""
        if self._chosen is None and self.under_cursor is not None:
            self._chosen = self.under_cursor.directory.path

    def _counts(self, palette: Palette) -> Text:
        found, total = count(len(self.shown)), count(len(self.runs))
        words = f"{found} of {total}" if self._filter else "1 run" if total == "1" else f"{total} runs"
        counts = Text(f"  {words}{', reading more …' if self._more else ''}", palette.muted)
        if self._selected:
            counts.append(f"  ● {len(self._selected)} selected", palette.primary)
        if any(run.mark for run in self.shown):
            counts.append(f"  * {SELECTED_ON_TEST}", palette.muted)
        return counts

    def on_resize(self) -> None:
        """Other names may be cut."""
        self.post_message(self.Moved())

    def take_focus(self) -> None:
        self.query_one(RunRows).focus()

    def filter(self) -> None:
        """Let the person write a filter."""
        self.query_one(FilterLine).edit()

    def sort_by_next(self) -> None:
        column = self.query_one(RunRows).next_column(self._order.column)
        if column is not None:
            self._sort(Order.by(column))

    def reverse(self) -> None:
        self._sort(replace(self._order, falling=not self._order.falling))

    def _sort(self, order: Order) -> None:
        self._order = order
        self.lay_out()

    def toggle(self) -> None:
        """Select the run under the cursor, or no longer."""
        if self.under_cursor is not None:
            self._toggle(self.under_cursor.directory.path)

    def _toggle(self, path: Path) -> None:
        if path in self._selected:
            self._selected.remove(path)
        else:
            self._selected.append(path)
        self.lay_out()

    def step_off(self, directory: RunDirectory) -> None:
        """That run is about to go: the cursor moves to the one below, or above where there is none."""
        paths = [run.directory.path for run in self.shown]
        if directory.path in paths:
            at = paths.index(directory.path)
            self._chosen = next(iter([*paths[at + 1 :], *reversed(paths[:at])]), None)

    def back(self) -> bool:
        """Take the filter away, then the selection. Whether there was one to take away."""
        if self.query_one(FilterLine).words:
            self.query_one(FilterLine).clear()
            self._apply("")
        elif self._selected:
            self._selected.clear()
            self.lay_out()
        else:
            return False
        return True

    @on(RowList.Chosen, "#runs")
    def _opened(self, event: RowList.Chosen) -> None:
        event.stop()
        self.post_message(self.Opened(self.shown[event.index].directory))

    @on(RowList.Moved, "#runs")
    def _moved(self, event: RowList.Moved) -> None:
        event.stop()
        self._chosen = self.shown[event.index].directory.path
        self.post_message(self.Moved())

    @on(RunRows.Dotted)
    def _dotted(self, event: RunRows.Dotted) -> None:
        event.stop()
        self._toggle(self.shown[event.index].directory.path)

    @on(RowList.HeadClicked, "#runs")
    def _head_clicked(self, event: RowList.HeadClicked) -> None:
        """A second click on a head sorts the other way round."""
        event.stop()
        if event.column == self._order.column:
            self.reverse()
        else:
            self._sort(Order.by(event.column))

    @on(FilterLine.Edited)
    def _filter_edited(self, event: FilterLine.Edited) -> None:
        event.stop()
        self._apply(event.words)

    def _leave_filter(self) -> None:
        """The words count at once: the next key is for the list that they make."""
        self._apply(self.query_one(FilterLine).words)
        self.take_focus()

    def _apply(self, words: str) -> None:
        """Filter by these words; those that are no filter leave the last good list as it is."""
        line = self.query_one(FilterLine)
        try:
            self._filter = parse(words) if words else None
        except UserError as error:
            hint = " · ".join(error.hint.splitlines())
            line.complain(f"{error.message}: {hint}" if hint else error.message)
            return
        line.complain("")
        self.lay_out()

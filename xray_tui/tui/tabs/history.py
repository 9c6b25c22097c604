"""All runs of the runs folder."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import Static

from xray_tui.config import Settings
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.index import Summary
from xray_tui.tui.panes.rows import Column, Row, RowList
from xray_tui.tui.tabs.tab import Tab
from xray_tui.tui.text import clean
from xray_tui.tui.themes import Palette
from xray_tui.words import ABSENT, duration, number, percent

COLUMNS = (
    Column("started", 16),
    Column("name", 16, flexible=True, rank=2),
    Column("backbone", 18, rank=1),
    Column("status", 11),
    Column("stage", 8, rank=4),
    Column("epochs", 6, right=True, rank=5),
    Column("acc", 7, right=True),
    Column("AUC", 5, right=True, rank=3),
    Column("loss", 5, right=True, rank=6),
    Column("took", 8, right=True, rank=7),
)


class HistoryTab(Tab):
    """The runs as a table, newest first; enter opens one."""

    class Opened(Message):
        """The person wants to see a run."""

        def __init__(self, directory: RunDirectory) -> None:
            super().__init__()
            self.directory = directory

    class Again(Message):
        """The person wants a new run like that one, perhaps with changes."""

        def __init__(self, settings: Settings) -> None:
            super().__init__()
            self.settings = settings

    class Resume(Message):
        """The person wants an interrupted run to go on."""

        def __init__(self, directory: RunDirectory) -> None:
            super().__init__()
            self.directory = directory

    def __init__(self, find: Callable[[], Sequence[Summary]], folder: Path, **named: Any) -> None:
        super().__init__(**named)
        self._find = find
        self._folder = folder
        self._runs: Sequence[Summary] = ()

    def compose(self) -> ComposeResult:
        yield RowList(COLUMNS, id="runs")
        yield Static("Looking for runs …", id="no-runs")

    def on_mount(self) -> None:
        self.border_title = "history"
        self.query_one("#runs").display = False
        self.refresh_runs()

    def enter(self) -> None:
        self.refresh_runs()

    @work(exclusive=True, group="history")
    async def refresh_runs(self) -> None:
        """Read the runs folder again, off the UI thread."""
        self._show(await asyncio.to_thread(self._find))

    def _show(self, runs: Sequence[Summary]) -> None:
        rows = self.query_one("#runs", RowList)
        at = rows.cursor
        chosen = self._runs[at].name if at is not None and at < len(self._runs) else None
        self._runs = runs
        cursor = next((index for index, run in enumerate(runs) if run.name == chosen), 0)
        rows.display, self.query_one("#no-runs").display = bool(runs), not runs
        words = Text("No runs yet in ").append_text(clean(str(self._folder)))
        self.query_one("#no-runs", Static).update(words.append(": press 1, then s, to start the first one."))
        self.border_title = f"history ({len(runs)})" if runs else "history"
        rows.show_rows(len(runs), self._row, cursor=cursor if runs else None)
        if runs and self.display and self.screen.focused is None:
            rows.focus()

    def _row(self, index: int) -> Row:
        run, palette = self._runs[index], Palette.of(self.app)
        started = (
            ABSENT if run.started is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started))
        )
        colours = {"done": palette.success, "failed": palette.error, "running": palette.primary}
        return (
            Text(started[:16], palette.text),
            clean(run.name, palette.text),
            clean(run.backbone, palette.muted),
            Text(run.status, colours.get(run.status, palette.warning)),
            Text(run.stage or ABSENT, palette.stage(run.stage)),
            Text(str(run.epochs), palette.text),
            Text(percent(run.accuracy), f"bold {palette.text}"),
            Text(number(run.auc), palette.text),
            Text(number(run.loss), palette.muted),
            Text(duration(run.seconds), palette.muted),
        )

    @on(RowList.Chosen, "#runs")
    def _chosen(self, event: RowList.Chosen) -> None:
        event.stop()
        self.post_message(self.Opened(self._runs[event.index].directory))

    @on(RowList.Moved, "#runs")
    def _moved(self, event: RowList.Moved) -> None:
        event.stop()

"""All runs of the runs folder: a table to filter, sort and keep in order, and a comparison of some."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import Static

from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.index import Summary
from xray_tui.settings import Settings
from xray_tui.tui.keeping import Keeping, RunKeeper, tell_error
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.panes.charts import View
from xray_tui.tui.panes.clear import Clear
from xray_tui.tui.panes.comparison import MOST_RUNS, ComparisonPane
from xray_tui.tui.panes.frame import FramedContainer
from xray_tui.tui.panes.run_rows import LIVE
from xray_tui.tui.panes.runs import RunsPane
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.tabs.tab import Tab
from xray_tui.tui.text import clean
from xray_tui.tui.themes import Palette

_LOOK_SECONDS = 3.0
_OF_A_RUN = ("select", "note", "rename", "delete", "again", "resume")
_OF_THE_LIST = ("filter", "sort", "reverse", "compare", *_OF_A_RUN)
_OF_CURVES = ("log_axis", "smoother", "rougher", "raw")


class HistoryTab(Tab, Clear):
    """The runs as a table, live ones on top, else newest first; enter opens one, ``c`` compares some.

    Args:
        find: reads the runs folder, newest first; called in a thread.
        folder: the runs folder.
        keeping: notes, names, the trash, tables, comparisons.
    """

    HELP = """\
All runs of the runs folder, live ones on top. A run's dot has the run's own colour, here and in \
comparisons; ▸ marks the run that the other tabs show. Accuracy, AUC and loss are those of its best epoch.
Select runs with {select}, or by a click on the dot; then {compare} compares them: their curves over each \
other, their metrics with 95 % intervals, the settings that differ, and McNemar's test where they validated \
the same images. There {←} and {→} read the values off an epoch, {log_axis} turns the losses' axis \
logarithmic, {smoother} and {rougher} smooth the curves, {export} writes it all as Markdown.
The filter ({filter}) shows what matches while you type. Words are AND, | is OR, ! is NOT, and fields \
compare, as in acc>=0.88 cfg.backbone:resnet name:"night run" stage:unfrozen has:note.
A deleted run goes to the trash folder in the runs folder; nothing is erased."""

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

    def __init__(
        self, find: Callable[[], Sequence[Summary]], folder: Path, keeping: Keeping, **named: Any
    ) -> None:
        super().__init__(**named)
        self._find = find
        self._folder = folder
        self._keeping = keeping
        self._on_desk: Path | None = None
        self._resumable: dict[Path, bool] = {}
        self._stamp = 0
        self._comparing = False
        self._built = False

    def compose(self) -> ComposeResult:
        with FramedContainer(id="history-pane", classes="pane"):
            yield RunsPane(id="run-list")
            yield Static("Looking for runs …", id="no-runs")
            yield ComparisonPane(id="comparison")

    def on_mount(self) -> None:
        self._built = True
        self._list.on_desk = self._on_desk
        self._pane.inscribe("history")
        self._list.display = False
        self.set_interval(_LOOK_SECONDS, self._look_again)
        self.refresh_runs()

    @property
    def _pane(self) -> FramedContainer:
        return self.query_one("#history-pane", FramedContainer)

    @property
    def _list(self) -> RunsPane:
        return self.query_one(RunsPane)

    @property
    def _comparison(self) -> ComparisonPane:
        return self.query_one(ComparisonPane)

    @property
    def _keeper(self) -> RunKeeper:
        return RunKeeper(self.app, self._keeping, self._folder)

    # What is seen

    def enter(self) -> None:
        if self._built:
            self._take_focus()
            self.refresh_runs()

    def show(self, run: ShownRun | None) -> None:
        directory = run.source.directory if run is not None else None
        before, self._on_desk = self._on_desk, directory.path.absolute() if directory else None
        if self._built and before != self._on_desk:
            self._list.on_desk = self._on_desk
            self._list.lay_out()

    def restyle(self) -> None:
        if self._built:
            self._list.lay_out()
            self._comparison.redraw()

    def back(self) -> bool:
        if not self._comparing:
            return self._list.back()
        self.workers.cancel_group(self, "compare")
        self._comparing = False
        self._bring_forward()
        return True

    def runs_changed(self) -> None:
        self.refresh_runs()

    @work(exclusive=True, group="history")
    async def refresh_runs(self) -> None:
        """Read the runs folder again, off the UI thread; the first time the newest runs are seen at once."""
        nothing = Text("No runs yet in ").append_text(clean(str(self._folder)))
        nothing.append(KeyMap.of(self.app).fill(": press {train}, then {start}, to start the first one."))
        try:
            if not self._list.runs:
                newest = await asyncio.to_thread(self._keeping.newest, self._folder)
                if newest:
                    self._list.show(newest, more=True)
                    self._bring_forward()
            self._stamp, runs = await asyncio.to_thread(self._read)
        except UserError as error:  # a folder that cannot be looked into
            runs, nothing = [], clean(error.message)
        self._resumable.clear()
        self._list.show(runs)
        if not runs:
            self.query_one("#no-runs", Static).update(nothing)
        if not self._comparing:
            self._bring_forward()

    def _read(self) -> tuple[int, Sequence[Summary]]:
        stamp = self._folder_stamp()  # before the runs: one that comes in between changes it again
        return stamp, self._find()

    def _folder_stamp(self) -> int:
        """Another number whenever a run has come into the folder, or has gone."""
        try:
            return self._folder.stat().st_mtime_ns
        except OSError:  # there is no folder before there is a run
            return 0

    def _look_again(self) -> None:
        """While the tab is in front, what changes does so before one's eyes."""
        groups = ("history", "follow")
        reading = any(worker.group in groups and not worker.is_finished for worker in self.workers)
        if self.display and not reading:
            self._follow_live([run.directory for run in self._list.runs if run.status in LIVE])

    @work(exclusive=True, group="follow")
    async def _follow_live(self, live: Sequence[RunDirectory]) -> None:
        """Only the live runs are read again, all of them where a run has come or gone."""

        def look() -> tuple[int, Sequence[Summary]]:
            return self._folder_stamp(), [self._keeping.look(directory) for directory in live]

        stamp, looked_at = await asyncio.to_thread(look)
        if stamp != self._stamp:
            self.refresh_runs()
        elif looked_at:
            news = {run.directory: run for run in looked_at}
            self._list.show([news.get(run.directory, run) for run in self._list.runs])

    def _bring_forward(self) -> None:
        """The runs, or the comparison, or that there are no runs."""
        any_runs = bool(self._list.runs)
        self._list.display = any_runs and not self._comparing
        self.query_one("#no-runs").display = not any_runs and not self._comparing
        self._comparison.display = self._comparing
        many = len(self._list.selected)
        self._pane.inscribe(f"comparison of {many} runs" if self._comparing else "history")
        self._show_whole()
        self._take_focus()

    def _take_focus(self) -> None:
        """Keys are for what is seen, unless a person is typing there."""
        focused = self.screen.focused
        if not self.display or (
            focused is not None and all(one.display for one in focused.ancestors_with_self)
        ):
            return
        if self._comparing:
            self._comparison.focus()
        elif self._list.display:
            self._list.take_focus()

    @on(RunsPane.Moved)
    def _show_whole(self) -> None:
        """The whole name and note of the run under the cursor: their columns may have no room for them."""
        run = None if self._comparing else self._list.under_cursor
        words = [run.name if self._list.name_is_cut else "", run.note] if run is not None else []
        whole = " · ".join(filter(None, words))
        self._pane.inscribe(subtitle=clean(whole, Palette.of(self.app).muted) if whole else "")
        self.renew_keys()

    @on(RunsPane.Opened)
    def _opened(self, event: RunsPane.Opened) -> None:
        event.stop()
        self.post_message(self.Opened(event.directory))

    # Actions

    def why_not(self, action: str) -> str:
        if not self._built:
            return "The runs are being looked for."
        if self._comparing:
            if action in _OF_THE_LIST:
                return "esc goes back to the runs."
            waits = self._comparison.comparison is None and action in (*_OF_CURVES, "export")
            return "The runs are still being compared." if waits else ""
        if action in _OF_CURVES:
            return "Curves are in a comparison: select runs with space, then c."
        if action not in (*_OF_THE_LIST, "export"):
            return ""
        if not self._list.runs:
            return "No runs yet."
        if action == "compare":
            return self._why_not_compare(len(self._list.selected))
        if action == "export":
            return "" if self._list.shown or self._list.selected else "No run matches the filter."
        return self._why_not_of_a_run(action) if action in _OF_A_RUN else ""

    def _why_not_compare(self, selected: int) -> str:
        if selected < 2:
            return "Select two or more runs with space."
        return f"At most {MOST_RUNS} runs can be compared." if selected > MOST_RUNS else ""

    def _why_not_of_a_run(self, action: str) -> str:
        run = self._list.under_cursor
        if run is None:
            return "No run matches the filter."
        if action == "delete" and run.status in LIVE:
            return "The run is live: open it, and {stop} stops it."
        if action != "resume":
            return ""
        if run.status not in ("interrupted", "failed"):
            return f"The run is {run.status}: only one that was cut short can go on."
        path = run.directory.path
        if path not in self._resumable:
            self._resumable[path] = (run.directory.checkpoints / "last.safetensors").is_file()
        return "" if self._resumable[path] else "The run has no checkpoint to go on from."

    def do_filter(self) -> None:
        self._list.filter()

    def do_sort(self) -> None:
        self._list.sort_by_next()

    def do_reverse(self) -> None:
        self._list.reverse()

    def do_select(self) -> None:
        self._list.toggle()

    def do_compare(self) -> None:
        runs = self._list.selected
        self._comparing = True
        self._comparison.wait_for([run.name for run in runs])
        self._bring_forward()
        self._compare([run.directory for run in runs])

    @work(exclusive=True, group="compare")
    async def _compare(self, directories: Sequence[RunDirectory]) -> None:
        try:
            comparison = await asyncio.to_thread(self._keeping.compare, directories)
        except (UserError, OSError) as error:
            tell_error(self.app, error)
            self.back()
            return
        self._comparison.show(comparison)
        self.renew_keys()

    def do_log_axis(self) -> None:
        self._look(replace(self._comparison.view, log=not self._comparison.view.log))

    def do_smoother(self) -> None:
        self._look(self._comparison.view.smoother(1))

    def do_rougher(self) -> None:
        self._look(self._comparison.view.smoother(-1))

    def do_raw(self) -> None:
        self._look(replace(self._comparison.view, smoothing=0.0))

    def _look(self, view: View) -> None:
        self._comparison.look(view)

    def do_note(self) -> None:
        if self._list.under_cursor is not None:
            self._keep(self._keeper.note(self._list.under_cursor))

    def do_rename(self) -> None:
        if self._list.under_cursor is not None:
            self._keep(self._keeper.rename(self._list.under_cursor))

    def do_delete(self) -> None:
        if self._list.under_cursor is not None:
            self._keep(self._delete(self._list.under_cursor))

    async def _delete(self, run: Summary) -> None:
        if await self._keeper.delete(run):
            self._list.step_off(run.directory)

    def do_export(self) -> None:
        comparison = self._comparison.comparison
        if self._comparing and comparison is not None:
            self._keep(self._keeper.write(comparison))
        else:
            self._keep(self._keeper.export(self._list.selected or self._list.shown))

    def _keep(self, asking: Coroutine[Any, Any, None]) -> None:
        """Ask the person, do it, and read the runs again."""

        async def keep() -> None:
            await asking
            self.refresh_runs()

        self.run_worker(keep(), group="keep", exclusive=True)

    def do_resume(self) -> None:
        if self._list.under_cursor is not None:
            self.post_message(self.Resume(self._list.under_cursor.directory))

    def do_again(self) -> None:
        if self._list.under_cursor is not None:
            self._again(self._list.under_cursor.directory)

    @work(exclusive=True, group="again")
    async def _again(self, directory: RunDirectory) -> None:
        """The run's settings, but in this runs folder, and without that run's name."""
        here = {"run.runs_dir": str(self._folder), "run.name": ""}
        try:
            settings = await asyncio.to_thread(config.load, here, file=directory.config)
        except UserError as error:
            tell_error(self.app, error)
            return
        self.post_message(self.Again(settings))

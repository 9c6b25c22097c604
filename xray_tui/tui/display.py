"""The dashboard as it is seen: it owns the runs on the screen and paints what their events change."""

import asyncio
import socket
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.message import Message
from textual.widget import Widget

from xray_tui import config
from xray_tui.config import Origin
from xray_tui.events import CheckpointSaved, ControlUsed, Phase, Progress, Warning
from xray_tui.runs import state
from xray_tui.runs.advice import advice
from xray_tui.runs.directory import RunDirectory
from xray_tui.settings import Settings
from xray_tui.tui import remembered
from xray_tui.tui.actions import ACTIONS, STEERING
from xray_tui.tui.desk import Desk
from xray_tui.tui.hold import Hold
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.leaving import Exit
from xray_tui.tui.looks import Looks
from xray_tui.tui.panes.form import FormPane
from xray_tui.tui.panes.lines import HeaderLine, KeyLine, StatusLine, TabLine, TooSmall
from xray_tui.tui.panes.pages import Pages
from xray_tui.tui.parts import Parts
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.sources import LiveSource, Source
from xray_tui.tui.steering import Steering
from xray_tui.tui.tabs.tab import Tab
from xray_tui.tui.tensorboard import BoardKeeper
from xray_tui.tui.toasts import tell
from xray_tui.tui.values import NextRun
from xray_tui.tui.vitals import Vitals

if TYPE_CHECKING:
    from xray_tui.board.server import Board

_FRAME_SECONDS = 1.0  # training wants the processor more than a bar does; keys show at once
_VITALS_SECONDS = 2.0


class SourceStirred(Message):
    """A source has something more than progress, or has ended."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source


class Display(Looks):
    """The app without its actions.

    Args:
        settings: what the form opens with.
        origins: where those come from, by dotted path.
        start: start the run at once.
        source: a run to open on instead of the form.
        parts: what it is joined to.
        theme: the one to put on; else that of the last sitting.
        ascii_only: draw without unicode.
        keymap: the person's own keys.

    Raises:
        UserError: there is no such theme.
    """

    CSS_PATH = "xray.tcss"
    TAB_STYLES: ClassVar = ("train.tcss", "mistakes.tcss", "history.tcss", "data.tcss", "settings.tcss")
    """Of the tabs; read after the first frame where that is the form, which has no use for them."""
    TITLE = "xray-tui"
    AUTO_FOCUS = None

    def __init__(
        self,
        settings: Settings,
        *,
        origins: Mapping[str, Origin] = MappingProxyType({}),
        start: bool = False,
        source: Source | None = None,
        parts: Parts | None = None,
        theme: str = "",
        ascii_only: bool = False,
        keymap: KeyMap | None = None,
    ) -> None:
        self._form_open = source is None and not start
        styles = () if self._form_open else (self.CSS_PATH, *self.TAB_STYLES)
        super().__init__(styles=styles, theme=theme, ascii_only=ascii_only)
        self._settings, self._start_at_once = settings, start
        self.next_run = NextRun(settings, origins)
        self.keymap = keymap or KeyMap()
        self._parts = parts or Parts()
        self._vitals: Vitals | None = None
        self._tab = "train"
        self._hold = Hold()
        self._looking = False
        """Whether the machine is being looked at."""
        self._source = source
        makers = {
            "form": self._make_form,
            "train": self._make_train,
            "mistakes": self._make_mistakes,
            "history": self._make_history,
            "data": self._make_data,
            "settings": self._make_settings,
        }
        self._pages = Pages(makers, "form" if self._form_open else "train", id="content")
        self.desk = Desk(self._begin, self._parts.clock)
        self._board = BoardKeeper(self, self._make_board, self._show_lines)
        self._steering = Steering(self, self.desk, self._show_run)
        self._exit_ways = Exit(self, self.desk, self._show_run, self._board.close)

    def compose(self) -> ComposeResult:
        yield HeaderLine(id="header")
        yield TabLine([action for action in ACTIONS if action.group == "tabs"], id="tabs")
        yield self._pages
        yield StatusLine(id="status")
        yield TooSmall(id="too-small")

    def on_resize(self, event: events.Resize) -> None:
        columns, rows = TooSmall.LEAST
        too_small = event.size.width < columns or event.size.height < rows
        self.screen_stack[0].set_class(too_small, "-too-small")

    def on_mount(self) -> None:
        self.use_keys(self.keymap)
        self.set_interval(_FRAME_SECONDS, self._frame)
        self.set_interval(_VITALS_SECONDS, self._look_at_vitals)
        if self._source:
            self.desk.put(self._source)
        self._arrange()
        self.call_after_refresh(self._look_at_vitals)
        self.call_after_refresh(self._read_tab_styles)
        self._exit_ways.catch_signals()
        if self._start_at_once:
            self.call_after_refresh(self._start_run, self._settings)

    def _read_tab_styles(self) -> None:
        files = [Path(__file__).with_name(name) for name in self.TAB_STYLES]
        unread = [file for file in files if not self.stylesheet.has_source(str(file))]
        for file in unread:
            self.stylesheet.read(file)
        if unread:
            self.stylesheet.parse()  # else the next widget would get the styles of neither before nor after

    def use_keys(self, keymap: KeyMap) -> None:
        """From now on these keys do what they say."""
        self.keymap = keymap
        keymap.spelled = self.ascii_only
        self.set_keymap(keymap.whole if keymap.own else {})

    def _make_form(self) -> FormPane:
        return FormPane(self.next_run, self._parts.checks, self.desk.why_not_start, id="form-pane")

    def _refill_form(self) -> None:
        """Settings of the next run were changed elsewhere."""
        for form in self.query(FormPane):
            form.refill()

    # Each tab is imported when it is first opened: the first frame waits for one of them only.

    def _make_train(self) -> Tab:
        from xray_tui.tui.tabs.train import TrainTab

        return TrainTab(self._parts.picture, self._parts.read, self.why_not, id="train-tab")

    def _make_settings(self) -> Tab:
        from xray_tui.tui.tabs.settings import SettingsTab

        return SettingsTab(self.next_run, self._parts.checks, id="settings-tab")

    def _make_mistakes(self) -> Tab:
        from xray_tui.tui.tabs.mistakes import MistakesTab

        return MistakesTab(self._parts.picture, self._parts.read, self._parts.explain, id="mistakes-tab")

    def _make_history(self) -> Tab:
        from xray_tui.tui.keeping import Keeping
        from xray_tui.tui.tabs.history import HistoryTab

        folder = self._runs_folder
        return HistoryTab(
            lambda: list(self._parts.find_runs(folder)),
            folder,
            self._parts.keeping or Keeping(),
            id="history-tab",
        )

    def _make_data(self) -> Tab:
        from xray_tui.tui.tabs.data import DataTab

        def settings() -> Settings:
            return config.load({path: self.next_run.value(path) for path in self.next_run.paths})

        parts = self._parts
        return DataTab(
            parts.picture, parts.read, settings, lambda: self.desk.steered is not None, id="data-tab"
        )

    @property
    def _runs_folder(self) -> Path:
        return Path(str(self.next_run.value("run.runs_dir"))).expanduser()

    def _make_board(self) -> "Board":
        return self._parts.make_board(self._runs_folder, remembered.state_folder() / "tensorboard.log")

    # The run on the screen

    @property
    def shown(self) -> ShownRun | None:
        return self.desk.shown

    def _begin(self, source: Source) -> None:
        source.begin(lambda: self.post_message(SourceStirred(source)))

    def _start_run(self, settings: Settings) -> None:
        self._live(LiveSource.start(self._parts.launch, settings))

    def _resume_run(self, directory: RunDirectory) -> None:
        self._live(LiveSource.resume(self._parts.resume, directory))

    def _live(self, source: LiveSource) -> None:
        self.desk.put(source)
        self._form_open, self._tab = False, "train"
        self._arrange()

    @on(SourceStirred)
    def _source_stirred(self, message: SourceStirred) -> None:
        if not self.is_running:  # the thread spoke while the widgets were being taken down
            return
        for run in self.desk.all:
            if run.source is message.source:
                if run.source.finished:
                    self._hold_still(False)  # nothing more goes on behind it
                if not self._hold.on:
                    self._take(run)
                if run.source.finished:
                    self._run_finished(run)

    def _frame(self) -> None:
        if not self.is_running:  # a timer may fire once more while the widgets are taken down
            return
        for run in self.desk.all:
            if self._hold.on:
                self._hold.keep(run.source)
            else:
                self._take(run)
        if self.desk.steered is not None and not self._hold.on:  # its clock goes on without events too
            self.query_one(HeaderLine).show(self.shown, self.desk.behind)

    def _take(self, run: ShownRun) -> None:
        """Apply what has come and repaint what it changed."""
        events = self._hold.take(run.source)
        was_over, phase = run.record.ended is not None, _phase(run)
        run.apply(events)
        for event in events:
            tell(self, run, event)
            if isinstance(event, Warning) and event.kind == "handover":
                self._exit_ways.call_off()
        if run is not self.shown or not (events or run.source.finished):
            if any(isinstance(event, ControlUsed) for event in events):
                self.query_one(KeyLine).renew()  # its keys speak to the run behind the one that is seen
            return
        progress = all(isinstance(event, Progress | CheckpointSaved) for event in events)
        if progress and not (run.record.ended and not was_over):
            if events and self.tab is not None:
                self.tab.tick(run)
            # Else they wait for the next look at the machine: what is painted at once is all that lies
            # between, and the status line lies at the other end of the screen.
            if _phase(run) != phase:
                self._show_lines()
        else:
            self._show_run()
            for page in self._pages.made:
                if isinstance(page, Tab) and page.keeps_up and page is not self.tab:
                    page.show(run)

    def _run_finished(self, run: ShownRun) -> None:
        run.asked = None
        if isinstance(run.source, LiveSource) and run.source.handed_over:
            self.desk.go_on_watching(run)
            self.notify("It goes on without this dashboard: close it whenever you like.", title="detached")
        if run is self.desk.main:
            failure = run.source.failure
            if failure and not self._exit_ways.under_way:
                self.notify(failure.message, title="the run failed", severity="error", markup=False)
            for page in self._pages.made:
                if isinstance(page, Tab | FormPane):
                    page.runs_changed()
            if self._exit_ways.under_way:
                self._exit_ways.leave()
        if run is self.shown:
            self._show_run()

    def _hold_still(self, still: bool) -> None:
        """Hold the display, or let it show at once what has come in the meantime."""
        if still == self._hold.on:
            return
        self._hold.on = still
        self.query_one(HeaderLine).held = still
        if not still:
            self._frame()
        self._show_lines()

    def why_not(self, name: str) -> str:
        """Why an action makes no sense now; empty where it does."""
        shown = self.shown
        if name in ("start", "resume") and (why := self.desk.why_not_start()):
            return why
        if name in STEERING:
            return self.desk.why_not_steer(name)
        if name in ("earlier", "later") and not (shown and shown.record.epochs):
            return "No epoch has ended yet."
        if name == "hold" and not self._hold.on and not (shown and shown.live):
            return "No run is live: the display stands still."
        if name == "warnings" and not (shown and (shown.record.warnings or advice(shown.record))):
            return "No warnings."
        return self.tab.why_not(name) if self.tab is not None else ""

    # Painting

    @property
    def place(self) -> str:
        """What is in front: a tab by name, or the ``form``."""
        return self._pages.current

    @property
    def front(self) -> Widget:
        """What is in front."""
        return self._pages.front

    @property
    def tab(self) -> Tab | None:
        """The tab in front; none while the form is."""
        return self.front if isinstance(self.front, Tab) else None

    def _arrange(self) -> None:
        """Bring forward what the tab and the form say."""
        page = "form" if self._tab == "train" and self._form_open else self._tab
        if page != "form":
            self._read_tab_styles()
        self._pages.bring(page)
        self.query_one(TabLine).show(self._tab)
        self._show_run()

    def _show_run(self) -> None:
        if self.tab is not None:
            self.tab.show(self.shown)
        self._show_lines()

    def _show_lines(self) -> None:
        self.query_one(HeaderLine).show(self.shown, self.desk.behind)
        self.query_one(StatusLine).show(self.shown, self._vitals, self._board.url)
        self.query_one(KeyLine).renew()

    @work(group="vitals")
    async def _look_at_vitals(self) -> None:
        """Off the UI thread: a driver may take its time. While it does, it is not asked again."""
        if self._looking:
            return
        self._looking = True
        try:
            self._vitals = await asyncio.to_thread(self._look, self.shown)
        finally:
            self._looking = False
        if self.is_running:
            self._board.look()
            self.query_one(StatusLine).show(self.shown, self._vitals, self._board.url)

    def _look(self, run: ShownRun | None) -> Vitals:
        """At this machine, and at the device of a live run that has it here."""
        started = run.record.started if run is not None else None
        if run is None or started is None or not run.live or run.source.kind == "replay":
            return self._parts.vitals()
        directory = run.source.directory
        here = run.ours or directory is None or state.read(directory).host == socket.gethostname()
        return self._parts.vitals(started.device if here else "", ours=run.ours)

    def restyle(self) -> None:
        for page in self._pages.made:
            if isinstance(page, Tab | FormPane):
                page.restyle()
        self._show_run()

    async def on_unmount(self) -> None:
        await asyncio.to_thread(self._board.close)


def _phase(run: ShownRun) -> Phase | None:
    return run.record.progress.phase if run.record.progress is not None else None

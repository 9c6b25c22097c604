"""The dashboard as it is seen: it owns the runs on the screen and paints what their events change."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import ClassVar

from textual import on
from textual.app import App, ComposeResult, SystemCommand
from textual.message import Message
from textual.screen import Screen

from xray_tui.board.server import Board
from xray_tui.config import Settings
from xray_tui.events import Progress
from xray_tui.tui import remembered, themes
from xray_tui.tui.actions import ACTIONS, Action
from xray_tui.tui.desk import Desk
from xray_tui.tui.leaving import Exit
from xray_tui.tui.panes.form import FormPane
from xray_tui.tui.panes.lines import HeaderLine, KeyLine, StatusLine, TabLine
from xray_tui.tui.panes.pages import Pages
from xray_tui.tui.parts import Parts
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.sources import LiveSource, Source
from xray_tui.tui.steering import Steering
from xray_tui.tui.tabs.data import DataTab
from xray_tui.tui.tabs.history import HistoryTab
from xray_tui.tui.tabs.mistakes import MistakesTab
from xray_tui.tui.tabs.settings import SettingsTab
from xray_tui.tui.tabs.tab import Tab
from xray_tui.tui.tabs.train import TrainTab
from xray_tui.tui.tensorboard import BoardKeeper
from xray_tui.tui.toasts import tell
from xray_tui.tui.vitals import Vitals

_FRAME_SECONDS = 0.2  # training wants the processor more than a bar does; keys show at once
_VITALS_SECONDS = 2.0


class SourceStirred(Message):
    """A source has something more than progress, or has ended."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source


class Display(App[int]):
    """The app without its actions.

    Args:
        settings: what the form opens with.
        given: the dotted paths among them that a person gave.
        start: start the run at once.
        source: a run to open on instead of the form.
        parts: what it is joined to.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = ["xray.tcss"]
    TITLE = "xray-tui"
    AUTO_FOCUS = None

    def __init__(
        self,
        settings: Settings,
        *,
        given: frozenset[str] = frozenset(),
        start: bool = False,
        source: Source | None = None,
        parts: Parts | None = None,
    ) -> None:
        super().__init__()
        self.animation_level = "none"
        self._settings, self._given, self._start_at_once = settings, given, start
        self._parts = parts or Parts()
        self._vitals: Vitals | None = None
        self._tab = "train"
        self._form_open = source is None and not start
        self._held = False
        self._source = source
        makers = {
            "form": self._make_form,
            "train": lambda: TrainTab(self._parts.picture, self._parts.read, id="train-tab"),
            "mistakes": lambda: MistakesTab(id="mistakes-tab"),
            "history": self._make_history,
            "data": lambda: DataTab(id="data-tab"),
            "settings": lambda: SettingsTab(id="settings-tab"),
        }
        self._pages = Pages(makers, "form" if self._form_open else "train", id="content")
        self.desk = Desk(self._begin, self._parts.clock)
        self._board = BoardKeeper(self, self._make_board, self._show_lines)
        self._steering = Steering(self, self.desk, self._show_run)
        self._exit_ways = Exit(self, self.desk, self._show_run, self._board.close)
        self._theme_complaints = themes.register_all(self)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return themes.MEANINGS

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        yield SystemCommand("Theme", "Choose the colours", self.action_change_theme)
        yield SystemCommand("Screenshot", "Save the screen as an SVG", self.deliver_screenshot)

    def compose(self) -> ComposeResult:
        yield HeaderLine(id="header")
        yield TabLine([action for action in ACTIONS if action.group == "tabs"], id="tabs")
        yield self._pages
        yield StatusLine(id="status")
        yield KeyLine(self.sensible_keys, id="keys")

    def on_mount(self) -> None:
        self._vitals = self._parts.vitals()
        self.set_interval(_FRAME_SECONDS, self._frame)
        self.set_interval(_VITALS_SECONDS, self._look_at_vitals)
        if self._theme_complaints:
            self.notify(
                "\n".join(self._theme_complaints), title="not a theme", severity="warning", markup=False
            )
        if self._source:
            self.desk.put(self._source)
        self._arrange()
        self._exit_ways.catch_signals()
        if self._start_at_once:
            self.call_after_refresh(self._start_run, self._settings)

    def _make_form(self) -> FormPane:
        return FormPane(self._settings, self._given, self._parts.checks, id="form-pane")

    async def _fill_form(self, settings: Settings, given: frozenset[str]) -> None:
        """The form anew, with these settings in it."""
        self._settings, self._given = settings, given
        await self._pages.forget("form")

    def _make_history(self) -> HistoryTab:
        folder = self._runs_folder
        return HistoryTab(
            lambda: list(self._parts.find_runs(folder)), folder, id="history-tab", classes="pane"
        )

    @property
    def _runs_folder(self) -> Path:
        return Path(self._settings.run.runs_dir).expanduser()

    def _make_board(self) -> Board:
        return self._parts.make_board(self._runs_folder, remembered.state_folder() / "tensorboard.log")

    # The run on the screen

    @property
    def shown(self) -> ShownRun | None:
        return self.desk.shown

    def _begin(self, source: Source) -> None:
        source.begin(lambda: self.post_message(SourceStirred(source)))

    def _start_run(self, settings: Settings) -> None:
        self.desk.put(LiveSource(self._parts.launch, settings))
        self._form_open, self._tab = False, "train"
        self._arrange()

    @on(SourceStirred)
    def _source_stirred(self, message: SourceStirred) -> None:
        if not self.is_running:  # the thread spoke while the widgets were being taken down
            return
        for run in self.desk.all:
            if run.source is message.source:
                if not self._held:
                    self._take(run)
                if run.source.finished:
                    self._run_finished(run)

    def _frame(self) -> None:
        if not self.is_running:  # a timer may fire once more while the widgets are taken down
            return
        for run in self.desk.all:
            if not self._held:
                self._take(run)
        shown = self.shown
        if shown is not None and shown.live:
            self.query_one(HeaderLine).show(shown)

    def _take(self, run: ShownRun) -> None:
        """Apply what has come and repaint what it changed."""
        events = run.source.take()
        was_over = run.record.ended is not None
        run.apply(events)
        for event in events:
            tell(self, run, event)
        if run is not self.shown or not (events or run.source.finished):
            return
        if all(isinstance(event, Progress) for event in events) and not (run.record.ended and not was_over):
            if events and self.tab is not None:
                self.tab.tick(run)
            if events:
                self._show_lines()
        else:
            self._show_run()

    def _run_finished(self, run: ShownRun) -> None:
        run.asked = None
        if run is self.desk.main:
            failure = run.source.failure
            if failure and not self._exit_ways.under_way:
                self.notify(failure.message, title="the run failed", severity="error", markup=False)
            for history in self.query(HistoryTab):
                history.refresh_runs()
            if self._exit_ways.under_way:
                self._exit_ways.leave()
        if run is self.shown and not self._held:
            self._show_run()

    # Painting

    @property
    def place(self) -> str:
        """What is in front: a tab by name, or the ``form``."""
        return self._pages.current

    @property
    def tab(self) -> Tab | None:
        """The tab in front; none while the form is."""
        front = self._pages.front
        return front if isinstance(front, Tab) else None

    def _arrange(self) -> None:
        """Bring forward what the tab and the form say."""
        self._pages.bring("form" if self._tab == "train" and self._form_open else self._tab)
        self.query_one(TabLine).show(self._tab)
        self._show_run()

    def _show_run(self) -> None:
        if self.tab is not None:
            self.tab.show(self.shown)
        self._show_lines()

    def _show_lines(self) -> None:
        self.query_one(HeaderLine).show(self.shown)
        self.query_one(StatusLine).show(self.shown, self._vitals, self._board.url)
        self.query_one(KeyLine).refresh()

    def _look_at_vitals(self) -> None:
        if not self.is_running:
            return
        self._vitals = self._parts.vitals()
        self.query_one(StatusLine).show(self.shown, self._vitals, self._board.url)

    def watch_theme(self) -> None:
        if self.is_running:
            self.call_after_refresh(self._show_run)

    def sensible_keys(self) -> Sequence[tuple[Action, str]]:
        """The actions that make sense now, each with its title."""
        raise NotImplementedError

    async def on_unmount(self) -> None:
        await asyncio.to_thread(self._board.close)

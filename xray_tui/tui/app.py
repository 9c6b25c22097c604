"""What the keys do, and the way into the dashboard."""

import sys
from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import App
from textual.binding import BindingType
from textual.widgets import Input, Select

from xray_tui import config
from xray_tui.config import Settings
from xray_tui.runs.directory import RunDirectory
from xray_tui.tui import remembered
from xray_tui.tui.actions import ACTIONS, BY_ID, RUN_PLACES, STEERING, Action, bindings
from xray_tui.tui.commands import ActionCommands
from xray_tui.tui.display import Display
from xray_tui.tui.panes.form import FormPane
from xray_tui.tui.panes.lines import KeyLine
from xray_tui.tui.panes.picture import probed_picture
from xray_tui.tui.panes.rows import RowList
from xray_tui.tui.parts import Parts
from xray_tui.tui.screens.notice import help_notice, warnings_notice
from xray_tui.tui.sources import FollowSource, ReplaySource, Source
from xray_tui.tui.tabs.history import HistoryTab
from xray_tui.tui.tabs.train import TrainTab
from xray_tui.tui.themes import Palette


class XrayApp(Display):
    """The dashboard; it gives back the exit code."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings()]
    COMMANDS = App.COMMANDS | {ActionCommands}

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key may do one thing on one tab and another on the next."""
        if action == "perform":
            return BY_ID[str(parameters[0])].fits(self.place)
        return super().check_action(action, parameters)

    def action_perform(self, name: str) -> None:
        """Do what a key, the palette or a click asks for, or say why it cannot be done now."""
        reason = self.why_not(name)
        if reason:
            self.notify(reason, markup=False)
            return
        own = getattr(self.tab, f"do_{name}", None)
        if own is not None:
            own()
        else:
            getattr(self, f"_do_{name}")()
        if self.is_running:
            self.query_one(KeyLine).refresh()

    def action_pane(self, index: int) -> None:
        if isinstance(self.tab, TrainTab):
            self.tab.open_pane(index)

    def why_not(self, name: str) -> str:
        """Why an action makes no sense now; empty where it does."""
        shown = self.shown
        if name == "start" and self.desk.ours is not None:
            return "A run is live already: x stops it."
        if name in STEERING:
            return self.desk.why_not_steer(name)
        if name in ("earlier", "later") and not (shown and shown.record.epochs):
            return "No epoch has ended yet."
        if name == "warnings" and not (shown and shown.record.warnings):
            return "No warnings."
        return self.tab.why_not(name) if self.tab is not None else ""

    def action_title(self, action: Action) -> str:
        if action.id == "pause" and self.desk.steered and self.desk.steered.paused:
            return "resume"
        if action.id == "start" and self.place != "form":
            return "new run"
        if action.id == "hold" and self._held:
            return "let the display go on"
        return action.title

    def sensible_actions(self) -> list[Action]:
        """Those that make sense now, where the person is."""
        return [action for action in ACTIONS if action.fits(self.place) and not self.why_not(action.id)]

    def sensible_keys(self) -> Sequence[tuple[Action, str]]:
        return [(action, self.action_title(action)) for action in self.sensible_actions() if action.hint]

    def _do_start(self) -> None:
        if self.place == "form":
            self.query_one(FormPane).submit()
            return
        self.desk.close_opened()
        self._tab, self._form_open = "train", True
        self.screen.set_focus(None)
        self._arrange()

    @on(FormPane.Submitted)
    def _form_submitted(self) -> None:
        form = self.query_one(FormPane)
        settings = form.settings
        if settings is None or self.why_not("start"):
            return
        try:
            remembered.save(form.remembered)
        except OSError as error:
            self.notify(
                f"The form's values could not be remembered: {error}", severity="warning", markup=False
            )
        self.screen.set_focus(None)
        self._start_run(settings)

    def _do_pause(self) -> None:
        self._steering.pause_or_resume()

    def _do_unfreeze(self) -> None:
        self._steering.unfreeze()

    def _do_stop(self) -> None:
        self._steering.stop()

    def _do_tensorboard(self) -> None:
        self._board.open()

    def _do_learning_rate(self) -> None:
        self._steering.change_learning_rate()

    def _do_detach(self) -> None:
        self._steering.detach()

    def _do_hold(self) -> None:
        self._held = not self._held
        self._frame()
        self._show_lines()

    # Tabs

    def _open_tab(self, name: str) -> None:
        self._tab = name
        self.screen.set_focus(None)
        self._arrange()
        if self.tab is not None and self.tab.is_attached:
            self.tab.enter()

    def _do_train(self) -> None:
        self._open_tab("train")

    def _do_mistakes(self) -> None:
        self._open_tab("mistakes")

    def _do_history(self) -> None:
        self._open_tab("history")

    def _do_data(self) -> None:
        self._open_tab("data")

    def _do_settings(self) -> None:
        self._open_tab("settings")

    @on(HistoryTab.Opened)
    def _history_opened(self, event: HistoryTab.Opened) -> None:
        self.desk.open(event.directory)
        self._form_open = False
        self._open_tab("train")

    @on(HistoryTab.Again)
    async def _history_again(self, event: HistoryTab.Again) -> None:
        await self._fill_form(event.settings, config.paths_of(event.settings))
        self._form_open = True
        self._open_tab("train")

    def _do_earlier(self) -> None:
        self._scrub(-1)

    def _do_later(self) -> None:
        self._scrub(1)

    def _scrub(self, step: int) -> None:
        if self.shown is not None and self.shown.scrub(step):
            self._show_run()

    @on(RowList.Moved, "#epochs")
    def _epoch_chosen(self, event: RowList.Moved) -> None:
        if self.shown is not None:
            ended = self.shown.record.epochs
            self.shown.epoch = ended[event.index].epoch if event.index < len(ended) else None
            self._show_run()

    def _do_back(self) -> None:
        """One step out of wherever the person is."""
        shown = self.shown
        if isinstance(self.focused, Input | Select):
            self.screen.set_focus(None)
        elif self.tab is not None and self.tab.back():
            pass
        elif self.place in RUN_PLACES and shown is not None and shown.epoch is not None:
            shown.epoch = None
            self._show_run()
        elif self.place in RUN_PLACES and self.desk.opened:
            self.desk.close_opened()
            self._form_open = self.desk.main is None
            self._do_history()
        elif self.place == "form" and self.desk.main is not None:
            self._form_open = False
            self._arrange()
        elif self._tab != "train":
            self._do_train()
        else:
            self.screen.set_focus(None)

    def _do_warnings(self) -> None:
        if self.shown is not None:
            self.push_screen(warnings_notice(self.shown, Palette.of(self)))

    def _do_help(self) -> None:
        self.push_screen(help_notice(Palette.of(self)))

    def action_focus_next(self) -> None:
        if isinstance(self.tab, TrainTab) and self.tab.small:
            self.tab.next_pane(1)
        else:
            super().action_focus_next()

    def action_focus_previous(self) -> None:
        if isinstance(self.tab, TrainTab) and self.tab.small:
            self.tab.next_pane(-1)
        else:
            super().action_focus_previous()

    # Leaving

    async def action_quit(self) -> None:
        self._exit_ways.ask()

    def _do_quit(self) -> None:
        self._exit_ways.ask()


def run_dashboard(
    *,
    settings: Settings,
    given: frozenset[str] = frozenset(),
    start: bool = False,
    watch: RunDirectory | None = None,
    replay: float | None = None,
) -> int:
    """Show the dashboard until the person leaves it.

    Args:
        settings: what the start form opens with.
        given: dotted paths among them that the command line, environment or config file gave; they
            win over what the form remembers.
        start: start the run at once.
        watch: open on this run instead of the form.
        replay: play ``watch`` back at so many times its own pace.

    Returns:
        The exit code: 0, or 1 where the run failed, or 128 and the signal that ended it.
    """
    source: Source | None = None
    if watch is not None:
        source = ReplaySource(watch, replay) if replay else FollowSource(watch)
    app = XrayApp(settings, given=given, start=start, source=source, parts=Parts(picture=probed_picture()))
    code = app.run()
    run = app.desk.main
    if run is not None and run.failure is not None:
        print(f"xray-tui: {run.failure.message}\n{run.failure.hint}".rstrip(), file=sys.stderr)
    elif run is not None and run.ours and run.source.directory is not None:
        print(f"xray-tui: the run is kept in {run.source.directory.path}", file=sys.stderr)
    return 1 if code is None else code

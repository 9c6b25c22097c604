"""What the keys do, and the way into the dashboard."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input, Select

from xray_tui import config
from xray_tui.config import Origin
from xray_tui.drawing.ascii import wants_ascii
from xray_tui.engine import process
from xray_tui.errors import UserError
from xray_tui.runs.directory import RunDirectory
from xray_tui.settings import Settings
from xray_tui.settings_file import existing_user_file, read_dashboard
from xray_tui.tui.actions import ACTIONS, BY_ID, RUN_PLACES, STEERING, Action, bindings
from xray_tui.tui.display import Display, SourceStirred
from xray_tui.tui.keymap import read_keymap
from xray_tui.tui.panes.form import FormPane
from xray_tui.tui.panes.lines import KeyLine
from xray_tui.tui.parts import Parts
from xray_tui.tui.pictures import half_block_picture, probed_picture
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.sources import FollowSource, ReplaySource, Source
from xray_tui.tui.tabs.tab import Tab
from xray_tui.tui.themes import Palette

if TYPE_CHECKING:  # what the first frame does not need is imported where it is first used
    from textual.command import Provider

    from xray_tui.tui.jump import Target
    from xray_tui.tui.panes.charts import EpochPicked
    from xray_tui.tui.tabs.history import HistoryTab
    from xray_tui.tui.tabs.settings import SettingsTab

_COLLECT_SECONDS = 0.5


def _commands() -> "type[Provider]":
    from xray_tui.tui.commands import Commands

    return Commands


class XrayApp(Display):
    """The dashboard; it gives back the exit code."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings()]
    COMMANDS: ClassVar["set[type[Provider] | Callable[[], type[Provider]]]"] = {_commands}

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield KeyLine(self.sensible_keys, id="keys")

    def on_mount(self) -> None:
        # Behind a painting, where it is least likely that one comes next.
        self.set_interval(_COLLECT_SECONDS, lambda: self.call_after_refresh(process.collect_if_due))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key may do one thing on one tab and another on the next."""
        if action == "perform":
            return BY_ID[str(parameters[0])].fits(self.place)
        return super().check_action(action, parameters)

    def action_perform(self, name: str) -> None:
        """Do what a key, the palette or a click asks for, or say why it cannot be done now."""
        reason = self.why_not(name)
        if reason:
            self.notify(self.keymap.fill(reason), markup=False)
            return
        if name in STEERING or name == "start":  # what is asked of the run is to be seen
            self._hold_still(False)
        own = getattr(self.tab, f"do_{name}", None)
        if own is not None:
            own()
        else:
            getattr(self, f"_do_{name}")()
        if self.is_running:
            self.query_one(KeyLine).renew()

    def action_pane(self, index: int) -> None:
        if self.tab is not None:
            self.tab.open_pane(index)

    def action_title(self, action: Action) -> str:
        if action.id == "pause" and self.desk.steered and self.desk.steered.held:
            return "resume"
        if action.id == "start" and self.place != "form":
            return "new run"
        if action.id == "hold" and self._hold.on:
            return "go on"
        if action.id == "export" and self.place == "settings":
            return "save"
        if action.id == "back" and self._is_urgent(action.id):
            return "back to the run" if self.place == "form" else "close this run"
        return action.title

    def sensible_actions(self) -> list[Action]:
        """Those that make sense now, where the person is."""
        return [action for action in ACTIONS if self._is_sensible(action)]

    def _is_sensible(self, action: Action) -> bool:
        return action.fits(self.place) and not self.why_not(action.id)

    def sensible_keys(self) -> Sequence[tuple[Action, str]]:
        if isinstance(self.screen_stack[0].focused, Input):  # which takes the letters
            return [(BY_ID["back"], "leave the field")]
        return [
            (action, self.action_title(action))
            for action in ACTIONS
            if (action.hint or self._is_urgent(action.id)) and self._is_sensible(action)
        ]

    def _is_urgent(self, name: str) -> bool:
        """Whether the line of keys names an action that it usually leaves out."""
        if name == "hold":
            return self._hold.on
        if name != "back":
            return False
        return self.desk.main is not None if self.place == "form" else self.desk.behind is not None

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
        settings = self.query_one(FormPane).settings
        if settings is None or self.why_not("start"):
            return
        self.screen.set_focus(None)
        self._start_run(settings)
        if self.desk.main is not None:
            self.next_run.starts(self.desk.main.source)

    @on(SourceStirred)
    def _remember_form(self, message: SourceStirred) -> None:
        try:
            self.next_run.remember(message.source)
        except OSError as error:
            words = f"The form's values could not be remembered: {error}"
            self.notify(words, severity="warning", markup=False)

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
        self._hold_still(not self._hold.on)

    # Tabs

    def _open_tab(self, name: str) -> None:
        if name != "train":  # the key that holds the display belongs to that tab
            self._hold_still(False)
        self._tab = name
        self.screen.set_focus(None)
        self._arrange()
        if self.tab is not None and self.tab.is_attached:
            self.tab.enter()

    def _do_train(self) -> None:
        if self.place == "form" and self.desk.main is not None:  # the form lies over that run
            self._form_open = False
        self._open_tab("train")

    def _do_mistakes(self) -> None:
        self._open_tab("mistakes")

    def _do_history(self) -> None:
        self._open_tab("history")

    def _do_data(self) -> None:
        self._open_tab("data")

    def _do_settings(self) -> None:
        self._open_tab("settings")

    def on_history_tab_opened(self, event: "HistoryTab.Opened") -> None:
        self.desk.open(event.directory)
        self._form_open = False
        self._open_tab("train")

    async def on_settings_tab_changed(self, event: "SettingsTab.Changed") -> None:
        self._refill_form()
        if event.path == "run.runs_dir":
            await self._pages.forget("history")

    def on_settings_tab_keys_changed(self, event: "SettingsTab.KeysChanged") -> None:
        self.use_keys(event.keymap)
        for page in self._pages.made:
            if isinstance(page, Tab):
                page.keys_changed()
        self._show_lines()

    def on_history_tab_again(self, event: "HistoryTab.Again") -> None:
        here = {"run.runs_dir": self.next_run.value("run.runs_dir")}
        self.next_run.take(config.replace(event.settings, here), {}, otherwise="an old run")
        self._refill_form()
        self._form_open = True
        self._open_tab("train")

    def on_history_tab_resume(self, event: "HistoryTab.Resume") -> None:
        self._resume_run(event.directory)

    def _do_earlier(self) -> None:
        self._scrub(-1)

    def _do_later(self) -> None:
        self._scrub(1)

    def _scrub(self, step: int) -> None:
        if self.shown is not None and self.shown.scrub(step):
            self._show_run()

    def on_epoch_picked(self, event: "EpochPicked") -> None:
        if self.shown is not None and self.shown.epoch != event.epoch:
            self.shown.epoch = event.epoch
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
            from xray_tui.tui.screens.notice import warnings_notice

            self.push_screen(warnings_notice(self.shown, Palette.of(self)))

    def _do_help(self) -> None:
        """The screen is kept: to build one takes as long as to paint it."""
        from xray_tui.tui.screens.help import help_sheet
        from xray_tui.tui.screens.notice import HelpScreen

        sheet = help_sheet(self)
        if self.is_screen_installed("help"):
            self.get_screen("help", HelpScreen).tell(sheet)
        else:
            self.install_screen(HelpScreen("help", sheet), "help")
        self.push_screen("help")

    def _do_jump(self) -> None:
        from xray_tui.tui.jump import JumpScreen, targets

        self.push_screen(JumpScreen(targets(self.screen)), self._jump_to)

    async def _jump_to(self, target: "Target | None") -> None:
        from xray_tui.tui.jump import jump

        if target is not None:
            await jump(target)

    def action_focus_next(self) -> None:
        if self.tab is not None and self.tab.small:
            self.tab.next_pane(1)
        else:
            super().action_focus_next()

    def action_focus_previous(self) -> None:
        if self.tab is not None and self.tab.small:
            self.tab.next_pane(-1)
        else:
            super().action_focus_previous()

    def on_descendant_focus(self) -> None:
        KeyLine.renew_in(self)

    def on_descendant_blur(self) -> None:
        KeyLine.renew_in(self)

    # Leaving

    async def action_quit(self) -> None:
        self._exit_ways.ask()

    def _do_suspend(self) -> None:
        if self._driver is not None and self._driver.can_suspend:
            self.action_suspend_process()
        else:
            self.notify("No shell is behind this screen.")

    def _do_quit(self) -> None:
        self._exit_ways.ask()


def run_dashboard(
    *,
    settings: Settings,
    origins: Mapping[str, Origin],
    file: Path | None = None,
    start: bool = False,
    watch: RunDirectory | None = None,
    replay: float | None = None,
    ascii_only: bool | None = None,
) -> int:
    """Show the dashboard until the person leaves it.

    Args:
        settings: what the start form opens with.
        origins: where those come from, by dotted path.
        file: a config file given on the command line; its keys win over those of the user's own.
        start: start the run at once.
        watch: open on this run instead of the form.
        replay: play ``watch`` back at so many times its own pace.
        ascii_only: draw without unicode; ``None`` is as the config file says, else as the terminal can.

    Raises:
        UserError: there is no terminal; a config file's keys do not fit, or its theme is not there; or this
            is one of several processes.

    Returns:
        The exit code: 0, or 1 where the run failed, or 128 and the signal that ended it.
    """
    process.be_alone()
    process.collect_seldom()
    files = [found for found in (existing_user_file(), file) if found is not None]
    source: Source | None = None
    if watch is not None:
        source = ReplaySource(watch, replay) if replay else FollowSource(watch)
    looks = [read_dashboard(found) for found in reversed(files)]
    theme = next((look.theme for look in looks if look.theme), "")
    asked = [ascii_only, *(look.ascii for look in looks)]
    plain = next((wish for wish in asked if wish is not None), wants_ascii())
    keymap = read_keymap(files)
    if not all(stream is not None and stream.isatty() for stream in (sys.__stdin__, sys.__stderr__)):
        instead = f"runs show {shlex.quote(str(watch.path))}" if watch is not None else "train DATA"
        raise UserError("the dashboard needs a terminal", f"without one: `xray-tui {instead}`")
    app = XrayApp(
        settings,
        origins=origins,
        start=start,
        source=source,
        parts=Parts(picture=half_block_picture() if plain else probed_picture()),
        theme=theme,
        ascii_only=plain,
        keymap=keymap,
    )
    code = app.run()
    if app.desk.main is not None and (words := last_words(app.desk.main)):
        print(f"xray-tui: {words}", file=sys.stderr)
    return 1 if code is None else code


def last_words(run: ShownRun) -> str:
    """What is left to say of a run when the screen is gone; its source is closed by then."""
    directory = run.source.directory
    if run.failure is not None:
        return f"{run.failure.message}\n{run.failure.hint}".rstrip()
    if directory is not None and run.handed_over and run.record.ended is None:
        watch_it = f"xray-tui watch {shlex.quote(str(directory.path))}"
        how = "is paused in the background, and waits" if run.paused else "goes on in the background"
        return f"the run {how}: `{watch_it}` shows it"
    return f"the run is kept in {directory.path}" if directory is not None and run.ours else ""

"""Asking something of the live run; each request shows at once."""

from collections.abc import Callable
from typing import Any

from textual.app import App

from xray_tui.events import Control
from xray_tui.tui.desk import Desk
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.screens.ask import Answer, AskScreen
from xray_tui.tui.screens.rate import RateScreen, read_rate
from xray_tui.tui.shown import ASKED, ShownRun
from xray_tui.words import harmless


class Steering:
    """
    Args:
        changed: called when something has been asked, to show that.
    """

    def __init__(self, app: App[Any], desk: Desk, changed: Callable[[], None]) -> None:
        self._app, self._desk, self._changed = app, desk, changed

    def pause_or_resume(self) -> None:
        run = self._desk.steered
        if run is not None:
            self._ask(run, "resume" if run.held else "pause")

    def unfreeze(self) -> None:
        run = self._desk.steered
        if run is not None:
            self._ask(run, "unfreeze")

    def stop(self) -> None:
        """Stop, after asking the person."""
        run = self._desk.steered
        if run is None:
            return
        if run.source.kind == "replay":  # nothing is lost
            self._ask(run, "stop")
            return

        def answered(answer: str | None) -> None:
            if answer == "stop" and run.live:
                self._ask(run, "stop")

        words = "It ends after the batch under way. History can resume it from there."
        if not self._is_seen(run):
            words = f"{_name(run)}, the live run behind the one that is seen. {words}"
        key = KeyMap.of(self._app).first("stop")
        answers = [Answer("stop", key, "stop it"), Answer("stay", "escape", "go on")]
        self._app.push_screen(AskScreen("Stop the run?", words, answers), answered)

    def change_learning_rate(self) -> None:
        """Ask the person for another learning rate, then the run."""
        run = self._desk.steered
        rate = run.learning_rate if run is not None else None
        if run is None or rate is None:
            return

        def answered(words: str | None) -> None:
            value = read_rate(words or "")
            if value is not None and value != rate and run.live:
                self._ask(run, "learning_rate", value)

        whose = "" if self._is_seen(run) else f"{_name(run)}, the live run behind the one that is seen. "
        self._app.push_screen(RateScreen(rate, run.record.stage or "frozen", whose), answered)

    def detach(self) -> None:
        """Hand the run to a process of its own."""
        run = self._desk.steered
        if run is not None:
            self._ask(run, "detach")

    def _ask(self, run: ShownRun, control: Control, value: float | None = None) -> None:
        """The engine obeys between batches, which on a CPU may take seconds: the screen says so now."""
        try:
            run.source.request(control, value)
        except OSError as error:
            self._app.notify(f"The run cannot be asked: {error}", severity="error", markup=False)
            return
        # Taken back before the engine saw it, nobody tells of either.
        unseen = control == "resume" and run.asked == "pause" and not run.paused
        if not (control == "learning_rate" and run.asked):  # it hides nothing else that is coming
            run.asked = None if run.source.kind == "replay" or unseen else control
        if not self._is_seen(run):
            self._app.notify(
                f"{_name(run)}, which goes on behind this one", title=ASKED[control], markup=False
            )
        self._changed()

    def _is_seen(self, run: ShownRun) -> bool:
        return run is self._desk.shown


def _name(run: ShownRun) -> str:
    return harmless(run.source.directory.name if run.source.directory else run.source.about)

"""Ways out of the dashboard: a person's, a signal's, and that of a terminal that is gone."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Literal

from textual.app import App

from xray_tui.tui.desk import Desk
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.screens.ask import Answer, AskScreen
from xray_tui.tui.sources import LiveSource

_AGAIN = "Leave now, and what is not saved yet is trained again when the run is resumed."
_STILL = {
    "stop": ("Still stopping.", _AGAIN),
    "detach": ("Still handing over.", _AGAIN),
    "report": (
        "Still writing the run's report.",
        "Leave now, and there is none; History can write it later.",
    ),
}
"""What the dashboard waits for, and what is lost where somebody does not."""


class Exit:
    """Ends the app, a run of its own first.

    Args:
        changed: called when the run has been asked to stop, to show that.
        close_board: ends TensorBoard, where that was started.
    """

    def __init__(
        self, app: App[int], desk: Desk, changed: Callable[[], None], close_board: Callable[[], None]
    ) -> None:
        self._app, self._desk, self._changed, self._close_board = app, desk, changed, close_board
        self._code = 0
        self._hung = False
        self._leaving: Literal["", "stop", "detach", "report"] = ""

    @property
    def under_way(self) -> bool:
        """Whether the app leaves as soon as the run has ended, or lives elsewhere."""
        return bool(self._leaving)

    def call_off(self) -> None:
        """The run could not be handed over: it goes on here, and the dashboard stays with it."""
        if self._leaving == "detach":
            self._leaving = ""

    def ask(self) -> None:
        """Leave; asks first while a run of ours is live."""
        run = self._desk.ours
        if run is None:
            self.leave()
            return
        if not self._leaving and run.record.ended is not None:
            self._leaving = "report"
            self._app.notify("The dashboard closes as soon as the run's report is written.")
            return
        if not self._leaving and (run.asked == "stop" or run.asked == "detach"):
            self._leaving = run.asked
            when = {"stop": "has stopped", "detach": "is handed over"}[run.asked]
            self._app.notify(f"The dashboard closes as soon as the run {when}.")
            return

        def answered(answer: str | None) -> None:
            if answer == "detach":
                self.detach_and_leave()
            elif answer == "stop":
                self.stop_and_leave("a person")
            elif answer == "leave":
                self.leave()

        keymap = KeyMap.of(self._app)
        quit_key = keymap.first("quit")
        if self._leaving:
            question, words = _STILL[self._leaving]
            answers = [Answer("leave", quit_key, "leave now"), Answer("stay", "escape", "wait")]
        else:
            question = "A run is live. Quit?"
            words = "Detached, it goes on by itself. Stopped, it can be resumed."
            answers = [
                Answer("detach", keymap.first("detach"), "detach"),
                Answer("stop", f"{keymap.first('stop')},{quit_key}", "stop"),
                Answer("stay", "escape", "stay"),
            ]
        self._app.push_screen(AskScreen(question, words, answers), answered)

    def detach_and_leave(self) -> None:
        """Leave as soon as another process has the run."""
        self._ask_and_wait("detach", "a person")

    def stop_and_leave(self, why: str) -> None:
        """Leave as soon as the run has ended in good order."""
        self._ask_and_wait("stop", why)

    def _ask_and_wait(self, control: Literal["stop", "detach"], why: str) -> None:
        run = self._desk.ours
        if run is None or not isinstance(run.source, LiveSource):
            self.leave()
            return
        self._leaving = control
        run.source.request(control, why=why)
        run.asked = control
        self._changed()

    def leave(self) -> None:
        self._desk.close()
        main = self._desk.main
        self._app.exit(self._code or int(main is not None and main.failed))

    def catch_signals(self) -> None:
        """Told to go by a signal, the process stops its run in good order first."""
        if self._app.is_headless or sys.platform == "win32":
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signalled, number)
        signal.signal(signal.SIGHUP, self._hung_up)

    def _signalled(self, number: signal.Signals) -> None:
        self._code = 128 + number
        self.stop_and_leave(number.name)

    def _hung_up(self, number: int, frame: FrameType | None) -> None:
        """The terminal is gone, so the event loop may wait forever for a write to it: go without it.

        The run goes on in a process of its own; where there is none, it goes on here, without a screen.
        A plain handler: it runs even while the main thread is stuck in such a write.
        """
        if self._hung:
            os._exit(128 + number)
        self._hung = True
        run = self._desk.ours
        source = run.source if run else None
        if isinstance(source, LiveSource):
            source.request("detach", why="SIGHUP")

        def go() -> None:
            if source is not None:
                source.join()
            self._close_board()
            os._exit(128 + number)  # an orderly exit would join the thread that is stuck

        threading.Thread(target=go, name="xray-tui hang-up").start()

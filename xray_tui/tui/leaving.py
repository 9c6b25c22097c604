"""Ways out of the dashboard: a person's, a signal's, and that of a terminal that is gone."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from textual.app import App

from xray_tui.tui.desk import Desk
from xray_tui.tui.screens.ask import Answer, AskScreen
from xray_tui.tui.sources import LiveSource


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
        self.under_way = False
        """Whether the app leaves as soon as the run has ended."""

    def ask(self) -> None:
        """Leave; asks first while a run of ours is live."""
        if self._desk.ours is None:
            self.leave()
            return

        def answered(answer: str | None) -> None:
            if answer == "stop":
                self.stop_and_leave("a person")
            elif answer == "leave":
                self.leave()

        if self.under_way:
            question, words = "Still stopping.", "The batch under way has not ended. Leave all the same?"
            answers = [Answer("leave", "q", "leave now"), Answer("stay", "escape", "wait")]
        else:
            question, words = "A run is live.", "Stopped, it keeps its last whole epoch."
            answers = [Answer("stop", "q", "stop it and quit"), Answer("stay", "escape", "stay")]
        self._app.push_screen(AskScreen(question, words, answers), answered)

    def stop_and_leave(self, why: str) -> None:
        """Leave as soon as the run has ended in good order."""
        self.under_way = True
        run = self._desk.ours
        if run is None or not isinstance(run.source, LiveSource):
            self.leave()
            return
        run.source.stop(why)
        run.asked = "stop"
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

        A plain handler: it runs even while the main thread is stuck in such a write.
        """
        run = self._desk.ours
        source = run.source if run else None
        if isinstance(source, LiveSource):
            source.stop("SIGHUP")

        def go() -> None:
            if source is not None:
                source.join()
            self._close_board()
            os._exit(128 + number)  # an orderly exit would join the thread that is stuck

        threading.Thread(target=go, name="xray-tui hang-up").start()

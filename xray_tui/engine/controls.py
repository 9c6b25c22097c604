"""What a person can ask of a running run. Obeyed between batches."""

import time
from collections.abc import Callable

from xray_tui.events import Control

_POLL_SECONDS = 0.05


class Stop(Exception):
    """The run is to end, its last epoch's checkpoint kept."""


class UnfreezeNow(Exception):
    """The frozen stage is to end, the epoch under way dropped."""


class Controls:
    """Requests from any thread or signal handler to the thread that trains.

    Plain attributes and a poll instead of a lock: a signal handler runs in the very thread that
    would hold the lock. Each request holds who asked; empty means not asked.
    """

    def __init__(self) -> None:
        self._pause = ""
        self._resume = ""
        self._unfreeze = ""
        self._stop = ""

    def pause(self, why: str = "a person") -> None:
        self._pause = why

    def resume(self, why: str = "a person") -> None:
        self._resume, self._pause = why, ""

    def unfreeze(self, why: str = "a person") -> None:
        """Also resumes a paused run."""
        self._unfreeze = why
        self.resume(why)

    def stop(self, why: str = "a person") -> None:
        self._stop = why

    def use(self, control: Control, why: str = "a person") -> None:
        """Make the request of that name."""
        getattr(self, control)(why)

    def obey(self, used: Callable[[Control, str], None], *, can_unfreeze: bool) -> None:
        """Between two batches: wait while paused, then raise what was asked.

        Args:
            used: told of each control as it takes effect, and by whom it was asked.
            can_unfreeze: whether "unfreeze now" means anything here; else the request is dropped.

        Raises:
            Stop, UnfreezeNow: as asked.
        """
        if self._pause and not self._stop:
            used("pause", self._pause)
            while self._pause and not self._stop:
                time.sleep(_POLL_SECONDS)
            if not self._stop:
                used("resume", self._resume)
        if self._stop:
            used("stop", self._stop)
            raise Stop(self._stop)
        why, self._unfreeze = self._unfreeze, ""
        if why and can_unfreeze:
            used("unfreeze", why)
            raise UnfreezeNow(why)

    def wait_for_unfreeze(self, used: Callable[[Control, str], None]) -> None:
        """Wait until a person asks to unfreeze.

        Raises:
            Stop: that was asked instead.
        """
        while True:
            try:
                self.obey(used, can_unfreeze=True)
            except UnfreezeNow:
                return
            time.sleep(_POLL_SECONDS)

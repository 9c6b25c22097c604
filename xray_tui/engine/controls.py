"""What a person can ask of a running run. Obeyed between batches."""

import math
import time
from collections.abc import Callable
from typing import Protocol

from xray_tui.events import Control

_POLL_SECONDS = 0.05


class Stop(Exception):
    """The run is to end, a checkpoint of where it stands kept."""


class Detach(Exception):
    """The run is to go on in a process of its own, from a checkpoint of where it stands."""


class UnfreezeNow(Exception):
    """The frozen stage is to end, the epoch under way dropped."""


class Used(Protocol):
    """Told of each control as it takes effect, by whom it was asked, and its value where it has one."""

    def __call__(self, control: Control, why: str, value: float | None = None) -> None: ...


class Controls:
    """Requests from any thread or signal handler to the thread that trains.

    Plain attributes and a poll instead of a lock: a signal handler runs in the very thread that
    would hold the lock. Each request holds who asked; empty means not asked.
    """

    def __init__(self) -> None:
        self._pause = ""
        self._resume = ""
        self._unfreeze = ""
        self._rate: tuple[float, str] | None = None
        self._stop = ""
        self._detach = ""

    def pause(self, why: str = "a person") -> None:
        self._pause = why

    def resume(self, why: str = "a person") -> None:
        self._resume, self._pause = why, ""

    def unfreeze(self, why: str = "a person") -> None:
        """Also resumes a paused run."""
        self._unfreeze = why
        self.resume(why)

    def learning_rate(self, value: float, why: str = "a person") -> None:
        """From the next batch on, in the stage under way only.

        Raises:
            ValueError: not a positive number.
        """
        if not 0 < value < math.inf:
            raise ValueError(f"a learning rate is a positive number, not {value}")
        self._rate = value, why

    def stop(self, why: str = "a person") -> None:
        self._stop = why

    def detach(self, why: str = "a person") -> None:
        """Another process is to go on with the run; a paused one stays paused there."""
        self._detach = why

    def use(self, control: Control, value: float | None = None, *, why: str = "a person") -> None:
        """Make the request of that name.

        Raises:
            ValueError: a learning rate without its value, or with one that is none.
        """
        if control == "learning_rate":
            self.learning_rate(math.nan if value is None else value, why)
        else:
            getattr(self, control)(why)

    def take(self) -> list[tuple[Control, float | None]]:
        """The requests that were not obeyed, and the pause that lasts, to be made elsewhere; none is left.

        A request to detach is not among them.
        """
        taken: list[tuple[Control, float | None]] = []
        if self._rate is not None:
            taken.append(("learning_rate", self._rate[0]))
        asked: list[tuple[Control, str]] = [
            ("unfreeze", self._unfreeze),
            ("pause", self._pause),
            ("stop", self._stop),
        ]
        taken += [(control, None) for control, why in asked if why]
        self._pause = self._unfreeze = self._stop = self._detach = ""
        self._rate = None
        return taken

    def obey(
        self,
        used: Used,
        *,
        can_unfreeze: bool,
        set_rate: Callable[[float], None] | None = None,
        early: bool = False,
    ) -> None:
        """Between two batches: wait while paused, then do or raise what was asked.

        Args:
            used: told of each control as it takes effect.
            can_unfreeze: whether "unfreeze now" means anything here; else the request is dropped.
            set_rate: gives the stage under way another learning rate; where there is none to give it to,
                the request is dropped.
            early: no stage is under way yet, in this process: what is asked of one waits for it.

        Raises:
            Stop, Detach, UnfreezeNow: as asked.
        """
        if self._pause and not self._leaving:
            used("pause", self._pause)
            while self._pause and not self._leaving:
                if not early:
                    self._change_rate(used, set_rate)
                self._wait()
            if not self._leaving:
                used("resume", self._resume)
        if self._stop:
            used("stop", self._stop)
            raise Stop(self._stop)
        why, self._detach = self._detach, ""  # where nobody takes the run over, it is not asked again
        if why:
            used("detach", why)
            raise Detach(why)
        if early:
            return
        self._change_rate(used, set_rate)
        why, self._unfreeze = self._unfreeze, ""
        if why and can_unfreeze:
            used("unfreeze", why)
            raise UnfreezeNow(why)

    def wait_for_unfreeze(self, used: Used) -> None:
        """Wait until a person asks to unfreeze.

        Raises:
            Stop, Detach: that was asked instead.
        """
        while True:
            try:
                self.obey(used, can_unfreeze=True)
            except UnfreezeNow:
                return
            time.sleep(_POLL_SECONDS)

    @property
    def asked_to_stop(self) -> str:
        """By whom; empty where nobody has."""
        return self._stop

    @property
    def asked(self) -> bool:
        """Whether anything waits to be obeyed."""
        return bool(self._pause or self._unfreeze or self._rate or self._leaving)

    def _wait(self) -> None:
        time.sleep(_POLL_SECONDS)

    @property
    def _leaving(self) -> str:
        return self._stop or self._detach

    def _change_rate(self, used: Used, set_rate: Callable[[float], None] | None) -> None:
        asked, self._rate = self._rate, None
        if asked is not None and set_rate is not None:
            value, why = asked
            used("learning_rate", why, value)
            set_rate(value)

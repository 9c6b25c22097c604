"""A full disk is waited for: the run goes on when somebody has made room."""

import errno
import time
from collections.abc import Callable
from typing import TypeVar

from xray_tui.engine.controls import Controls, Stop

_T = TypeVar("_T")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_POLL_SECONDS = 0.5


class Patience:
    """Does a write again and again while the disk is full.

    Args:
        controls: asked to stop, it waits no longer.
        wait: told what there is no room for, once, before the waiting begins.
        over: told for how many seconds it has waited.
    """

    def __init__(
        self, controls: Controls, wait: Callable[[str], None], over: Callable[[float], None]
    ) -> None:
        self._controls = controls
        self._wait = wait
        self._over = over

    def __call__(self, write: Callable[[], _T], what: Callable[[], str] = str) -> _T:
        """
        Args:
            write: leaves no half of anything behind where it fails.
            what: asked for what is written, in words, where that has no room.

        Raises:
            Stop: there is no room, and somebody asked the run to stop.
            OSError: anything but a full disk.
        """
        began: float | None = None
        while True:
            try:
                done = write()
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                if began is None:
                    began = time.monotonic()
                    self._wait(f"{error.strerror}: {what() or error.filename}")
                if why := self._controls.asked_to_stop:
                    raise Stop(why) from error
                time.sleep(_POLL_SECONDS)
                continue
            if began is not None:
                self._over(time.monotonic() - began)
            return done

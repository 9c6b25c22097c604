"""Who is at which trial: the system knows, and lets go of what a process held when it dies."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl


class Lock:
    """A file of which a process holds single bytes: the first while it looks at the study and changes it, the
    one after a trial's number as long as it is at that trial.

    Record locks, not flock: one open file serves all, and no process that this one starts inherits them.
    Where there are none (Windows) every trial counts as held.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, file: Path) -> None:
        self._file = file.open("ab")
        self._held: set[int] = set()
        """By this very process, which the system would let have them again."""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process is in here meanwhile."""
        if sys.platform == "win32":
            yield
            return
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, 0)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, 0)

    def hold(self, trial: int) -> bool:
        """Whether the trial is now this process's; else somebody is at it."""
        if sys.platform == "win32" or trial in self._held:
            return False
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 1 + trial)
        except (BlockingIOError, PermissionError):  # POSIX allows either
            return False
        self._held.add(trial)
        return True

    def let_go(self, trial: int) -> None:
        self._held.discard(trial)
        if sys.platform != "win32":
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, 1 + trial)

    def close(self) -> None:
        """Let go of everything."""
        self._file.close()

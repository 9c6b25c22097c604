"""Who may write a run: one process at a time, and a resumed one only where the other has let go."""

import os
import shlex
import sys
import time
from types import TracebackType

from xray_tui.errors import UserError
from xray_tui.files import keep_names
from xray_tui.regular_files import kind_of
from xray_tui.runs import state
from xray_tui.runs.directory import RunDirectory

if sys.platform != "win32":
    import fcntl

_PATIENCE_SECONDS = 1.0
"""Longer than a process that hands its run over holds the lock to say that it lives."""


class Claim:
    """The journal, open for appending and locked: by the system, which lets go when the process dies.

    Raises:
        UserError: another process has it, or the directory cannot be written.
    """

    def __init__(self, directory: RunDirectory, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        is_new = not directory.journal.exists()
        try:
            self.journal = directory.journal.open("ab", buffering=0)
        except OSError as error:
            raise UserError(f"cannot write into {directory.path}: {error.strerror}") from None
        if is_new:
            keep_names(directory.path)
        deadline = time.monotonic() + patience_seconds
        while not self._lock():
            if time.monotonic() >= deadline:
                self.journal.close()
                raise _taken(directory)
            time.sleep(0.02)

    def __enter__(self) -> "Claim":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go."""
        self.journal.close()

    def _lock(self) -> bool:
        if sys.platform == "win32":  # state.json alone tells
            return True
        try:
            fcntl.flock(self.journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system that has no locks: state.json alone tells
            return True
        return True


def check_own(directory: RunDirectory) -> None:
    """Whoever copied a run here may have put links into it: what is written goes nowhere else.

    Raises:
        UserError: a part of the directory is a link, or its journal is no file.
    """
    journal = directory.journal
    parts = [journal, directory.checkpoints, directory.control, directory.predictions, directory.tensorboard]
    parts += [directory.explanations, *directory.explanations.glob("*")]
    for part in parts:
        if part.is_symlink() or (part == journal and part.exists() and not part.is_file()):
            raise UserError(
                f"{part} is {kind_of(part.lstat().st_mode)}: a run is written in its own folder alone",
                "put a copy of what it leads to in its place",
            )


def check_resumable(directory: RunDirectory, *, handed_over: bool = False, back: bool = False) -> None:
    """Refuse a run that is not to be gone on with.

    Args:
        handed_over: this process was started to take the run over from the one that lets it go.
        back: it is that one itself, whom nobody took the run from; it may have found no room to let it go.

    Raises:
        UserError: it is done, live in another process, has parts elsewhere, or (``handed_over``) nobody
            hands it over.
    """
    check_own(directory)
    written = state.written(directory)
    if handed_over:
        ours = back and written is not None and written.pid == os.getpid()
        if written is None or not (written.status == "handover" or ours):
            raise UserError(f"nobody hands {directory.name} over", "resume it without --take-over")
        return
    if written is not None and written.status == "done":
        config = shlex.quote(str(directory.config))
        raise UserError(
            f"{directory.name} is done: nothing is left to resume",
            f"start a new run, with its settings: `xray-tui train DATA --config {config}`",
        )
    refuse_live(directory)


def refuse_live(directory: RunDirectory) -> None:
    """
    Raises:
        UserError: the run is live in another process.
    """
    if (found := state.read(directory)).live:
        raise _live(directory, found)


def _taken(directory: RunDirectory) -> UserError:
    """Why it cannot be claimed: it is live, or a command such as `evaluate` writes into it after its end."""
    if (found := state.read(directory)).live:
        return _live(directory, found)
    return UserError(f"another command is writing into {directory.name}", "try again when it has ended")


def _live(directory: RunDirectory, found: state.State) -> UserError:
    where = f"in process {found.pid} on {found.host}"
    return UserError(
        f"{directory.name} is live {where}: two processes must not write one run",
        f"watch and steer it with `xray-tui watch {shlex.quote(directory.name)}`",
    )

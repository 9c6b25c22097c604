"""How a run is, for anyone who looks at its directory."""

import os
import socket
import sys
import time
from typing import Literal

import msgspec
from msgspec import Struct

from xray_tui.files import replace_bytes
from xray_tui.regular_files import open_regular
from xray_tui.runs.directory import RunDirectory

if sys.platform != "win32":
    import fcntl

Status = Literal["running", "paused", "handover", "done", "failed", "interrupted"]

STALE_SECONDS = 20.0
"""A heartbeat older than this means that the process is gone: ten beats missed."""


_CLOCKS_APART_SECONDS = 24 * 3600.0
"""Another machine's clock may be ahead; a heartbeat from next year is no sign of life."""
_PROCESSES = 2**31
_MOST_BYTES = 1 << 16


class State(Struct, frozen=True):
    status: Status
    pid: int
    host: str
    heartbeat: float
    """Unix seconds of the last sign of life."""

    @property
    def live(self) -> bool:
        return self.status in ("running", "paused", "handover")


def write(directory: RunDirectory, status: Status) -> None:
    state = State(status=status, pid=os.getpid(), host=socket.gethostname(), heartbeat=time.time())
    replace_bytes(directory.state, msgspec.json.encode(state))


def written(directory: RunDirectory) -> State | None:
    """The state as it was last written, whether or not its process still lives."""
    try:
        return msgspec.json.decode(directory.read(directory.state, _MOST_BYTES), type=State)
    except (
        OSError,
        msgspec.DecodeError,
        UnicodeDecodeError,
        RecursionError,
    ):  # a power cut may leave it empty
        return None


def read(directory: RunDirectory) -> State:
    """The state; a run whose process is gone, or that never wrote one, is ``interrupted``."""
    state = written(directory)
    if state is None:
        return State(status="interrupted", pid=0, host="", heartbeat=0.0)
    if state.live and not _alive(state, directory):
        return msgspec.structs.replace(state, status="interrupted")
    return state


def _alive(state: State, directory: RunDirectory) -> bool:
    here = state.host == socket.gethostname()
    age_seconds = time.time() - state.heartbeat
    if not -_CLOCKS_APART_SECONDS <= age_seconds <= STALE_SECONDS and not (here and _is_locked(directory)):
        return False
    if not 0 < state.pid < _PROCESSES:  # to the system, others mean groups of processes
        return False
    if not here:
        return True
    try:
        os.kill(state.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, and is someone else's
        return True
    return True


def _is_locked(directory: RunDirectory) -> bool:
    """Whether a process holds the journal: stopped by ctrl+z it has no heartbeat, and is not gone."""
    if sys.platform == "win32":
        return False
    try:
        with open_regular(directory.journal, follow=False) as journal:  # never waits for a pipe
            # Let go at once; whoever claims the run in this very moment tries again.
            fcntl.flock(journal, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is none, or a file system without locks
        return False
    return False

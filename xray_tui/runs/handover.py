"""Hands a run over: starts a process of its own that resumes it, and waits until that has taken over."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import xray_tui
from xray_tui.errors import UserError
from xray_tui.events import Control
from xray_tui.runs import state
from xray_tui.runs.claim import Claim
from xray_tui.runs.directory import RunDirectory
from xray_tui.words import harmless

LIMIT_SECONDS = 180.0
"""Importing torch from a cold network disk and loading a large checkpoint may take a minute."""
_POLL_SECONDS = 0.1
_HEARTBEAT_SECONDS = 2.0

Requests = Callable[[], Iterable[tuple[Control, float | None]]]


def hand_over(
    directory: RunDirectory,
    requests: Requests,
    *,
    command: Sequence[str] | None = None,
    limit_seconds: float = LIMIT_SECONDS,
) -> str:
    """Let another process go on with a run that this one has left, its journal closed.

    Args:
        requests: what has been asked of the run since; asked again, of whoever has it then.
        command: starts the process (default: ``xray-tui resume RUN --take-over``).

    Returns:
        Why nobody took over, and this process may go on; empty where one has.
    """
    try:
        state.write(directory, "handover")
        with directory.detached_log.open("ab") as log:
            before = log.tell()
            # A session of its own: what ends this terminal does not reach it.
            child = subprocess.Popen(
                command or _command(directory),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    except OSError as error:
        return f"no process could be started: {error.strerror}"
    began = beaten = time.monotonic()
    asked: list[tuple[Control, float | None]] = []
    while time.monotonic() - began < limit_seconds:
        asked += requests()
        with suppress(OSError):  # a full disk takes them the next time
            while asked:
                directory.request(*asked[0])
                del asked[0]
        code = child.poll()  # before the state: what it wrote last is then there
        found = state.written(directory)
        if found is not None and found.pid == child.pid:
            # Somebody must ask how it ended, or it would stay a zombie that looks alive.
            threading.Thread(target=child.wait, name="handed over", daemon=True).start()
            return ""
        if code is not None:
            return _last_words(directory, before) or f"the process ended with code {code}"
        if time.monotonic() - beaten > _HEARTBEAT_SECONDS:
            _beat(directory)
            beaten = time.monotonic()
        time.sleep(_POLL_SECONDS)
    child.kill()
    child.wait()
    return f"the process did not take over within {limit_seconds:.0f} seconds"


def own_command(module: str, *arguments: str) -> list[str]:
    """A command line that runs a module of ours in a process of its own."""
    # A checkout runs from its own folder; an installed program must not import what lies around there.
    in_checkout = Path(xray_tui.__file__).parent.parent == Path.cwd()
    safe = [] if in_checkout else ["-P"]
    return [sys.executable, *safe, "-m", module, *arguments]


def _command(directory: RunDirectory) -> list[str]:
    return own_command("xray_tui", "resume", str(directory.path.absolute()), "--take-over")


def _beat(directory: RunDirectory) -> None:
    """Say that this process lives, unless the other one has the run by now."""
    try:
        with Claim(directory, patience_seconds=0):
            found = state.written(directory)
            if found is not None and found.status == "handover":
                state.write(directory, "handover")
    except (UserError, OSError):  # it has, and will say so itself; or there is no room, and it is said later
        return


def _last_words(directory: RunDirectory, start: int) -> str:
    with directory.detached_log.open("rb") as log:
        log.seek(start)
        lines = log.read().decode("utf-8", "replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
    return harmless((errors or said or [""])[-1])

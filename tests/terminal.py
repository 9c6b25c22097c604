"""A terminal for the end-to-end tests: a real pseudo-terminal, its screen drawn by pyte."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import pyte

from tests.forked import Program


class Terminal:
    """Runs xray-tui in a pseudo-terminal; look at the screen, press keys.

    Args:
        arguments: of ``xray-tui``.
        folder: working directory.
        size: (columns, rows).
        environment: on top of this process's.
        program: what Python runs; by default ``xray-tui``, forked from a process that has torch loaded.
    """

    def __init__(
        self,
        *arguments: str,
        folder: Path,
        size: tuple[int, int] = (120, 40),
        environment: dict[str, str] | None = None,
        program: tuple[str, ...] = (),
    ) -> None:
        columns, rows = size
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._text: str | None = None
        self._looked_at = True
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        variables = os.environ | {"TERM": "xterm-256color", "COLUMNS": "", "LINES": ""} | (environment or {})
        for unset in ("COLUMNS", "LINES", "NO_COLOR"):
            if not (environment or {}).get(unset):
                variables.pop(unset, None)
        self.process: Program | subprocess.Popen[bytes]
        if program:
            self.process = subprocess.Popen(
                [sys.executable, *program, *arguments],
                cwd=folder,
                env=variables,
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
                # The terminal must be the controlling one, or Ctrl-C in it would signal nobody.
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            )
        else:
            self.process = Program(arguments, folder, os.ttyname(theirs), variables)
        self._theirs: int | None = theirs
        """Open until the program has it too: without that, reading would end before it begins."""
        self._ours = ours
        self._hung_up = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._hung_up = True
        self._reader.join(5)

    @property
    def text(self) -> str:
        """The screen as it is now."""
        with self._lock:
            if self._text is None:  # putting it together takes longer than a test waits between two looks
                self._text = "\n".join(line.rstrip() for line in self._screen.display)
            return self._text

    def look_away(self) -> None:
        """From now on nothing is drawn: drawing takes the processor that a benchmark measures."""
        self._looked_at = False

    def hang_up(self) -> None:
        """The terminal is gone, as when a connection breaks."""
        self._hung_up = True
        self._reader.join()

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait_for(self, *wanted: str, seconds: float = 60) -> str:
        """Wait until all of it stands on the screen."""
        return self.wait_until(lambda text: all(part in text for part in wanted), f"{wanted}", seconds)

    def wait_until(self, holds: Callable[[str], bool], what: str, seconds: float = 60) -> str:
        deadline = time.monotonic() + seconds
        while not holds(text := self.text):
            assert time.monotonic() < deadline, f"{what} did not come; the screen:\n{text}"
            assert self.process.poll() is None, f"ended ({self.process.returncode}) before {what}:\n{text}"
            time.sleep(0.05)
        return text

    def wait(self, seconds: float = 30) -> int:
        """The exit code; what was said until then is on the screen."""
        code = self.process.wait(seconds)
        self._reader.join(10)
        return code

    def _read(self) -> None:
        """Feed the screen until the other side has closed; the side here is closed by nobody else."""
        while not self._hung_up:
            if not select.select([self._ours], [], [], 0.1)[0]:
                continue
            try:
                content = os.read(self._ours, 65536)
            except OSError:  # Linux says so when the other side has closed
                break
            if not content:
                break
            self._let_go()
            if self._looked_at:
                self._draw(content)
        self._let_go()
        os.close(self._ours)

    def _let_go(self) -> None:
        if self._theirs is not None:
            os.close(self._theirs)
            self._theirs = None

    def _draw(self, content: bytes) -> None:
        with self._lock:
            self._stream.feed(content)
            self._text = None

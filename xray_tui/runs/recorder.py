"""Writes the directory of a run while it lives: its journal, its state, its progress."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from xray_tui import event_lines
from xray_tui.events import Control, ControlUsed, Event, Progress, RunEnded
from xray_tui.files import replace_bytes
from xray_tui.runs import state
from xray_tui.runs.claim import Claim
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.journal import JournalWriter
from xray_tui.runs.state import Status

_TICK_SECONDS = 0.25  # progress.json changes at most four times a second
_HEARTBEAT_SECONDS = 2.0


class Recorder:
    """An observer of one run.

    A thread of its own beats the heart, writes the newest progress and looks for requests, so the
    training never waits for a disk between batches.

    Args:
        directory: of the run.
        obey: called, in that thread, with each request another process left in ``control/``, and its value.
        refuse: likewise, with what is wrong with one.
        claim: the right to write the run (default: taken here); closed with the recorder.

    Raises:
        UserError: another process writes the run.
        OSError: from a call, where the disk is full or the directory cannot be written any more.
    """

    def __init__(
        self,
        directory: RunDirectory,
        obey: Callable[[Control, float | None], None],
        refuse: Callable[[str], None],
        claim: Claim | None = None,
    ) -> None:
        self._directory = directory
        self._obey = obey
        self._refuse = refuse
        self._keep = JournalWriter(directory, claim)
        self._status: Status = "running"
        self._progress: Progress | None = None
        self._one_state = threading.Lock()
        """The file is replaced by way of another one, which two threads would take from each other."""
        self._ending = threading.Event()
        state.write(directory, self._status)
        self._thread = threading.Thread(target=self._beat, name="recorder", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Write what the event tells. Where that failed, it may be called again with the same event."""
        if isinstance(event, Progress):
            self._progress = event
            return
        self._keep(event)
        match event:
            case ControlUsed(control="pause"):
                self._enter("paused")
            case ControlUsed(control="resume"):
                self._enter("running")
            case RunEnded(outcome=outcome):
                self._enter(outcome)

    def close(self, *, ended: bool = False) -> None:
        """
        Args:
            ended: nobody goes on with the run: where its end found no room, at least this is said.
        """
        self._ending.set()
        self._thread.join()
        if ended and self._status in ("running", "paused"):
            with suppress(OSError):
                self._enter("interrupted")
        self._keep.close()
        self._directory.progress.unlink(missing_ok=True)

    def _enter(self, status: Status) -> None:
        with self._one_state:
            self._status = status
            state.write(self._directory, status)

    def _beat(self) -> None:
        written: Progress | None = None
        beaten = time.monotonic()
        while not self._ending.wait(_TICK_SECONDS):
            with suppress(OSError):  # a disk in the network that does not answer may do so at the next tick
                for control, value in self._directory.take_requests(self._refuse):
                    self._obey(control, value)
            progress = self._progress
            # A disk without room is the business of the thread that trains; this one tries again.
            with suppress(OSError):
                if progress is not written and progress is not None:
                    replace_bytes(self._directory.progress, event_lines.encode(progress))
                    written = progress
                if time.monotonic() - beaten > _HEARTBEAT_SECONDS:
                    with self._one_state:
                        if self._status in ("running", "paused"):
                            state.write(self._directory, self._status)
                    beaten = time.monotonic()

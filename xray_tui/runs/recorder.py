"""Writes a run's directory from its events: the journal, the state, the predictions."""

import csv
import errno
import io
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from io import FileIO

from xray_tui import events
from xray_tui.events import (
    Control,
    ControlUsed,
    EpochEnded,
    Event,
    Mistakes,
    Progress,
    Resumed,
    RunEnded,
    RunStarted,
    StageEnded,
    TestEvaluated,
)
from xray_tui.files import replace_bytes, replacing
from xray_tui.runs import state
from xray_tui.runs.claim import Claim
from xray_tui.runs.directory import RunDirectory
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
        self._claim = claim or Claim(directory)
        self._journal = self._claim.journal
        self._seq = _mend(directory, self._journal)
        self._status: Status = "running"
        self._progress: Progress | None = None
        self._journaled: Event | None = None
        """The last one whose line is written."""
        self._ending = threading.Event()
        state.write(directory, self._status)
        self._thread = threading.Thread(target=self._beat, name="recorder", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Write what the event tells. Where that failed, it may be called again with the same event."""
        if isinstance(event, Progress):
            self._progress = event
            return
        if event is not self._journaled:
            match event:
                case RunStarted():
                    self._write_sources(event)
                case EpochEnded():
                    self._write_predictions(event)
                case Resumed():
                    self._drop_predictions(event.epoch)
            self._append(events.encode(event, self._seq) + b"\n")
            self._seq += 1
            self._journaled = event
        match event:
            case ControlUsed(control="pause"):
                self._enter("paused")
            case ControlUsed(control="resume"):
                self._enter("running")
            case Mistakes() | StageEnded() | TestEvaluated():
                # Of an epoch's events Mistakes is the last. A checkpoint follows that counts the epoch as
                # done: after a power cut the journal must not know less than the checkpoint.
                os.fsync(self._journal.fileno())
            case RunEnded(outcome=outcome):
                os.fsync(self._journal.fileno())
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
        self._claim.close()
        self._directory.progress.unlink(missing_ok=True)

    def _append(self, line: bytes) -> None:
        """One write of one whole line: a reader sees all of it or nothing. So does a disk that fills up."""
        written = self._journal.write(line)
        if written == len(line):
            return
        self._journal.truncate(self._journal.tell() - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._directory.journal))

    def _enter(self, status: Status) -> None:
        self._status = status
        state.write(self._directory, status)

    def _beat(self) -> None:
        written: Progress | None = None
        beaten = time.monotonic()
        while not self._ending.wait(_TICK_SECONDS):
            for control, value in self._directory.take_requests(self._refuse):
                self._obey(control, value)
            progress = self._progress
            # A disk without room is the business of the thread that trains; this one tries again.
            with suppress(OSError):
                if progress is not written and progress is not None:
                    replace_bytes(self._directory.progress, events.encode(progress))
                    written = progress
                if time.monotonic() - beaten > _HEARTBEAT_SECONDS and self._status in ("running", "paused"):
                    state.write(self._directory, self._status)
                    beaten = time.monotonic()

    def _drop_predictions(self, first: int) -> None:
        """Of epochs that a resumed run does again: it may come to fewer of them."""
        for file in self._directory.predictions.glob("*.npz"):
            if file.stem.isdecimal() and int(file.stem) >= first:
                file.unlink()

    def _write_sources(self, event: RunStarted) -> None:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["path", "actual", "patient"])
        for source in event.validation or []:
            table.writerow([source.path, event.classes[source.actual], source.patient])
        content = text.getvalue().encode("utf-8", "surrogateescape")  # a file name may be any bytes
        replace_bytes(self._directory.predictions / "images.csv", content, durable=True)

    def _write_predictions(self, event: EpochEnded) -> None:
        if event.probabilities is None:
            return
        import numpy as np  # here, for a screen that only reads runs does not wait for it

        file = self._directory.predictions / f"{event.epoch:04d}.npz"
        with replacing(file) as part, part.open("wb") as out:
            np.savez_compressed(
                out,
                probabilities=np.asarray(event.probabilities, np.float32),
                loss=np.asarray(event.losses, np.float32),
            )


def _mend(directory: RunDirectory, journal: FileIO) -> int:
    """Cut off a last line that a dying process did not finish.

    Returns:
        The number of whole lines, the next one's sequence number.
    """
    whole_bytes = lines = 0
    with directory.journal.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                whole_bytes, lines = whole_bytes + len(line), lines + 1
    journal.truncate(whole_bytes)
    return lines

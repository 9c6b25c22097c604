"""Writes a run's directory from its events: the journal, the state, the predictions."""

import csv
import io
import threading
import time
from collections.abc import Callable

import msgspec
import numpy as np

from xray_tui import events
from xray_tui.events import Control, ControlUsed, EpochEnded, Event, Progress, RunEnded, RunStarted
from xray_tui.files import replace_bytes, replacing
from xray_tui.runs import state
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
        obey: called, in that thread, with each request another process left in ``control/``.

    Raises:
        OSError: from a call, where the directory cannot be written any more.
    """

    def __init__(self, directory: RunDirectory, obey: Callable[[Control], None]) -> None:
        self._directory = directory
        self._obey = obey
        self._journal = directory.journal.open("ab", buffering=0)
        self._seq = _lines(directory)
        self._status: Status = "running"
        self._progress: Progress | None = None
        self._ending = threading.Event()
        state.write(directory, self._status)
        self._thread = threading.Thread(target=self._beat, name="recorder", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._progress = event
            return
        match event:
            case RunStarted():
                self._write_sources(event)
            case EpochEnded():
                self._write_predictions(event)
        # One write of one whole line: a reader sees all of it or nothing.
        self._journal.write(events.encode(event, self._seq) + b"\n")
        self._seq += 1
        match event:
            case ControlUsed(control="pause"):
                self._enter("paused")
            case ControlUsed():
                self._enter("running")
            case RunEnded(outcome=outcome):
                self._enter(outcome)

    def close(self) -> None:
        self._ending.set()
        self._thread.join()
        self._journal.close()
        self._directory.progress.unlink(missing_ok=True)

    def _enter(self, status: Status) -> None:
        self._status = status
        state.write(self._directory, status)

    def _beat(self) -> None:
        written: Progress | None = None
        beaten = time.monotonic()
        while not self._ending.wait(_TICK_SECONDS):
            for control in self._directory.take_requests():
                self._obey(control)
            progress = self._progress
            if progress is not written and progress is not None:
                replace_bytes(self._directory.progress, events.encode(progress))
                written = progress
            if time.monotonic() - beaten > _HEARTBEAT_SECONDS and self._status in ("running", "paused"):
                state.write(self._directory, self._status)
                beaten = time.monotonic()

    def _write_sources(self, event: RunStarted) -> None:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["path", "actual", "patient"])
        for source in event.validation or []:
            table.writerow([source.path, event.classes[source.actual], source.patient])
        content = text.getvalue().encode("utf-8", "surrogateescape")  # a file name may be any bytes
        replace_bytes(self._directory.predictions / "images.csv", content)

    def _write_predictions(self, event: EpochEnded) -> None:
        if event.probabilities is None:
            return
        file = self._directory.predictions / f"{event.epoch:04d}.npz"
        with replacing(file, durable=False) as part, part.open("wb") as out:
            np.savez_compressed(
                out,
                probabilities=np.asarray(event.probabilities, np.float32),
                loss=np.asarray(event.losses, np.float32),
            )


def _lines(directory: RunDirectory) -> int:
    """The number of lines in the journal, its next sequence number."""
    with directory.journal.open("rb") as file:
        return sum(1 for _ in file)


def read_progress(directory: RunDirectory) -> Progress | None:
    """Where the epoch under way stands, as last written."""
    try:
        event = events.decode(directory.progress.read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return event if isinstance(event, Progress) else None

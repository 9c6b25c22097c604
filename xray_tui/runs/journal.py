"""Writes what the events of a run tell: the journal, and the predictions that they carry."""

import csv
import errno
import io
import os
from collections.abc import Iterable
from pathlib import Path

from msgspec import structs

from xray_tui import event_lines
from xray_tui.events import (
    Array,
    EpochEnded,
    Event,
    Explained,
    Mistakes,
    OperatingPoint,
    Resumed,
    RunEnded,
    RunStarted,
    Source,
    StageEnded,
    TestEvaluated,
    TestUnsealed,
    Warning,
)
from xray_tui.files import replace_bytes, replacing
from xray_tui.runs import explanations
from xray_tui.runs.claim import Claim
from xray_tui.runs.directory import RunDirectory

_DURABLE = Mistakes, StageEnded, OperatingPoint, TestUnsealed, TestEvaluated, RunEnded
"""Of an epoch's events Mistakes is the last. A checkpoint follows that counts the epoch as done: after a
power cut the journal must not know less than the checkpoint."""
_MOST_PATHS, _LONGEST_PATH = 1000, 4096
"""Of a warning: no line may become longer than a reader takes (see `follow`)."""


class JournalWriter:
    """An observer that keeps events for good.

    Args:
        directory: of the run.
        claim: the right to write it (default: taken here); closed with the writer.

    Raises:
        UserError: another process writes the run.
        OSError: from a call, where the disk is full or the directory cannot be written any more.
    """

    def __init__(self, directory: RunDirectory, claim: Claim | None = None) -> None:
        self._directory = directory
        self._claim = claim or Claim(directory)
        self._journal = self._claim.journal
        self._classes: list[str] = []
        self._seq = self._mend()
        self._journaled: Event | None = None
        """The last one whose line is written."""

    def __call__(self, event: Event) -> None:
        """Write what the event tells. Where that failed, it may be called again with the same event."""
        if event is not self._journaled:
            match event:
                case RunStarted():
                    self._classes = event.classes
                    self._write_sources(self._directory.images, event.validation or [])
                case EpochEnded() if event.probabilities is not None:
                    file = self._directory.predictions_of(event.epoch)
                    self._write_predictions(file, event.probabilities, event.losses)
                case Explained() if event.images is not None:
                    explanations.write(self._directory, event, self._classes)
                case TestEvaluated() if event.sources is not None:
                    self._write_sources(self._directory.test_images, event.sources)
                    self._write_predictions(
                        self._directory.test_predictions, event.probabilities, event.losses
                    )
                case Resumed():
                    self._drop_predictions(event.epoch)
            self._append(event_lines.encode(_bounded(event), self._seq) + b"\n")
            self._seq += 1
            self._journaled = event
        if isinstance(event, _DURABLE):
            os.fsync(self._journal.fileno())

    def close(self) -> None:
        self._claim.close()

    def _append(self, line: bytes) -> None:
        """One write of one whole line: a reader sees all of it or nothing. So does a disk that fills up."""
        written = self._journal.write(line)
        if written == len(line):
            return
        self._journal.truncate(self._journal.tell() - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._directory.journal))

    def _mend(self) -> int:
        """Cut off a last line that a dying process did not finish; learn the run's classes.

        Returns:
            The number of whole lines, the next one's sequence number.
        """
        whole_bytes = lines = 0
        with self._directory.journal.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    whole_bytes, lines = whole_bytes + len(line), lines + 1
                    if b'"type":"run_started"' in line:
                        started = event_lines.decode(line)
                        self._classes = started.classes if isinstance(started, RunStarted) else self._classes
        self._journal.truncate(whole_bytes)
        return lines

    def _drop_predictions(self, first: int) -> None:
        """Of epochs that a resumed run does again, and of what came after: it may come to fewer of them."""
        for file in self._directory.predictions.glob("*.npz"):
            if file.stem.isdecimal() and int(file.stem) >= first:
                file.unlink()
        self._directory.test_predictions.unlink(missing_ok=True)
        self._directory.test_images.unlink(missing_ok=True)

    def _write_sources(self, file: Path, sources: Iterable[Source]) -> None:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["path", "actual", "patient"])
        for source in sources:
            table.writerow([source.path, self._classes[source.actual], source.patient])
        content = text.getvalue().encode("utf-8", "surrogateescape")  # a file name may be any bytes
        replace_bytes(file, content, durable=True)

    def _write_predictions(self, file: Path, probabilities: Array, losses: Array) -> None:
        import numpy as np  # here, for a screen that only reads runs does not wait for it

        with replacing(file) as part, part.open("wb") as out:
            np.savez_compressed(
                out,
                probabilities=np.asarray(probabilities, np.float32),
                loss=np.asarray(losses, np.float32),
            )


def _bounded(event: Event) -> Event:
    if not isinstance(event, Warning) or not event.paths:
        return event
    return structs.replace(event, paths=[path[:_LONGEST_PATH] for path in event.paths[:_MOST_PATHS]])

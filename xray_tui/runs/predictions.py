"""What a run kept of every validation image, epoch by epoch, and of test: ``predictions/`` read back."""

import csv
import io
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from xray_tui import metrics
from xray_tui.errors import UserError
from xray_tui.files import replacing
from xray_tui.regular_files import open_regular
from xray_tui.runs.directory import RunDirectory
from xray_tui.words import harmless

_KEPT_EPOCHS = 8
"""Scrubbing to and fro reads each of these once."""

_HEAD_BYTES, _LONGEST_WHY = 4096, 200

_Stamp = tuple[int, int]
"""Size and time of a file: a resumed run writes an epoch's file anew."""


@dataclass(frozen=True)
class Images:
    """The validation images, in the order of an epoch's rows."""

    paths: list[str]
    """Relative to the data folder, with forward slashes."""
    actual: NDArray[np.int64]
    """Class numbers, (N,)"""
    patients: list[str]

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True)
class EpochPredictions:
    epoch: int
    probabilities: NDArray[np.float32]
    """(N, C)"""
    losses: NDArray[np.float32]
    """Negative log-likelihood, (N,)"""


@dataclass(frozen=True)
class Predictions:
    """What a run predicted for some images; of test, calibrated where the run was to be."""

    images: Images
    """Their paths, actual classes and patients."""
    probabilities: NDArray[np.float32]
    """(N, C), by the run's classes."""
    losses: NDArray[np.float32]
    """Negative log-likelihood, (N,)"""


@dataclass(frozen=True)
class Fate:
    """How one image fared in one epoch, by the rule that was asked for."""

    epoch: int
    right: bool
    probability: float
    """Of its actual class."""


@dataclass(frozen=True)
class _Fates:
    """How the images fared in one epoch, by whatever threshold is asked for."""

    of_actual: NDArray[np.float16]
    """Probability of the actual class, (N,); no number where an image has none."""
    of_positive: NDArray[np.float32]
    """Probability of the positive class, (N,)."""
    is_positive: NDArray[np.bool_]
    """Whether that is the actual one."""
    wrong: NDArray[np.bool_]
    """Where the likeliest class is called."""
    wrong_else: NDArray[np.bool_]
    """Where the likeliest of the others is called."""

    def wrong_at(self, threshold: float | None) -> NDArray[np.bool_]:
        """(N,), as :func:`metrics.predicted_at` calls."""
        if threshold is None:
            return self.wrong
        called = self.of_positive >= np.float32(threshold)
        wrong: NDArray[np.bool_] = np.where(called, ~self.is_positive, self.wrong_else)
        return wrong & np.isfinite(self.of_actual)


class KeptPredictions:
    """The predictions of one run. Methods may be called from any thread.

    Small in memory: of most epochs only what :class:`Fate` needs is kept, nine bytes an image.

    Args:
        classes: the run's classes, by name.
        positive: the class that thresholds are of; the last by default.
    """

    def __init__(self, directory: RunDirectory, classes: Sequence[str], positive: int = -1) -> None:
        self.directory = directory
        self.classes = list(classes)
        self.positive = positive if positive >= 0 else len(self.classes) - 1
        self._lock = threading.Lock()
        self._images: Images | None = None
        self._epochs: OrderedDict[int, tuple[_Stamp, EpochPredictions]] = OrderedDict()
        self._fates: dict[int, tuple[_Stamp, _Fates]] = {}

    def images(self) -> Images:
        """Read once, then kept.

        Raises:
            UserError: the run kept none, or the file is damaged.
        """
        with self._lock:
            if self._images is None:
                self._images = _read_images(self.directory, self.directory.images, self.classes)
            return self._images

    def epoch(self, number: int) -> EpochPredictions:
        """What one epoch predicted; the last few are kept.

        Raises:
            UserError: the epoch has no file, or it is damaged or of other images.
        """
        images = self.images()
        with self._lock:
            stamp = self._stamp(number)
            kept = self._epochs.get(number)
            if kept is None or kept[0] != stamp:
                kept = (stamp, self._read_epoch(number, images))
                self._epochs[number] = kept
                self._keep_fates(stamp, kept[1], images)
            self._epochs.move_to_end(number)
            while len(self._epochs) > _KEPT_EPOCHS:
                self._epochs.popitem(last=False)
            return kept[1]

    def learn_fates(self, numbers: Iterable[int]) -> bool:
        """Read those epochs as far as they are not known yet; ones that cannot be read are passed over.

        Returns:
            Whether something was learnt.
        """
        images, learnt = self.images(), False
        for number in numbers:
            with self._lock:  # a lock an epoch: whoever wants to see one does not wait for all
                try:
                    stamp = self._stamp(number)
                    if number not in self._fates or self._fates[number][0] != stamp:
                        self._keep_fates(stamp, self._read_epoch(number, images), images)
                        learnt = True
                except UserError:
                    learnt = self._fates.pop(number, None) is not None or learnt
        return learnt

    def fates(self, image: int, numbers: Iterable[int], threshold: float | None = None) -> list[Fate]:
        """How an image fared in those of the epochs that are known, in their order.

        Left out is an epoch that gave it no numbers: it was neither right nor wrong.

        Args:
            threshold: from which on the positive class is called; ``None`` calls the likeliest.
        """
        known = [(number, self._fates[number][1]) for number in numbers if number in self._fates]
        return [
            Fate(number, not fates.wrong_at(threshold)[image], float(fates.of_actual[image]))
            for number, fates in known
            if np.isfinite(fates.of_actual[image])
        ]

    def times_wrong(
        self, numbers: Iterable[int], threshold: float | None = None
    ) -> tuple[NDArray[np.int64], int]:
        """In how many of those epochs each image was wrong, (N,), and how many of them are known.

        Args:
            threshold: as of :meth:`fates`.
        """
        known = [self._fates[number][1] for number in numbers if number in self._fates]
        times = np.zeros(len(self.images()), np.int64)
        for fates in known:
            times += fates.wrong_at(threshold)
        return times, len(known)

    def _stamp(self, number: int) -> _Stamp:
        try:
            found = self.directory.predictions_of(number).stat()
        except OSError as error:
            raise UserError(
                f"No predictions were kept of epoch {number}.",
                f"{self.directory.predictions_of(number)}: {error.strerror}",
            ) from None
        return found.st_size, found.st_mtime_ns

    def _read_epoch(self, number: int, images: Images) -> EpochPredictions:
        file, what = self.directory.predictions_of(number), f"epoch {number}"
        return EpochPredictions(number, *_read_arrays(self.directory, file, what, images, self.classes))

    def _keep_fates(self, stamp: _Stamp, found: EpochPredictions, images: Images) -> None:
        likeliest, likeliest_else = (
            metrics.predicted_at(found.probabilities, self.positive, threshold)
            for threshold in (None, np.inf)
        )
        called = likeliest != metrics.UNCALLED
        of_actual = found.probabilities[np.arange(len(images)), images.actual].astype(np.float16)
        of_actual[~called] = np.nan
        fates = _Fates(
            of_actual=of_actual,
            of_positive=found.probabilities[:, self.positive].copy(),
            is_positive=images.actual == self.positive,
            wrong=called & (likeliest != images.actual),
            wrong_else=called & (likeliest_else != images.actual),
        )
        self._fates[found.epoch] = (stamp, fates)


def read_test(directory: RunDirectory, classes: Sequence[str]) -> Predictions:
    """What a run kept of test.

    Args:
        classes: the run's, by name.

    Raises:
        UserError: it kept nothing, or that is damaged or of other images.
    """
    images = _read_images(directory, directory.test_images, classes)
    return Predictions(images, *_read_arrays(directory, directory.test_predictions, "test", images, classes))


def _read_images(directory: RunDirectory, file: Path, classes: Sequence[str]) -> Images:
    try:
        rows = directory.sources(file)
    except FileNotFoundError:
        if not directory.path.exists():
            raise UserError("This run's folder is gone.", f"deleted or moved: {directory.path}") from None
        raise UserError("This run kept no predictions.", f"there is no {file}") from None
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise UserError(f"{file} cannot be read: {why}") from None
    number = {name: index for index, name in enumerate(classes)}
    unknown = sorted({actual for _, actual, _ in rows} - set(number))
    if unknown:
        raise UserError(
            f"{file} names a class that the run does not have: {harmless(unknown[0])[:_LONGEST_WHY]}"
        )
    return Images(
        paths=[path for path, _, _ in rows],
        actual=np.array([number[actual] for _, actual, _ in rows], np.int64),
        patients=[patient for _, _, patient in rows],
    )


def _read_arrays(
    directory: RunDirectory, file: Path, what: str, images: Images, classes: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Probabilities (N, C) and losses (N,) of some images.

    Args:
        what: they are of, in words.

    Raises:
        UserError: the file is damaged or of other images.
    """
    most_bytes = _HEAD_BYTES + len(images) * max(2, len(classes)) * np.dtype(np.float64).itemsize
    try:
        directory.check_inside(file)
        with open_regular(file, follow=False) as opened:
            probabilities = _array(opened, "probabilities", most_bytes)
            losses = _array(opened, "loss", most_bytes)
    except Exception as error:  # there is hardly one that broken bytes do not make zipfile or numpy raise
        why = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
        told = f"{file}: {harmless(why)[:_LONGEST_WHY]}"
        raise UserError(f"The predictions of {what} are damaged.", told) from None
    wanted = (len(images), len(classes))
    if probabilities.shape != wanted or losses.shape != wanted[:1]:
        raise UserError(
            f"The predictions of {what} are of other images.",
            f"{file} holds {probabilities.shape}, the table of images and the classes make {wanted}",
        )
    return probabilities, losses


def _array(file: BinaryIO, name: str, most_bytes: int) -> NDArray[np.float32]:
    """One array of an ``.npz`` file.

    Raises:
        ValueError: it would unpack to more than that, or holds no numbers.
        Exception: whatever zipfile and numpy raise on broken bytes.
    """
    with zipfile.ZipFile(file) as archive:
        member = archive.getinfo(f"{name}.npy")
        if member.file_size > most_bytes:
            raise ValueError(f"{name} has {member.file_size:,} bytes, for so few images")
        content = archive.read(member)
    found = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    if found.dtype.kind != "f":
        raise ValueError(f"{name} holds no numbers but {found.dtype}")
    return np.asarray(found, np.float32)


def write_mistakes(
    directory: RunDirectory,
    epoch: int,
    rows: Iterable[tuple[str, str, str, float, float, str]],
    threshold: float | None = None,
) -> Path:
    """Write a list of mistakes into the run's directory, under a name that is free.

    Args:
        rows: path, actual class, predicted class, probability of the predicted class, loss, patient.
        threshold: from which on positive was called; ``None`` where the likeliest class was.

    Returns:
        The file: ``mistakes-epoch-0012.csv``, from the second on ``mistakes-epoch-0012-2.csv``.

    Raises:
        OSError: the directory cannot be written.
    """
    stem = f"mistakes-epoch-{epoch:04d}"
    names = (f"{stem}.csv" if number == 1 else f"{stem}-{number}.csv" for number in count(1))
    file = next(file for name in names if not (file := directory.path / name).exists())
    with replacing(file) as part, part.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["path", "actual", "predicted", "probability", "loss", "patient", "threshold"])
        since = "" if threshold is None else f"{threshold:.6g}"
        for path, actual, predicted, probability, loss, patient in rows:
            table.writerow([path, actual, predicted, f"{probability:.6f}", f"{loss:.6f}", patient, since])
    return file

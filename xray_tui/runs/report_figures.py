"""The figures of a run's report."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xray_tui.errors import UserError
from xray_tui.events import Mistake
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.explanations import picture
from xray_tui.runs.record import RunRecord
from xray_tui.words import percent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xray_tui.figures import Binned, Picture
    from xray_tui.runs.judged import Judged

WORST = 8
"""Mistakes that are shown."""
NAMES = ("epochs.png", "roc.png", "precision_recall.png", "calibration.png", "confusion.png", "mistakes.png")
"""Of all figures; a run has those that there is something to draw for."""

_SHORT_SIDE_PX = 176
_PICTURE_BYTES, _PICTURE_SIDE_PX = 1 << 24, 4096
"""More has no picture that a run keeps."""


def draw(record: RunRecord, judged: Sequence[Judged], directory: RunDirectory) -> dict[str, bytes]:
    """PNG files by name, one of :data:`NAMES`. Takes a second or two.

    Args:
        judged: what :func:`xray_tui.runs.judged.judge` found.
    """
    from xray_tui import figures  # late, as metrics below: they take half a second

    drawn: dict[str, bytes] = {}
    if record.started is None:  # a line of the journal was lost
        return drawn
    if record.epochs:
        drawn["epochs.png"] = figures.epochs(
            [epoch.epoch for epoch in record.epochs],
            {
                "train": [epoch.train_loss for epoch in record.epochs],
                "validation": [epoch.validation_loss for epoch in record.epochs],
            },
            {
                "accuracy": [epoch.accuracy for epoch in record.epochs],
                "AUC": [epoch.auc for epoch in record.epochs],
            },
            boundary=record.boundary,
            best=record.best.epoch if record.best else None,
        )
    drawn |= _curves(record, judged)
    counted = [found for found in judged if any(map(any, found.metrics.confusion))]
    if counted:
        matrices: dict[str, list[list[int]]] = {found.role: found.metrics.confusion for found in counted}
        drawn["confusion.png"] = figures.confusion(matrices, record.classes)
    if shown := _pictures(record, judged, directory):
        drawn["mistakes.png"] = figures.pictures(shown)
    return drawn


def worst_mistakes(record: RunRecord, judged: Sequence[Judged]) -> tuple[list[Mistake], int]:
    """Of validation in the best epoch, by loss, and how many mistakes there are in all."""
    positive = record.classes.index(record.positive)
    for found in judged:
        if found.role == "validation" and found.kept is not None:
            return found.kept.worst(positive, found.threshold, WORST)
    if record.best is None or record.best.epoch not in record.mistakes:
        return [], 0
    told = record.mistakes[record.best.epoch]
    return told.worst[:WORST], told.total


def _curves(record: RunRecord, judged: Sequence[Judged]) -> dict[str, bytes]:
    """What needs the predictions of each image."""
    from xray_tui import figures, metrics

    positive = record.classes.index(record.positive)
    rocs: list[figures.Traced] = []
    precisions: list[figures.Traced] = []
    reliabilities: dict[str, list[figures.Binned]] = {}
    for found in judged:
        if found.kept is None:
            continue
        scores, is_positive = found.kept.probabilities[:, positive], found.kept.images.actual == positive
        roc, precision = metrics.roc(scores, is_positive), metrics.precision_recall(scores, is_positive)
        rates, intervals = found.metrics, found.intervals
        sensitivity, specificity = rates.sensitivity, rates.specificity
        if roc is not None and sensitivity is not None and specificity is not None:
            rocs.append(
                figures.Traced(
                    found.role, roc.x, roc.y, rates.auc, intervals.get("auc"), (1 - specificity, sensitivity)
                )
            )
        if precision is not None and sensitivity is not None:
            called = sum(row[positive] for row in rates.confusion)
            right = rates.confusion[positive][positive]
            precisions.append(
                figures.Traced(
                    found.role,
                    precision.x,
                    precision.y,
                    rates.average_precision,
                    intervals.get("average_precision"),
                    (sensitivity, right / called) if called else None,
                    chance=float(is_positive.mean()),
                )
            )
        binned = _binned(record, found, positive)
        if binned:
            reliabilities[found.role] = binned
    drawn = {}
    if rocs:
        drawn["roc.png"] = figures.roc(rocs)
    if precisions:
        drawn["precision_recall.png"] = figures.precision_recall(precisions)
    if reliabilities:
        drawn["calibration.png"] = figures.calibration(reliabilities)
    return drawn


def _binned(record: RunRecord, found: Judged, positive: int) -> list[Binned]:
    """Reliability as trained, and where the run was calibrated also thereafter."""
    from xray_tui import figures, metrics

    assert found.kept is not None
    temperature = record.point.temperature if record.point else None
    kinds = {"as trained": found.kept.trained}
    if temperature:
        kinds[f"temperature {temperature:.2f}"] = found.kept.probabilities
    binned = []
    for label, probabilities in kinds.items():
        reliable = metrics.reliability(probabilities[:, positive], found.kept.images.actual == positive)
        if reliable is not None:
            binned.append(figures.Binned(label, reliable.predicted, reliable.observed, reliable.counts))
    return binned


def _pictures(record: RunRecord, judged: Sequence[Judged], directory: RunDirectory) -> list[Picture]:
    """The worst mistakes whose radiograph, or whose Grad-CAM, is there to be seen."""
    from xray_tui.figures import Picture

    settings, shown = record.started.settings if record.started else {}, []
    root = settings.get("data", {}).get("root")
    for rank, mistake in enumerate(worst_mistakes(record, judged)[0], 1):
        images = [
            _radiograph(Path(root), mistake.path) if root else None,
            _grad_cam(record, directory, mistake),
        ]
        actual, predicted = record.classes[mistake.actual], record.classes[mistake.predicted]
        words = f"{rank}  is {actual}\n    called {predicted}, {percent(mistake.probability)}"
        if seen := [image for image in images if image is not None]:
            shown.append(Picture(words, seen))
    return shown


def _radiograph(root: Path, path: str) -> NDArray[np.uint8] | None:
    """The grey image, (H, W); ``None`` where it cannot be read any more."""
    from xray_tui.data.decoding import decode  # late: the report of a run without images needs none
    from xray_tui.data.pseudonyms import locate
    from xray_tui.data.unreadable import Unreadable

    if path.startswith("/") or ".." in path.split("/"):  # no file of the data folder
        return None
    try:
        return decode(locate(root / path), _SHORT_SIDE_PX)
    except (Unreadable, UserError):
        return None


def _grad_cam(record: RunRecord, directory: RunDirectory, mistake: Mistake) -> NDArray[np.uint8] | None:
    """Where the best weights looked, as the run kept it, (H, W, 3); ``None`` where it kept nothing."""
    import numpy as np
    from PIL import Image

    for stage, explained in record.explained.items():
        if record.best is None or explained.epoch != record.best.epoch:
            continue
        shown = [(kept.path, kept.predicted) for kept in explained.mistakes]
        if (mistake.path, mistake.predicted) not in shown:
            continue
        file = picture(directory, stage, shown.index((mistake.path, mistake.predicted)) + 1)
        try:
            directory.check_inside(file.parent)
            content = directory.read(file, _PICTURE_BYTES)
            with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
                if max(image.size) <= _PICTURE_SIDE_PX:
                    return np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError, ValueError):  # among them Pillow's words for a broken PNG
            continue
    return None

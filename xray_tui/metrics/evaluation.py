"""All metrics of one pass over a split."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from xray_tui.metrics.calibration import brier, calibration_error
from xray_tui.metrics.counting import UNCALLED, confusion_of, defined, mean, predicted_at, rates_of
from xray_tui.metrics.ranking import auc, average_precision


@dataclass(frozen=True)
class Metrics:
    """Rates are fractions."""

    loss: float | None
    """Mean negative log-likelihood over images, in nats."""
    accuracy: float | None
    balanced_accuracy: float | None
    """Mean over classes of the part of a class that is recognised; undefined where a class has no image."""
    auc: float | None
    """Area under the ROC curve, positive class against the rest."""
    average_precision: float | None
    """Of the positive class against the rest; see :func:`average_precision`."""
    sensitivity: float | None
    """Recall of the positive class."""
    specificity: float | None
    """Part of the other images that is not called positive."""
    f1: float | None
    """Harmonic mean of the positive class's precision and recall."""
    mcc: float | None
    """Matthews' correlation coefficient over all classes; undefined where all images are of one class or
    called one."""
    brier: float | None
    """Over all classes; see :func:`brier` for its scale."""
    calibration_error: float | None
    """Of the positive class's probability; see :func:`calibration_error`."""
    confusion: list[list[int]]
    """Images by actual class (rows) and predicted class (columns); zeros where a probability is not finite,
    and the rates are undefined."""


NUMBERS = tuple(field.name for field in fields(Metrics) if field.name != "confusion")
"""The fields that are one number."""

UNKNOWN = Metrics(**dict.fromkeys(NUMBERS), confusion=[])
"""Of nothing."""


def evaluate(
    probabilities: NDArray[np.float32],
    losses: NDArray[np.float32],
    actual: NDArray[np.int64],
    positive: int,
    threshold: float | None = None,
) -> Metrics:
    """All metrics of one pass over a split.

    Args:
        probabilities: (N, C).
        losses: negative log-likelihood of each image, (N,).
        actual: class numbers, (N,).
        positive: the class that AUC, average precision, sensitivity, specificity, F1 and calibration error
            speak of.
        threshold: rates and confusion are at it; ``None`` calls the likeliest class.
    """
    predicted = predicted_at(probabilities, positive, threshold)
    return _metrics(probabilities, mean(losses), actual, predicted, positive)


def per_class(
    probabilities: NDArray[np.float32],
    actual: NDArray[np.int64],
    threshold: float | None = None,
    positive: int | None = None,
) -> list[Metrics]:
    """Each class in turn against the rest: two classes, of which it is the second and the positive one.

    ``loss`` is undefined: it is of the classes together.

    Args:
        probabilities: (N, C).
        actual: class numbers, (N,).
        threshold: that of the ``positive`` class, which must be given with it; ``None`` calls the likeliest.
    """
    predicted = predicted_at(probabilities, positive or 0, threshold)
    found = []
    for of in range(probabilities.shape[1]):
        own = probabilities[:, of]
        against_rest = np.stack([1 - own, own], 1)
        called = np.where(predicted == UNCALLED, UNCALLED, predicted == of)
        found.append(_metrics(against_rest, None, (actual == of).astype(int), called, 1))
    return found


def macro(of_classes: Sequence[Metrics]) -> Metrics:
    """Means over classes, of each number that all classes have; without a confusion matrix."""
    # As float64 None is no number, nor then is the mean: one of some of the classes would pass for the whole.
    means = {name: mean(np.array([getattr(found, name) for found in of_classes], float)) for name in NUMBERS}
    return Metrics(**means, confusion=[])


def _metrics(
    probabilities: NDArray[np.float32],
    loss: float | None,
    actual: NDArray[np.int64],
    predicted: NDArray[np.int64],
    positive: int,
) -> Metrics:
    confusion = confusion_of(predicted, actual, probabilities.shape[1])
    scores, is_positive = probabilities[:, positive], actual == positive
    return Metrics(
        loss=loss,
        **{name: defined(value) for name, value in rates_of(confusion, positive).items()},
        auc=auc(scores, is_positive),
        average_precision=average_precision(scores, is_positive),
        brier=brier(probabilities, actual),
        calibration_error=calibration_error(scores, is_positive),
        confusion=confusion.tolist(),
    )

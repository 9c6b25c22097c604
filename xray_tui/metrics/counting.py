"""Who is called what, and the rates that follow from the predicted classes alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNCALLED = -1
"""In place of a class: the image's probabilities are not numbers, so it is called nothing."""


@dataclass(frozen=True)
class Rates:
    """What follows from the predicted classes alone; of the fields, see :class:`Metrics`."""

    accuracy: float | None
    sensitivity: float | None
    specificity: float | None
    confusion: list[list[int]]


def rate(predicted: NDArray[np.int64], actual: NDArray[np.int64], positive: int, classes: int) -> Rates:
    """Count how predicted classes meet actual ones.

    Args:
        predicted: class numbers, (N,); where one is :data:`UNCALLED`, nothing is counted.
        actual: likewise.
        positive: the class that sensitivity and specificity speak of.
    """
    table = confusion_of(predicted, actual, classes)
    rates = rates_of(table, positive)
    return Rates(
        accuracy=defined(rates["accuracy"]),
        sensitivity=defined(rates["sensitivity"]),
        specificity=defined(rates["specificity"]),
        confusion=table.tolist(),
    )


def predicted_at(
    probabilities: NDArray[np.float32], positive: int, threshold: float | None
) -> NDArray[np.int64]:
    """The predicted classes, (N,), where the positive one is called from a threshold on.

    :data:`UNCALLED` of an image whose probabilities are not all finite numbers.

    Args:
        probabilities: (N, C).
        threshold: positive is called where its probability is this or more, else the likeliest of the
            other classes; ``None`` calls the likeliest of all, as training does.
    """
    if threshold is None:
        predicted = probabilities.argmax(1)
    else:
        others = probabilities.copy()
        others[:, positive] = -1.0
        # As float32, for a threshold taken from the probabilities themselves must meet its own image.
        called = probabilities[:, positive] >= np.float32(threshold)
        predicted = np.where(called, positive, others.argmax(1))
    # Of a row of NaN, argmax is the first class.
    return np.where(np.isfinite(probabilities).all(1), predicted, UNCALLED)


def proportions(confusion: Sequence[Sequence[int]], positive: int) -> dict[str, tuple[int, int]]:
    """Accuracy, sensitivity and specificity as counts: how many images of how many.

    Args:
        confusion: images by actual class (rows) and predicted class (columns).
        positive: the class that sensitivity and specificity speak of.
    """
    total = sum(map(sum, confusion))
    of_positive = sum(confusion[positive])
    true_positive = confusion[positive][positive]
    called_positive = sum(row[positive] for row in confusion)
    true_negative = total - of_positive - called_positive + true_positive
    return {
        "accuracy": (sum(row[at] for at, row in enumerate(confusion)), total),
        "sensitivity": (true_positive, of_positive),
        "specificity": (true_negative, total - of_positive),
    }


def confusion_of(predicted: NDArray[np.int64], actual: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Images by actual class (rows) and predicted class (columns), (C, C).

    Zeros where an image is :data:`UNCALLED`: rates of the others would be of fewer images than they seem.
    """
    if (predicted == UNCALLED).any():
        return np.zeros((classes, classes), np.int64)
    table: NDArray[np.int64] = np.bincount(actual * classes + predicted, minlength=classes**2)
    return table.reshape(classes, classes)


def rates_of(
    confusion: NDArray[np.int64] | NDArray[np.float64], positive: int
) -> dict[str, NDArray[np.float64]]:
    """All rates that a confusion matrix tells, by their names in :class:`Metrics`; undefined ones are NaN.

    Args:
        confusion: one matrix or many, (..., C, C).

    Returns:
        Arrays of shape (...).
    """
    table = np.asarray(confusion, np.float64)
    actual, predicted = table.sum(-1), table.sum(-2)
    right, total = np.trace(table, axis1=-2, axis2=-1), table.sum((-2, -1))
    of_positive, called = actual[..., positive], predicted[..., positive]
    hits = table[..., positive, positive]
    cleared = total - of_positive - called + hits
    # Gorodkin's (2004) correlation of many classes; of two it is that of Matthews (1975).
    together = right * total - (actual * predicted).sum(-1)
    spread = (total**2 - (actual**2).sum(-1)) * (total**2 - (predicted**2).sum(-1))
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 is what "undefined" means here
        return {
            "accuracy": right / total,
            "balanced_accuracy": (np.diagonal(table, axis1=-2, axis2=-1) / actual).mean(-1),
            "sensitivity": hits / of_positive,
            "specificity": cleared / (total - of_positive),
            "f1": 2 * hits / (of_positive + called),
            # Rounding must not carry it beyond 1, which a journal refuses.
            "mcc": np.clip(together / np.sqrt(spread), -1, 1),
        }


def mean(values: NDArray[np.float32] | NDArray[np.float64]) -> float | None:
    """``None`` of nothing, and where a value is not finite."""
    return defined(np.mean(values, dtype=np.float64)) if values.size else None


def defined(value: float | NDArray[np.float64]) -> float | None:
    """``None`` where it is not a finite number."""
    return float(value) if np.isfinite(value) else None

"""Numbers from probabilities: numpy in, floats out.

A metric that is undefined (no image of a class, a probability that is not a number) is ``None``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Metrics:
    """Rates are fractions."""

    loss: float | None
    """Mean negative log-likelihood over images, in nats."""
    accuracy: float | None
    auc: float | None
    """Area under the ROC curve, positive class against the rest."""
    sensitivity: float | None
    """Recall of the positive class."""
    specificity: float | None
    """Part of the other images that is not called positive."""
    confusion: list[list[int]]
    """Images by actual class (rows) and predicted class (columns)."""


UNKNOWN = Metrics(None, None, None, None, None, [])
"""Of nothing."""


def evaluate(
    probabilities: NDArray[np.float32], losses: NDArray[np.float32], actual: NDArray[np.int64], positive: int
) -> Metrics:
    """All metrics of one pass over a split.

    Args:
        probabilities: (N, C).
        losses: negative log-likelihood of each image, (N,).
        actual: class numbers, (N,).
        positive: the class that AUC, sensitivity and specificity speak of.
    """
    predicted = probabilities.argmax(1)
    classes = probabilities.shape[1]
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (actual, predicted), 1)
    is_positive, called_positive = actual == positive, predicted == positive
    return Metrics(
        loss=_mean(losses),
        accuracy=_mean(predicted == actual),
        auc=auc(probabilities[:, positive], is_positive),
        sensitivity=_mean(called_positive[is_positive]),
        specificity=_mean(~called_positive[~is_positive]),
        confusion=confusion.tolist(),
    )


def auc(scores: NDArray[np.float32], is_positive: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve; ties count half.

    Args:
        scores: (N,), higher means more positive.
        is_positive: (N,).
    """
    if is_positive.all() or not is_positive.any() or not np.isfinite(scores).all():
        return None
    from sklearn.metrics import roc_auc_score  # imported late: a second of start-up

    return float(roc_auc_score(is_positive, scores))


def interval(successes: int, total: int, confidence: float = 0.95) -> tuple[float, float] | None:
    """Wilson's score interval of a proportion (Wilson 1927); ``None`` of nothing.

    Better than the normal approximation near 0 and 1, where sensitivities live
    (Brown, Cai & DasGupta 2001).
    """
    if total == 0:
        return None
    from scipy.stats import binomtest  # imported late, as above

    found = binomtest(successes, total).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)


def _mean(values: NDArray[np.float32] | NDArray[np.bool_]) -> float | None:
    if values.size == 0:
        return None
    mean = float(np.mean(values, dtype=np.float64))
    return mean if np.isfinite(mean) else None

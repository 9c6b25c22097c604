"""Numbers from probabilities: numpy in, floats out.

A metric that is undefined (no image of a class, a probability that is not a number) is ``None``.
"""

from collections.abc import Sequence
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
    rates = rate(probabilities.argmax(1), actual, positive, probabilities.shape[1])
    return Metrics(
        loss=_mean(losses),
        accuracy=rates.accuracy,
        auc=auc(probabilities[:, positive], actual == positive),
        sensitivity=rates.sensitivity,
        specificity=rates.specificity,
        confusion=rates.confusion,
    )


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
        predicted: class numbers, (N,).
        actual: likewise.
        positive: the class that sensitivity and specificity speak of.
    """
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (actual, predicted), 1)
    is_positive, called_positive = actual == positive, predicted == positive
    return Rates(
        accuracy=_mean(predicted == actual),
        sensitivity=_mean(called_positive[is_positive]),
        specificity=_mean(~called_positive[~is_positive]),
        confusion=confusion.tolist(),
    )


def predicted_at(
    probabilities: NDArray[np.float32], positive: int, threshold: float | None
) -> NDArray[np.int64]:
    """The predicted classes, (N,), where the positive one is called from a threshold on.

    Args:
        probabilities: (N, C).
        threshold: positive is called where its probability is this or more, else the likeliest of the
            other classes; ``None`` calls the likeliest of all, as training does.
    """
    if threshold is None:
        likeliest: NDArray[np.int64] = probabilities.argmax(1)
        return likeliest
    others = probabilities.copy()
    others[:, positive] = -1.0
    # As float32, for a threshold taken from the probabilities themselves must meet its own image.
    called = probabilities[:, positive] >= np.float32(threshold)
    return np.where(called, positive, others.argmax(1))


def youden(scores: NDArray[np.float32], is_positive: NDArray[np.bool_]) -> float | None:
    """The threshold with the largest sensitivity + specificity - 1 (Youden 1950); the highest of equals.

    Args:
        scores: (N,), higher means more positive; images at the threshold or above are called positive.
        is_positive: (N,).
    """
    if is_positive.all() or not is_positive.any() or not np.isfinite(scores).all():
        return None
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], is_positive[order]
    last = np.append(ranked[1:] != ranked[:-1], True)  # equal scores are called together
    sensitivity = np.cumsum(hits) / hits.sum()
    false_alarms = np.cumsum(~hits) / (~hits).sum()
    return float(ranked[last][np.argmax((sensitivity - false_alarms)[last])])


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


def auc_interval(
    scores: NDArray[np.float32], is_positive: NDArray[np.bool_], confidence: float = 0.95
) -> tuple[float, float] | None:
    """An interval of the area under the ROC curve; ``None`` where it has none, as of a perfect one.

    The variance is that of DeLong, DeLong & Clarke-Pearson (1988), from midranks (Sun & Xu 2014). The
    interval is symmetric in the logit, so that it stays below 1 (Pepe 2003).

    Args:
        scores: (N,), higher means more positive.
        is_positive: (N,).
    """
    positive, negative = scores[is_positive], scores[~is_positive]
    if min(positive.size, negative.size) < 2 or not np.isfinite(scores).all():
        return None
    from scipy.stats import norm, rankdata  # imported late, as above

    ranks = rankdata(scores)
    # The part of the other class that each image is on the right side of; ties count half.
    of_positive = (ranks[is_positive] - rankdata(positive)) / negative.size
    of_negative = 1 - (ranks[~is_positive] - rankdata(negative)) / positive.size
    area = of_positive.mean()
    variance = of_positive.var(ddof=1) / positive.size + of_negative.var(ddof=1) / negative.size
    if not 0 < area < 1 or variance == 0:
        return None
    middle = np.log(area / (1 - area))
    half = norm.ppf((1 + confidence) / 2) * np.sqrt(variance) / (area * (1 - area))
    low, high = 1 / (1 + np.exp(-(middle - half))), 1 / (1 + np.exp(-(middle + half)))
    return float(low), float(high)


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


def mcnemar(only_first: int, only_second: int) -> float | None:
    """How often chance alone parts two equally good classifiers at least so far: McNemar's exact test.

    McNemar (1947): of the images that one gets right and the other wrong, each classifier would have half.
    Two-sided.

    Args:
        only_first: images that the first gets right and the second wrong.
        only_second: the other way round.

    Returns:
        p, or ``None`` where no image parts them.
    """
    if only_first + only_second == 0:
        return None
    from scipy.stats import binomtest  # imported late, as above

    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)


def _mean(values: NDArray[np.float32] | NDArray[np.bool_]) -> float | None:
    if values.size == 0:
        return None
    mean = float(np.mean(values, dtype=np.float64))
    return mean if np.isfinite(mean) else None

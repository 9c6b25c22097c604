"""How well a score ranks positive images above the others: no threshold is chosen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Curve:
    """A point a threshold, the highest threshold first: x never falls. All arrays float64 (K,)."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    """Images at the threshold or above are called positive; of the first point, which calls none, inf."""


def auc(scores: NDArray[np.float32], is_positive: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve; ties count half. ``None`` without images of both kinds.

    Args:
        scores: (N,), higher means more positive.
        is_positive: (N,).
    """
    if not can_rank(scores, is_positive):
        return None
    from sklearn.metrics import roc_auc_score  # imported late: a second of start-up

    return min(1.0, float(roc_auc_score(is_positive, scores)))


def average_precision(scores: NDArray[np.float32], is_positive: NDArray[np.bool_]) -> float | None:
    """The mean precision over the positive images, each met going down the ranking; nothing is interpolated.

    Chance reaches the share of positive images, not one half. ``None`` without images of both kinds.

    Args:
        scores: (N,), higher means more positive.
        is_positive: (N,).
    """
    if not can_rank(scores, is_positive):
        return None
    from sklearn.metrics import average_precision_score  # imported late, as above

    return min(1.0, float(average_precision_score(is_positive, scores)))


def roc(scores: NDArray[np.float32], is_positive: NDArray[np.bool_]) -> Curve | None:
    """Sensitivity (y) over 1 - specificity (x), from (0, 0) to (1, 1).

    Points on a straight line are left out. ``None`` without images of both kinds.

    Args:
        scores: (N,), higher means more positive.
        is_positive: (N,).
    """
    if not can_rank(scores, is_positive):
        return None
    from sklearn.metrics import roc_curve  # imported late, as above

    false_alarms, sensitivity, thresholds = roc_curve(is_positive, scores)
    return Curve(false_alarms, sensitivity, thresholds.astype(np.float64))


def precision_recall(scores: NDArray[np.float32], is_positive: NDArray[np.bool_]) -> Curve | None:
    """Precision (y) over sensitivity (x), from (0, 1), where none is called.

    Average precision is the area under its steps: the precision of a point holds back to the point
    before. ``None`` without images of both kinds.

    Args:
        scores: (N,), higher means more positive.
        is_positive: (N,).
    """
    if not can_rank(scores, is_positive):
        return None
    from sklearn.metrics import precision_recall_curve  # imported late, as above

    precision, recall, thresholds = precision_recall_curve(is_positive, scores, drop_intermediate=True)
    return Curve(recall[::-1], precision[::-1], np.append(np.inf, thresholds[::-1]))


def can_rank(scores: NDArray[np.float32], is_positive: NDArray[np.bool_]) -> bool:
    """Whether there are images of both kinds, and all scores are numbers."""
    return bool(is_positive.any() and not is_positive.all() and np.isfinite(scores).all())

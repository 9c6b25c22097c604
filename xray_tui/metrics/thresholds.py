"""Where positive is called from.

An image whose score is the threshold or more is called positive, as :func:`predicted_at` does. A threshold
lies halfway between two scores, in logits: computed once more, in another batch or another precision, a
score differs in its last bits, and an image whose own score were the threshold might change sides.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xray_tui.metrics.ranking import can_rank

_LEAST = 1e-12
"""Of a probability, for its logit: one of exactly 0 has none."""


@dataclass(frozen=True)
class _Ladder:
    """What each threshold gives, from one above all scores down to the lowest score. All (K,)."""

    thresholds: NDArray[np.float32]
    sensitivity: NDArray[np.float64]
    specificity: NDArray[np.float64]

    @classmethod
    def of(cls, scores: NDArray[np.float32], is_positive: NDArray[np.bool_]) -> "_Ladder | None":
        if not can_rank(scores, is_positive):
            return None
        order = np.argsort(-scores, kind="stable")
        ranked, positive = scores[order], is_positive[order]
        last = np.append(ranked[1:] != ranked[:-1], True)  # equal scores are called together
        called = np.append(0, np.cumsum(positive)[last])
        alarms = np.append(0, np.cumsum(~positive)[last])
        above = np.nextafter(ranked[:1], np.float32(np.inf))
        # Divisions of counts, as a rate is: a wanted 0.95 is met by 19 of 20.
        return cls(np.append(above, ranked[last]), called / called[-1], (alarms[-1] - alarms) / alarms[-1])

    def between(self, rung: int) -> float:
        """What calls the same images as that threshold, halfway to the next lower score; of the lowest there
        is none."""
        own = self.thresholds[rung]
        if rung + 1 == len(self.thresholds):
            return float(own)
        lower = self.thresholds[rung + 1]
        upper = own if rung or lower >= 1 else np.float32(1)
        ends = np.clip(np.array([lower, upper], np.float64), _LEAST, 1 - _LEAST)
        odds = np.sqrt(np.prod(ends / (1 - ends)))
        middle = np.float32(odds / (1 + odds))
        return float(middle if lower < middle <= upper else upper)


def youden(scores: NDArray[np.float32], is_positive: NDArray[np.bool_]) -> float | None:
    """The threshold with the largest sensitivity + specificity - 1 (Youden 1950); the highest of equals.

    Args:
        scores: (N,), probabilities; images at the threshold or above are called positive.
        is_positive: (N,).
    """
    ladder = _Ladder.of(scores, is_positive)
    if ladder is None:
        return None
    # Not the first, which calls none: it is no better than the last, which calls all.
    together = (ladder.sensitivity + ladder.specificity)[1:]
    return ladder.between(1 + int(np.argmax(together)))


def operating_threshold(
    rule: str, scores: NDArray[np.float32], is_positive: NDArray[np.bool_]
) -> float | None:
    """The threshold that a rule chooses.

    Args:
        rule: as the setting ``evaluation.operating_point`` has it: ``likeliest``, ``youden``,
            ``sensitivity:X`` (the highest threshold whose sensitivity is X or more) or ``specificity:X``
            (the lowest whose specificity is X or more).
        scores: (N,), probabilities.
        is_positive: (N,).

    Returns:
        ``None`` of ``likeliest``, without images of both kinds, and where no probability reaches the
        specificity, for too many of the others have a probability of 1.

    Raises:
        ValueError: it is no such rule.
    """
    if rule == "likeliest":
        return None
    if rule == "youden":
        return youden(scores, is_positive)
    name, colon, wanted = rule.partition(":")
    if name not in ("sensitivity", "specificity") or not colon:
        raise ValueError(f"not a rule for an operating point: {rule}")
    ladder = _Ladder.of(scores, is_positive)
    if ladder is None:
        return None
    if name == "sensitivity":
        return ladder.between(int(np.argmax(ladder.sensitivity >= float(wanted))))
    lowest = ladder.between(int(np.flatnonzero(ladder.specificity >= float(wanted))[-1]))
    return lowest if lowest <= 1 else None


def sensitivity_at(
    scores: NDArray[np.float32], is_positive: NDArray[np.bool_], specificity: float
) -> float | None:
    """The largest sensitivity that a threshold gives together with that specificity or more.

    Nothing is interpolated: a threshold that gives it exists. ``None`` without images of both kinds.

    Args:
        scores: (N,), higher means more positive.
        is_positive: (N,).
        specificity: 0 to 1.
    """
    ladder = _Ladder.of(scores, is_positive)
    return None if ladder is None else float(ladder.sensitivity[ladder.specificity >= specificity].max())


def specificity_at(
    scores: NDArray[np.float32], is_positive: NDArray[np.bool_], sensitivity: float
) -> float | None:
    """The largest specificity that a threshold gives together with that sensitivity or more.

    Likewise.

    Args:
        scores: (N,), higher means more positive.
        is_positive: (N,).
        sensitivity: 0 to 1.
    """
    ladder = _Ladder.of(scores, is_positive)
    return None if ladder is None else float(ladder.specificity[ladder.sensitivity >= sensitivity].max())

"""How well the probabilities of one split's images rank them, and mean what they say: curves and numbers."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xray_tui import metrics
from xray_tui.metrics import Curve, Metrics, Reliability
from xray_tui.runs.predictions import Images

WANTED = 0.95
"""The specificity at which sensitivity is told, and the other way round."""


class At(NamedTuple):
    """Where a threshold lies on the curves. Fractions; ``None`` where undefined."""

    sensitivity: float | None
    specificity: float | None
    precision: float | None

    @classmethod
    def of(cls, confusion: list[list[int]], positive: int) -> "At":
        """
        Args:
            confusion: images by actual class (rows) and predicted class (columns).
        """
        counts = metrics.proportions(confusion, positive)
        hits, called = confusion[positive][positive], sum(row[positive] for row in confusion)
        return cls(_part(*counts["sensitivity"]), _part(*counts["specificity"]), _part(hits, called))


def _part(some: int, whole: int) -> float | None:
    return some / whole if whole else None


@dataclass(frozen=True, eq=False)
class SplitCurves:
    """Of the positive class against the rest."""

    roc: Curve | None
    precision_recall: Curve | None
    reliability: Reliability | None
    found: Metrics
    intervals: dict[str, tuple[float, float]]
    """Of 95 %, by field of ``found``; patients drawn anew."""
    sensitivity_at: float | None
    """Where specificity is ``WANTED`` or more."""
    specificity_at: float | None
    """Where sensitivity is."""
    images: int
    patients: int
    prevalence: float | None
    """Part of the images that is positive."""
    best: At | None
    """At Youden's threshold."""

    @classmethod
    def of(
        cls, images: Images, probabilities: NDArray[np.float32], losses: NDArray[np.float32], positive: int
    ) -> "SplitCurves":
        """A fifth of a second for 624 images: not for the UI thread.

        Args:
            probabilities: (N, C).
            losses: (N,).
            positive: class number.
        """
        scores, is_positive = probabilities[:, positive], images.actual == positive
        youden = metrics.youden(scores, is_positive)
        best = None
        if youden is not None:
            predicted = metrics.predicted_at(probabilities, positive, youden)
            rates = metrics.rate(predicted, images.actual, positive, probabilities.shape[1])
            best = At.of(rates.confusion, positive)
        return cls(
            roc=metrics.roc(scores, is_positive),
            precision_recall=metrics.precision_recall(scores, is_positive),
            reliability=metrics.reliability(scores, is_positive),
            found=metrics.evaluate(probabilities, losses, images.actual, positive),
            intervals=metrics.bootstrap(probabilities, losses, images.actual, positive, images.patients),
            sensitivity_at=metrics.sensitivity_at(scores, is_positive, WANTED),
            specificity_at=metrics.specificity_at(scores, is_positive, WANTED),
            images=len(images),
            patients=len(set(images.patients)),
            prevalence=_part(int(is_positive.sum()), len(images)),
            best=best,
        )

    def precision_at(self, sensitivity: float | None, specificity: float | None) -> float | None:
        """What part of the called images is positive, where this part of each kind is called right."""
        if self.prevalence is None or sensitivity is None or specificity is None:
            return None
        hits, alarms = sensitivity * self.prevalence, (1 - specificity) * (1 - self.prevalence)
        return hits / (hits + alarms) if hits + alarms else None


def nearest_threshold(curve: Curve, x: float, y: float) -> float:
    """The threshold of the curve's point next to a place; 1 of the point that calls none."""
    place = int(np.argmin((curve.x - x) ** 2 + (curve.y - y) ** 2))
    return min(1.0, float(curve.thresholds[place]))

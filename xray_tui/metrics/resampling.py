"""The bootstrap (Efron 1979): how far metrics move when other patients might have come."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xray_tui.metrics.calibration import squared_errors
from xray_tui.metrics.counting import predicted_at, rates_of
from xray_tui.metrics.ranking import can_rank

_AT_ONCE = 2_000_000
"""Numbers held at once, rounds times images or pairs of classes: 16 MB, some of them several times over."""
_DEFINED = 0.9
"""Part of the rounds that must define a metric."""


def bootstrap(
    probabilities: NDArray[np.float32],
    losses: NDArray[np.float32],
    actual: NDArray[np.int64],
    positive: int,
    patients: Sequence[str],
    threshold: float | None = None,
    *,
    rounds: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """An interval of each metric, from whole patients drawn with replacement: images of one are alike.

    Percentiles of the rounds that define the metric. A calibration error has none: every drawing adds its
    noise to the bins, as the images' own did, and for a calibrated network all of an interval would lie
    above the truth.

    Args:
        probabilities: (N, C).
        losses: negative log-likelihood of each image, (N,).
        actual: class numbers, (N,).
        positive: see :func:`evaluate`.
        patients: of each image.
        threshold: rates are at it; ``None`` calls the likeliest class.

    Returns:
        Low and high, by the metric's name in :class:`Metrics`; nothing where a probability is not finite, as
        :func:`evaluate` then has no rates. A metric is missing where fewer than nine
        rounds in ten define it, and where all agree, as of a classifier without a mistake: mistakes it has
        not made yet are not among the images that are drawn (Wilson's :func:`interval` allows for them).
    """
    if not actual.size or not np.isfinite(probabilities).all():
        return {}
    names, patient_of = np.unique(np.asarray(patients), return_inverse=True)
    generator = np.random.default_rng(seed)
    weighted = _Weighted(probabilities, losses, actual, positive, threshold)
    parts = []
    step = max(1, _AT_ONCE // max(len(actual), probabilities.shape[1] ** 2))
    for begin in range(0, rounds, step):
        some = min(step, rounds - begin)
        drawn = generator.integers(0, len(names), (some, len(names)))
        drawn += np.arange(some)[:, None] * len(names)
        times = np.bincount(drawn.ravel(), minlength=some * len(names)).reshape(some, len(names))
        parts.append(weighted.metrics(times[:, patient_of].astype(np.float64)))

    found = {}
    for name in parts[0]:
        values = np.concatenate([part[name] for part in parts])
        values = values[np.isfinite(values)]
        if values.size < _DEFINED * rounds or np.ptp(values) == 0:
            continue
        low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
        found[name] = (float(low), float(high))
    return found


class _Weighted:
    """Metrics of images that count several times, or not at all. Arguments as of :func:`bootstrap`."""

    def __init__(
        self,
        probabilities: NDArray[np.float32],
        losses: NDArray[np.float32],
        actual: NDArray[np.int64],
        positive: int,
        threshold: float | None,
    ) -> None:
        self._positive, self._classes = positive, probabilities.shape[1]
        scores, is_positive = probabilities[:, positive], actual == positive
        cells = actual * self._classes + predicted_at(probabilities, positive, threshold)
        # Of many classes few pairs of an actual and a predicted one occur.
        self._cells, cell_of = np.unique(cells, return_inverse=True)
        of_image = [losses[:, None], squared_errors(probabilities, actual)[:, None]]
        # One product with the weights sums everything that is a sum over images.
        self._of_image = np.concatenate([*of_image, np.eye(len(self._cells))[cell_of]], 1)
        self._can_rank = can_rank(scores, is_positive)
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        # Images of one score are called together; where each group of them begins.
        self._begins = np.append(0, np.flatnonzero(ranked[1:] != ranked[:-1]) + 1)
        self._ranked_positive = is_positive[self._order].astype(np.float64)

    def metrics(self, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """
        Args:
            weights: how often each image counts in each round, (R, N).

        Returns:
            (R,) each, by the metric's name; undefined ones are NaN.
        """
        total = weights.sum(1)
        sums = weights @ self._of_image
        confusion = np.zeros((len(weights), self._classes**2))
        confusion[:, self._cells] = sums[:, 2:]
        confusion = confusion.reshape(-1, self._classes, self._classes)
        found = {
            "loss": sums[:, 0] / total,
            "brier": sums[:, 1] / total,
            **rates_of(confusion, self._positive),
        }
        return found | self._ranking(weights) if self._can_rank else found

    def _ranking(self, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        ranked = weights[:, self._order]
        hits = np.add.reduceat(ranked * self._ranked_positive, self._begins, 1)
        alarms = np.add.reduceat(ranked * (1 - self._ranked_positive), self._begins, 1)
        hits_so_far, alarms_so_far = hits.cumsum(1), alarms.cumsum(1)
        positives, negatives = hits_so_far[:, -1], alarms_so_far[:, -1]
        below = negatives[:, None] - alarms_so_far + alarms / 2  # ties count half
        with np.errstate(invalid="ignore", divide="ignore"):  # a round may lack a class
            precision = np.nan_to_num(hits_so_far / (hits_so_far + alarms_so_far))
            area = (hits * below).sum(1) / (positives * negatives)
            mean_precision = (hits * precision).sum(1) / positives
        return {
            "auc": area,
            "average_precision": np.where(negatives > 0, mean_precision, np.nan),
        }

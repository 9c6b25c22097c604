"""What a learning-rate range test finds: a loss for each rate, and the rates that it suggests."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xray_tui.events import Stage

Ending = Literal["range", "diverged", "not_finite"]
"""The whole range was tried; or the loss had risen too far; or it was no number any more."""

_SMOOTHING = 0.9
"""What the average keeps of itself with each batch: it lags behind by ten. fastai keeps 0.98; with a hundred
batches over seven decades that average tells of rates three decades ago."""
_SETTLING = 10
"""Batches after which it is an average of several: before, one batch may look like a slope or a best."""
_FALL = 5.5
"""Standard deviations of the average. Where the loss stays as it is, the average of a hundred batches falls
less in 95 of 100 tests (simulated: normal noise)."""
_MEDIAN_OF_NORMAL = 0.6745
"""Median distance from the mean, in standard deviations."""
_ROUNDING = 1e-6
_TOO_FAR = 4.0
"""A loss as many times its best has diverged, as fastai has it."""


@dataclass(frozen=True)
class Suggestions:
    """Learning rates within those tested; ``None`` where the curve does not show one."""

    valley: float | None
    """Two thirds down the longest valley: the longest sequence of ever lower losses, passing over those
    between them that are not. The idea is that of fastai's default."""
    steepest: float | None
    """Where the loss falls fastest, by the logarithm of the rate."""
    minimum_tenth: float | None
    """A tenth of the rate with the lowest loss. None while the loss still falls at the highest rate."""


@dataclass(frozen=True)
class RateCurve:
    """What a test of one stage found."""

    stage: Stage
    rates: list[float]
    """Of each batch, evenly spaced on a logarithmic axis."""
    losses: list[float]
    """Of each batch, as training takes it, before that batch's own update."""
    ending: Ending

    @cached_property
    def smoothed(self) -> list[float]:
        return smooth(self.losses)

    @cached_property
    def suggestions(self) -> Suggestions:
        """None where the loss falls no further than its average goes up and down anyway."""
        losses, smoothed = self.losses[_SETTLING:], self.smoothed[_SETTLING:]
        if not falls(losses, smoothed):
            return Suggestions(None, None, None)
        return suggest(self.rates[_SETTLING:], smoothed)


def smooth(losses: Sequence[float]) -> list[float]:
    """Their exponential moving average without the pull towards 0 (Kingma and Ba 2015, section 3)."""
    smoothed, average = [], 0.0
    for number, loss in enumerate(losses, 1):
        average = _SMOOTHING * average + (1 - _SMOOTHING) * loss
        smoothed.append(average / (1 - _SMOOTHING**number))
    return smoothed


def falls(losses: Sequence[float], smoothed: Sequence[float]) -> bool:
    """Whether a fall can be told from batches that just differ.

    How much they do is told by the median difference between neighbours, on which neither a slope nor a few
    batches that diverge have much of a say.
    """
    if len(losses) < 2:
        return False
    between = np.median(np.abs(np.diff(losses)))
    of_batches = between / (_MEDIAN_OF_NORMAL * math.sqrt(2))
    of_average = of_batches * math.sqrt((1 - _SMOOTHING) / (1 + _SMOOTHING))
    fall = np.max(np.maximum.accumulate(smoothed) - smoothed)
    return bool(fall > _FALL * of_average + _ROUNDING * max(smoothed))


def has_diverged(losses: Sequence[float]) -> bool:
    """Whether the latest, smoothed, is too many times the best."""
    settled = smooth(losses)[_SETTLING:]
    return bool(settled) and settled[-1] > _TOO_FAR * min(settled)


def suggest(rates: Sequence[float], losses: Sequence[float]) -> Suggestions:
    """
    Args:
        rates: rising.
        losses: smoothed, one a rate; a factor on all of them changes nothing.
    """
    if len(rates) < 2:
        return Suggestions(None, None, None)
    heights = np.asarray(losses, dtype=np.float64)
    slopes = np.diff(heights) / np.diff(np.log(rates))
    lowest = int(heights.argmin())
    fastest = int(slopes[: max(1, lowest)].argmin())  # what falls behind the minimum had diverged before
    has_minimum = lowest < len(rates) - 1 and rates[lowest] / 10 >= rates[0]
    first, last = _longest_valley(heights)
    return Suggestions(
        valley=rates[first + round((last - first) * 2 / 3)] if last > first else None,
        steepest=rates[fastest] if slopes[fastest] < 0 else None,
        minimum_tenth=rates[lowest] / 10 if has_minimum else None,
    )


def _longest_valley(heights: NDArray[np.float64]) -> tuple[int, int]:
    """Where the longest subsequence of ever lower heights begins and ends; the first of several."""
    lengths, beginnings = np.ones(len(heights), dtype=np.int64), np.arange(len(heights))
    for end in range(1, len(heights)):
        before = np.where(heights[:end] > heights[end], lengths[:end], 0)
        best = int(before.argmax())
        if before[best]:
            lengths[end], beginnings[end] = before[best] + 1, beginnings[best]
    last = int(lengths.argmax())
    return int(beginnings[last]), last

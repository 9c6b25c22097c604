"""Whether a probability of 0.8 comes true 8 times in 10, and making it so."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xray_tui.metrics.counting import mean

BINS = 15
"""Of the calibration error, as Guo et al. (2017) have them."""

_LEAST, _MOST = 0.05, 20.0
"""A temperature beyond them says that the images do not tell it."""


@dataclass(frozen=True)
class Reliability:
    """Images sorted into equal bins by their probability; only bins that have one. All (K,), rising."""

    predicted: NDArray[np.float64]
    """Mean probability in the bin."""
    observed: NDArray[np.float64]
    """Part of the bin that is positive."""
    counts: NDArray[np.int64]


def reliability(
    scores: NDArray[np.float32], is_positive: NDArray[np.bool_], bins: int = 10
) -> Reliability | None:
    """What was predicted against what came true; ``None`` of nothing.

    Args:
        scores: probabilities of the positive class, (N,).
        is_positive: (N,).
        bins: of equal width; each holds its upper edge.
    """
    if not scores.size or not np.isfinite(scores).all():
        return None
    bin_of = bin_numbers(scores, bins)
    counts = np.bincount(bin_of, minlength=bins)
    filled = counts > 0
    predicted = np.bincount(bin_of, scores, minlength=bins)[filled] / counts[filled]
    observed = np.bincount(bin_of, is_positive, minlength=bins)[filled] / counts[filled]
    return Reliability(predicted, observed, counts[filled])


def calibration_error(scores: NDArray[np.float32], is_positive: NDArray[np.bool_]) -> float | None:
    """Expected calibration error of the positive class's probability (Naeini et al. 2015).

    The mean over images of how far the mean probability of the image's bin lies from the part of the bin
    that is positive: 15 bins of equal width. It is of the positive class against the rest, not of the
    likeliest class's confidence as in Guo et al. (2017), so that it speaks of the probability a person
    sees. Few images make it larger, for each bin has noise of its own.

    Args:
        scores: probabilities of the positive class, (N,).
        is_positive: (N,).
    """
    found = reliability(scores, is_positive, BINS)
    if found is None:
        return None
    away = np.abs(found.predicted - found.observed)
    return min(1.0, float((found.counts * away).sum() / found.counts.sum()))


def brier(probabilities: NDArray[np.float32], actual: NDArray[np.int64]) -> float | None:
    """Brier's score (1950), halved: 0 to 1 for any number of classes.

    The mean over images of half the squared errors' sum over classes; of two classes that is the mean
    squared error of the positive probability.

    Args:
        probabilities: (N, C).
        actual: class numbers, (N,).
    """
    return mean(squared_errors(probabilities, actual))


def squared_errors(probabilities: NDArray[np.float32], actual: NDArray[np.int64]) -> NDArray[np.float64]:
    """What :func:`brier` is the mean of, (N,)."""
    wanted = np.eye(probabilities.shape[1])[actual]
    squared: NDArray[np.float64] = np.square(probabilities - wanted).sum(1) / 2
    return squared


def bin_numbers(scores: NDArray[np.float32], bins: int) -> NDArray[np.int64]:
    """The bin of each probability, (N,)."""
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], scores)


def temperature(probabilities: NDArray[np.float32], actual: NDArray[np.int64]) -> float | None:
    """The number that divides logits so that the images become likeliest (Guo et al. 2017).

    Above 1 the network was too sure of itself. ``None`` where the images do not tell it: there are none,
    a probability is not a number, or the likelihood has no maximum from 0.05 to 20, as where every image
    is right and more certainty is always better.

    Args:
        probabilities: (N, C).
        actual: class numbers, (N,).
    """
    if not actual.size or not np.isfinite(probabilities).all():
        return None
    from scipy.optimize import minimize_scalar  # imported late: half a second of start-up
    from scipy.special import log_softmax

    logits, images = _logits(probabilities), np.arange(len(actual))

    def loss(logarithm: float) -> float:
        return float(-log_softmax(logits / np.exp(logarithm), axis=1)[images, actual].mean())

    # Of the inverse temperature the loss is convex, so of its logarithm it has one minimum.
    edges = (np.log(_LEAST), np.log(_MOST))
    best = float(minimize_scalar(loss, bounds=edges, method="bounded", options={"xatol": 1e-6}).x)
    # At an edge, or on a plain: all classes equally likely in every image.
    if min(best - edges[0], edges[1] - best) < 1e-4 or loss(best) >= max(map(loss, edges)):
        return None
    return float(np.exp(best))


def tempered(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Probabilities as they are with logits divided by a temperature: float32 (N, C).

    The likeliest class of an image stays the likeliest, and of two classes images keep their order, as
    far as float32 tells them apart.

    Args:
        probabilities: (N, C).
        temperature: above 0.
    """
    from scipy.special import softmax  # imported late, as above

    scaled: NDArray[np.float32] = softmax(_logits(probabilities) / temperature, axis=1).astype(np.float32)
    return scaled


def losses(probabilities: NDArray[np.float32], actual: NDArray[np.int64]) -> NDArray[np.float32]:
    """Negative log-likelihood of each image, (N,), in nats.

    A probability that is 0 in float32 has the loss of the smallest that is none, 87 nats.

    Args:
        probabilities: (N, C).
        actual: class numbers, (N,).
    """
    of_actual = probabilities[np.arange(len(actual)), actual]
    told: NDArray[np.float32] = -np.log(np.maximum(of_actual, np.finfo(np.float32).smallest_normal))
    return told


def _logits(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Up to a constant an image. What float32 rounded to 0 counts as the least it holds."""
    least = np.finfo(np.float32).smallest_subnormal
    return np.log(np.maximum(probabilities, least), dtype=np.float64)

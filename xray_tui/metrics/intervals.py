"""How far chance may have carried one number, in closed form; :func:`bootstrap` does it for all."""

import numpy as np
from numpy.typing import NDArray


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
    from scipy.stats import norm, rankdata  # imported late: half a second of start-up

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

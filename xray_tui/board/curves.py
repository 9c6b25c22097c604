"""Curves as TensorBoard has no plugin for: drawn, and mirrored as images."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_tui import figures, metrics
from xray_tui.board import summaries
from xray_tui.board.summaries import Value


def drawn(
    group: str, role: str, probabilities: NDArray[np.float32], is_positive: NDArray[np.bool_]
) -> list[Value]:
    """``GROUP/ROC`` and ``GROUP/calibration``, as far as there is something to draw.

    Args:
        role: in the legend.
        probabilities: of the positive class, (N,).
        is_positive: (N,).
    """
    values = []
    roc = metrics.roc(probabilities, is_positive)
    if roc is not None:
        area = metrics.auc(probabilities, is_positive)
        interval = metrics.auc_interval(probabilities, is_positive)
        png = figures.roc([figures.Traced(role, roc.x, roc.y, area, interval)])
        values.append(summaries.image(f"{group}/ROC", _pixels(png), "In brackets DeLong's 95 % interval."))
    reliable = metrics.reliability(probabilities, is_positive)
    if reliable is not None:
        binned = figures.Binned("mean of a bin", reliable.predicted, reliable.observed, reliable.counts)
        png = figures.calibration({role: [binned]})
        values.append(summaries.image(f"{group}/calibration", _pixels(png)))
    return values


def _pixels(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image)

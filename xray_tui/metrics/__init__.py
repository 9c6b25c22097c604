"""Numbers from probabilities: numpy in, floats out.

A metric that is undefined (no image of a class, a probability that is not a number) is ``None``.
"""

from xray_tui.metrics.calibration import (
    Reliability,
    brier,
    calibration_error,
    losses,
    reliability,
    temperature,
    tempered,
)
from xray_tui.metrics.counting import UNCALLED, Rates, predicted_at, proportions, rate
from xray_tui.metrics.evaluation import UNKNOWN, Metrics, evaluate, macro, per_class
from xray_tui.metrics.intervals import auc_interval, interval, mcnemar
from xray_tui.metrics.ranking import Curve, auc, average_precision, precision_recall, roc
from xray_tui.metrics.resampling import bootstrap
from xray_tui.metrics.thresholds import operating_threshold, sensitivity_at, specificity_at, youden

__all__ = [
    "UNCALLED",
    "UNKNOWN",
    "Curve",
    "Metrics",
    "Rates",
    "Reliability",
    "auc",
    "auc_interval",
    "average_precision",
    "bootstrap",
    "brier",
    "calibration_error",
    "evaluate",
    "interval",
    "losses",
    "macro",
    "mcnemar",
    "operating_threshold",
    "per_class",
    "precision_recall",
    "predicted_at",
    "proportions",
    "rate",
    "reliability",
    "roc",
    "sensitivity_at",
    "specificity_at",
    "temperature",
    "tempered",
    "youden",
]

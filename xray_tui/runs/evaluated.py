"""What a run is worth on images it has not chosen by: metrics with intervals, from what it predicted of them.

Mostly that is test, of which the run keeps its predictions; or another data set.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.judged import Interval, wilson
from xray_tui.runs.predictions import KeptPredictions, Predictions, read_test
from xray_tui.runs.record import RunRecord

if TYPE_CHECKING:
    from xray_tui.metrics import Metrics


@dataclass(frozen=True)
class Elsewhere:
    """What a run's best weights said of another data set than its own."""

    folder: Path
    predictions: Predictions
    unreadable: int
    """Images beside those."""
    epoch: int
    times: int
    """How many runs have looked at these images, this one included."""


@dataclass(frozen=True)
class Evaluated:
    run: str
    data: str | None
    """The folder of another data set; ``None`` for the run's own test."""
    classes: list[str]
    positive: str
    images: int
    patients: int
    unreadable: int
    """Images of another data set that were left out."""
    epoch: int | None
    """Whose weights they are."""
    rule: str
    """As the setting ``evaluation.operating_point`` has it."""
    threshold: float | None
    """Chosen on validation; ``None`` calls the likeliest class."""
    temperature: float | None
    """Likewise, that logits are divided by; ``None`` where nothing was calibrated."""
    times: int | None
    """How many runs had looked at these images; ``None`` where nobody counted yet."""
    selected_on_test: bool
    metrics: Metrics
    """At that operating point."""
    intervals: dict[str, Interval]
    """Of 95 %, by the name of a metric: by patient, unless :attr:`wilson` has the name."""
    wilson: list[str]
    """Whose interval is Wilson's, as of a rate without a mistake."""
    of_classes: dict[str, Metrics]
    """Each class against the rest, where there are more than two."""


def has_kept_test(directory: RunDirectory, record: RunRecord) -> bool:
    """Whether test need not be looked at again."""
    evaluated = record.test is not None and not record.test.skipped
    return evaluated and directory.test_images.exists() and directory.test_predictions.exists()


def evaluated(
    directory: RunDirectory, record: RunRecord, rule: str = "", elsewhere: Elsewhere | None = None
) -> Evaluated:
    """Metrics from what the run kept of test, or said elsewhere.

    Args:
        rule: another rule, by which the operating point is chosen anew, on the validation predictions of the
            best epoch; empty for the run's own.

    Raises:
        UserError: it is no rule, predictions were not kept or are damaged, or validation tells no threshold.
    """
    from xray_tui import metrics  # numpy and, within, scipy: only for whoever evaluates

    point, unsealed = record.point, record.unsealed
    test = elsewhere.predictions if elsewhere else read_test(directory, record.classes)
    positive = record.classes.index(record.positive)
    threshold = point.threshold if point else None
    own = point.rule if point else "likeliest"
    if rule and rule != own:
        config.load({"evaluation.operating_point": rule})  # raises where it is none
        threshold = _threshold(directory, record, rule, positive)
    split = test.probabilities, test.losses, test.images.actual, positive
    of_classes = metrics.per_class(test.probabilities, test.images.actual, threshold, positive)
    scores = metrics.evaluate(*split, threshold)
    intervals = metrics.bootstrap(*split, test.images.patients, threshold)
    more = wilson(scores, positive, intervals)
    return Evaluated(
        run=directory.name,
        data=str(elsewhere.folder) if elsewhere else None,
        classes=record.classes,
        positive=record.positive,
        images=len(test.images),
        patients=len(set(test.images.patients)),
        unreadable=elsewhere.unreadable if elsewhere else 0,
        epoch=elsewhere.epoch if elsewhere else record.test.epoch if record.test else None,
        rule=rule or own,
        threshold=threshold,
        temperature=point.temperature if point else None,
        times=elsewhere.times if elsewhere else unsealed.times if unsealed else None,
        selected_on_test=record.selected_on_test and elsewhere is None,
        metrics=scores,
        intervals=intervals | more,
        wilson=list(more),
        of_classes=dict(zip(record.classes, of_classes, strict=True)) if len(record.classes) > 2 else {},
    )


def to_tree(found: Evaluated) -> dict[str, Any]:
    """As plain values, numbers exact; with more than two classes the macro means too."""
    from xray_tui import metrics

    tree = asdict(found)
    tree["macro"] = asdict(metrics.macro(list(found.of_classes.values()))) if found.of_classes else None
    return tree


def _threshold(directory: RunDirectory, record: RunRecord, rule: str, positive: int) -> float | None:
    from xray_tui import metrics

    if rule == "likeliest":
        return None
    if record.best is None:
        raise UserError(f"{directory.name} has no best epoch to choose an operating point with")
    kept = KeptPredictions(directory, record.classes)
    actual, probabilities = kept.images().actual, kept.epoch(record.best.epoch).probabilities
    if record.point and record.point.temperature:
        probabilities = metrics.tempered(probabilities, record.point.temperature)
    threshold = metrics.operating_threshold(rule, probabilities[:, positive], actual == positive)
    if threshold is None:
        raise UserError(f"validation tells no threshold for {rule}", "try another --operating-point")
    return threshold

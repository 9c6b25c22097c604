"""What a run's best epoch came to, on validation and on test: every number that its report tells.

Rates are at the run's operating point. Validation is judged anew, from the predictions that the run kept;
where it kept none, the event of the epoch tells less. Test is judged once, by the run itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from xray_tui.errors import UserError
from xray_tui.events import EpochEnded, Mistake, TestEvaluated, finite
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.record import RunRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from xray_tui.metrics import Metrics
    from xray_tui.runs.predictions import Images

Role = Literal["validation", "test"]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Kept:
    """What was predicted of each image of a role."""

    images: Images
    trained: NDArray[np.float32]
    """Probabilities as the network gave them, (N, C)."""
    probabilities: NDArray[np.float32]
    """Calibrated, where the run was to be: (N, C)."""
    losses: NDArray[np.float32]
    """Negative log-likelihood, calibrated likewise: (N,)."""

    def worst(self, positive: int, threshold: float | None, most: int) -> tuple[list[Mistake], int]:
        """The images that are called wrong: the worst by loss, so many at most, and how many there are."""
        import numpy as np

        from xray_tui import metrics

        actual = self.images.actual
        predicted = metrics.predicted_at(self.probabilities, positive, threshold)
        wrong = np.flatnonzero((predicted != actual) & (predicted != metrics.UNCALLED))
        # A loss that is not a number counts as the worst.
        worst = wrong[np.argsort(-np.nan_to_num(self.losses[wrong], nan=np.inf), kind="stable")][:most]
        return [
            Mistake(
                path=self.images.paths[image],
                actual=int(actual[image]),
                predicted=int(predicted[image]),
                probability=finite(self.probabilities[image, predicted[image]]),
                loss=finite(self.losses[image]),
            )
            for image in worst
        ], len(wrong)


@dataclass(frozen=True)
class Judged:
    role: Role
    epoch: int | None
    """Whose weights they were."""
    metrics: Metrics
    intervals: dict[str, Interval]
    """Of 95 %, by the name of a metric: by patient, unless :attr:`wilson` has the name."""
    wilson: frozenset[str]
    """Whose interval is Wilson's: there was nothing to draw patients from, or no mistake among them."""
    threshold: float | None
    """Where positive was called; ``None`` where the likeliest class was."""
    kept: Kept | None
    missing: str
    """Why there are no predictions; empty where there are."""

    @property
    def images(self) -> int:
        return len(self.kept.images) if self.kept else sum(map(sum, self.metrics.confusion))


def judge(record: RunRecord, directory: RunDirectory | None = None) -> list[Judged]:
    """Validation and test, as far as the run came to them.

    Takes about a second where scipy was not imported yet.

    Args:
        directory: of the run, whose predictions are read; ``None``: only what the journal tells.
    """
    found: list[Judged] = []
    if record.started is None:  # a line of the journal was lost
        return found
    if record.best_epoch:
        found.append(_validation(record, record.best_epoch, directory))
    if record.test and not record.test.skipped:
        found.append(_test(record, record.test, directory))
    return found


def _validation(record: RunRecord, best: EpochEnded, directory: RunDirectory | None) -> Judged:
    from xray_tui import metrics  # numpy and, within, scipy: only for whoever wants a report

    try:
        kept = _kept_of_validation(record, best, directory)
    except UserError as error:
        return _judged(record, "validation", best.epoch, _told(best), {}, None, missing=error.message)
    threshold = record.point.threshold if record.point else None
    split = kept.probabilities, kept.losses, kept.images.actual, record.classes.index(record.positive)
    scores = metrics.evaluate(*split, threshold)
    intervals = metrics.bootstrap(*split, kept.images.patients, threshold)
    return _judged(record, "validation", best.epoch, scores, intervals, threshold, kept)


def _kept_of_validation(record: RunRecord, best: EpochEnded, directory: RunDirectory | None) -> Kept:
    """
    Raises:
        UserError: nothing was kept of it.
    """
    from xray_tui import metrics
    from xray_tui.runs.predictions import KeptPredictions

    if directory is None:
        raise UserError(_UNREAD)
    predictions = KeptPredictions(directory, record.classes)
    images, found = predictions.images(), predictions.epoch(best.epoch)
    if not (record.point and record.point.temperature):
        return Kept(images, found.probabilities, found.probabilities, found.losses)
    calibrated = metrics.tempered(found.probabilities, record.point.temperature)
    return Kept(images, found.probabilities, calibrated, metrics.losses(calibrated, images.actual))


def _test(record: RunRecord, test: TestEvaluated, directory: RunDirectory | None) -> Judged:
    from xray_tui import metrics
    from xray_tui.runs.predictions import read_test

    point, kept, missing = record.point, None, ""
    try:
        if directory is None:
            raise UserError(_UNREAD)
        found = read_test(directory, record.classes)
        trained = found.probabilities
        if point and point.temperature:
            trained = metrics.tempered(trained, 1 / point.temperature)
        kept = Kept(found.images, trained, found.probabilities, found.losses)
    except UserError as error:
        missing = error.message
    threshold = point.threshold if point else None
    return _judged(record, "test", test.epoch, _told(test), test.intervals, threshold, kept, missing)


def wilson(scores: Metrics, positive: int, intervals: Mapping[str, Interval]) -> dict[str, Interval]:
    """Wilson's intervals of the proportions that have none."""
    from xray_tui import metrics

    found: dict[str, Interval] = {}
    for name, (successes, total) in metrics.proportions(scores.confusion, positive).items():
        interval = metrics.interval(successes, total)
        if name not in intervals and interval:
            found[name] = interval
    return found


_UNREAD = "No predictions were read."


def _judged(
    record: RunRecord,
    role: Role,
    epoch: int | None,
    scores: Metrics,
    intervals: dict[str, Interval],
    threshold: float | None,
    kept: Kept | None = None,
    missing: str = "",
) -> Judged:
    """With Wilson's intervals of the proportions that have none."""
    more = wilson(scores, record.classes.index(record.positive), intervals)
    return Judged(role, epoch, scores, intervals | more, frozenset(more), threshold, kept, missing)


def _told(event: EpochEnded | TestEvaluated) -> Metrics:
    """The metrics that an event tells."""
    from xray_tui.metrics import Metrics

    loss = event.validation_loss if isinstance(event, EpochEnded) else event.loss
    others = (field.name for field in fields(Metrics) if field.name != "loss")
    return Metrics(loss=loss, **{name: getattr(event, name) for name in others})

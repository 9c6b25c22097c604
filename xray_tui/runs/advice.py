"""Watchers: what an experienced colleague would say at the sight of a run's numbers, in plain words.

Each rule looks at the last few epochs of a :class:`RunRecord` and says something or nothing. A rule
that speaks too often is not read any more, so each waits until the numbers leave little doubt; the
thresholds stand beside it.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from statistics import NormalDist, linear_regression
from typing import Literal, NamedTuple

from xray_tui.events import EpochEnded
from xray_tui.runs.record import RunRecord
from xray_tui.words import count, number, percent

Severity = Literal["error", "warning", "note"]
Action = Literal["learning_rate", "unfreeze", "stop", "mistakes", "data", "history"]
"""Actions of the dashboard, by id."""


class Advice(NamedTuple):
    title: str
    words: str
    """What the numbers are, on one line."""
    meaning: str
    """What that means and what helps, in whole sentences."""
    severity: Severity
    action: Action
    """What a person may answer with."""


Rule = Callable[[RunRecord], Advice | None]


def advice(record: RunRecord) -> list[Advice]:
    """What there is to say about a run now, the most important first."""
    return [said for rule in RULES if (said := rule(record)) is not None]


def not_a_number(record: RunRecord) -> Advice | None:
    """The newest epoch's loss is not a number."""
    if not record.epochs:
        return None
    last = record.epochs[-1]
    images = record.started.images.get("validation", {}) if record.started else {}
    lost = [
        name
        for name, loss, wanted in (
            ("training", last.train_loss, True),
            ("validation", last.validation_loss, any(images.values())),
        )
        if loss is None and wanted
    ]
    if not lost:
        return None
    kept = "What was best before is kept; begin" if record.best else "Begin"
    return Advice(
        "loss not a number",
        f"{' and '.join(lost)} loss of epoch {last.epoch} is not a number",
        "The weights have run away and will not come back by themselves. "
        f"{kept} again with a lower learning rate.",
        "error",
        _while_live(record, "stop"),
    )


_RISE, _SWING = 0.05, 0.10
"""Parts of the training loss: the least total rise over three epochs, the least swing between two."""


def rate_too_high(record: RunRecord) -> Advice | None:
    """Training loss rises twice in a row, or swings up and down, by more than its own noise."""
    recent = _since_change(record)[-4:]
    losses = _numbers(epoch.train_loss for epoch in recent)
    if len(losses) < 3:
        return None
    noise = _noise(record)
    words = ""
    first, _, last = losses[-3:]
    if losses[-3] < losses[-2] < losses[-1] and last - first > max(_RISE, 2 * noise) * first:
        words = f"training loss rose {number(first)} → {number(last)} in 2 epochs"
    elif len(losses) == 4:
        steps = [after - before for before, after in pairwise(losses)]
        least = max(_SWING, 2 * math.sqrt(2) * noise) * sum(losses) / len(losses)
        turns = all(a * b < 0 for a, b in pairwise(steps))
        if turns and min(map(abs, steps)) > least:
            words = f"training loss swings: {', '.join(map(number, losses))}"
    if not words:
        return None
    return Advice(
        "learning rate too high",
        words,
        f"With {recent[-1].learning_rate:g} the steps overshoot. A third of it or less usually calms that.",
        "warning",
        _while_live(record, "learning_rate"),
    )


_OVERFIT_EPOCHS, _OVERFIT_RISE, _OVERFIT_FALL = 3, 0.05, 0.02
"""So many rises of validation loss in a row, by that part in all, while training loss fell by this."""


def overfitting(record: RunRecord) -> Advice | None:
    """Validation loss has risen epoch after epoch while training loss fell."""
    recent = _of_stage(record)[-(_OVERFIT_EPOCHS + 1) :]
    validation = _numbers(epoch.validation_loss for epoch in recent)
    train = _numbers(epoch.train_loss for epoch in recent)
    if len(validation) <= _OVERFIT_EPOCHS or len(train) <= _OVERFIT_EPOCHS:
        return None
    rising = all(a < b for a, b in pairwise(validation))
    rose = validation[-1] > validation[0] * (1 + _OVERFIT_RISE)
    if not (rising and rose and train[-1] < train[0] * (1 - _OVERFIT_FALL)):
        return None
    best = record.best
    kept = f"The weights of the best epoch, {best.epoch}, are kept. " if best else ""
    live: Action = "unfreeze" if record.stage == "frozen" and _unfrozen_follows(record) else "stop"
    helps = (
        "Unfreezing now goes on from them with the whole network."
        if live == "unfreeze"
        else "More epochs of this stage will hardly help."
    )
    return Advice(
        "overfitting",
        f"validation loss {number(validation[0])} → {number(validation[-1])}, "
        f"training {number(train[0])} → {number(train[-1])} in {_OVERFIT_EPOCHS} epochs",
        f"The network learns its train images by heart. {kept}{helps}",
        "warning",
        _while_live(record, live),
    )


def validation_above_test(record: RunRecord) -> Advice | None:
    """Validation is better than test by more than their 95 % intervals allow."""
    test = record.test
    epoch = record.epoch(test.epoch) if test is not None and test.epoch is not None else None
    if test is None or epoch is None:
        return None
    validation_right, validation_all = _right(epoch.confusion)
    point = record.point
    if point is not None and point.threshold is not None and point.accuracy is not None:
        validation_right = round(point.accuracy * validation_all)  # as test, not as the epoch
    test_right, test_all = _right(test.confusion)
    if not validation_all or not test_all:
        return None
    low, high = interval(validation_right, validation_all)[0], interval(test_right, test_all)[1]
    if low <= high:
        return None
    return Advice(
        "validation better than test",
        f"accuracy {percent(validation_right / validation_all)} on validation, "
        f"{percent(test_right / test_all)} on test: their 95 % intervals are apart",
        "The choice of the best epoch, images that occur twice, or patients in two splits may flatter "
        "validation; or test comes from elsewhere. Believe test.",
        "warning",
        "data",
    )


NO_BETTER_EPOCHS = 5


def no_improvement(record: RunRecord) -> Advice | None:
    """A live run has not had a better epoch for a while."""
    if record.ended or not record.epochs or record.best is None or overfitting(record) is not None:
        return None
    stage = record.stages.get(record.stage) if record.stage else None
    last = record.epochs[-1]
    if stage is None or last.stage != stage.stage:
        return None
    # A stage is given its own time: it begins with the weights of the best epoch before it.
    waited = last.epoch - max(record.best.epoch, stage.first_epoch - 1)
    if waited < NO_BETTER_EPOCHS:
        return None
    best = record.best
    unfreeze = stage.stage == "frozen" and _unfrozen_follows(record)
    return Advice(
        "no improvement",
        f"validation loss has not fallen below {number(best.validation_loss)} (epoch {best.epoch}) "
        f"in {'this stage, ' if best.epoch < stage.first_epoch else ''}{waited} epochs",
        "The head has learned what it can: the whole network may find more."
        if unfreeze
        else "Its weights are kept. The rest of the stage will hardly find better ones.",
        "note",
        "unfreeze" if unfreeze else "stop",
    )


_SLOW, _SLOW_EPOCHS, _FLAT_LOSS = 0.01, 4, 0.1
"""Training loss falls by less than that part an epoch, over at least so many, and is above this (nats)."""


def rate_too_low(record: RunRecord) -> Advice | None:
    """Training loss hardly moves, and never did in this stage, though there is far to go."""
    since = _since_change(record)
    if len(since) < _SLOW_EPOCHS:
        return None
    last = since[-1].train_loss
    if last is None or last <= _FLAT_LOSS or rate_too_high(record) is not None:
        return None
    # Training that has arrived is flat as well, but it fell before that.
    pace = [_fall(part) for part in (since[:_KEPT], since[-_SLOW_EPOCHS:])]
    if any(fall is None or abs(fall) >= _SLOW for fall in pace):
        return None
    of_epochs = since[-_SLOW_EPOCHS:]
    before = number(of_epochs[0].train_loss)
    return Advice(
        "learning rate too low",
        f"training loss hardly moves: {before} → {number(last)} in {_SLOW_EPOCHS - 1} epochs",
        f"With {since[-1].learning_rate:g} it falls by less than 1 % an epoch. "
        "Three times as much, or ten times, gets there sooner.",
        "note",
        _while_live(record, "learning_rate"),
    )


_KEPT = 2 * _SLOW_EPOCHS

_IMBALANCE, _LEAN = 2.0, 0.05
"""Train images of the largest class for one of the smallest, and the lead of its rate that is told."""


def class_imbalance(record: RunRecord) -> Advice | None:
    """Train has far more images of one class, and the network leans that way (or has not shown it yet)."""
    images = record.started.images.get("train", {}) if record.started else {}
    counts = [images.get(name, 0) for name in record.classes]
    if len(counts) < 2 or not min(counts) or max(counts) <= _IMBALANCE * min(counts):
        return None
    most, least = counts.index(max(counts)), counts.index(min(counts))
    much, little = record.classes[most], record.classes[least]
    words = f"{count(counts[most])} train images of {much}, {count(counts[least])} of {little}"
    kept = record.best_epoch  # its weights are what comes of the run, and it does not change with every epoch
    if kept is not None:
        rates = [_rate(kept.confusion, row) for row in (most, least)]
        if rates[0] is None or rates[1] is None or rates[0] - rates[1] < _LEAN:
            return None
        names = ["", ""]
        if len(counts) == 2:
            positive = record.started.settings.get("data", {}).get("positive") if record.started else ""
            positive = positive or record.classes[-1]
            names = [
                "sensitivity " if record.classes[row] == positive else "specificity " for row in (most, least)
            ]
        words = (
            f"{count(counts[most])} {much} to {count(counts[least])} {little}: "
            f"★ {names[0]}{percent(rates[0])}, {names[1]}{percent(rates[1])}"
        )
    return Advice(
        "class imbalance",
        words,
        f"The network sees {counts[most] / counts[least]:.1f} times as many images of {much} and leans that "
        f"way: accuracy alone hides how many of {little} it misses (★: in the best epoch). Read "
        "sensitivity and specificity, and move the threshold (Mistakes) where one of them matters more.",
        "note",
        "mistakes" if kept is not None else "data",
    )


RULES: Sequence[Rule] = (
    not_a_number,
    rate_too_high,
    overfitting,
    validation_above_test,
    no_improvement,
    rate_too_low,
    class_imbalance,
)
"""The most important first."""


def interval(successes: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion in closed form, as ``metrics.interval`` has it from scipy.

    scipy takes a second to import, and this is asked for while a screen is drawn.
    """
    z = NormalDist().inv_cdf(0.975)
    share, weight = successes / total, z * z / total
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / total + weight / (4 * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def _while_live(record: RunRecord, action: Action) -> Action:
    """What helps; once the run is over, History, where another one begins from its settings."""
    return "history" if record.ended else action


def _unfrozen_follows(record: RunRecord) -> bool:
    training = record.started.settings.get("training", {}) if record.started else {}
    return bool(training.get("unfrozen", {}).get("epochs", 0))


def _of_stage(record: RunRecord) -> list[EpochEnded]:
    """The newest stage's epochs, at most as many as any rule looks back."""
    return _tail(record, -1)


def _since_change(record: RunRecord) -> list[EpochEnded]:
    """The newest stage's epochs that had one learning rate from their beginning to their end."""
    changed = [used.epoch for used in record.controls if used.control == "learning_rate"]
    return _tail(record, max((epoch for epoch in changed if epoch is not None), default=-1))


def _tail(record: RunRecord, after: int) -> list[EpochEnded]:
    """The newest stage's epochs behind one; of a long run the first and last, which all rules look at."""
    epochs = record.epochs
    if not epochs or record.stage != epochs[-1].stage:
        return []
    first = max(record.stages[epochs[-1].stage].first_epoch, after + 1)
    # Epochs are numbered without gaps, so the first one wanted is that far from the end.
    start = max(0, len(epochs) - (epochs[-1].epoch - first + 1))
    if len(epochs) - start <= 2 * _KEPT:
        return epochs[start:]
    return [*epochs[start : start + _KEPT], *epochs[-_KEPT:]]


def _numbers(values: Iterable[float | None]) -> list[float]:
    """The values, or none at all where one of them is not a number."""
    known = list(values)
    return [value for value in known if value is not None] if None not in known else []


def _noise(record: RunRecord) -> float:
    """How far an epoch's training loss lies off by chance, as a part of it.

    The losses of single images spread about twice as far as their mean, so the mean of n images is
    off by 2/√n: 3 % of five thousand images, 10 % of four hundred.
    """
    images = sum(record.started.images.get("train", {}).values()) if record.started else 0
    return 2 / math.sqrt(images) if images else 0.0


def _fall(epochs: Sequence[EpochEnded]) -> float | None:
    """The part that training loss lost an epoch, by least squares through its logarithm."""
    losses = _numbers(epoch.train_loss for epoch in epochs)
    if len(losses) < 2 or min(losses) <= 0:
        return None
    slope = linear_regression([epoch.epoch for epoch in epochs], [math.log(loss) for loss in losses]).slope
    return 1 - math.exp(slope)


def _right(confusion: Sequence[Sequence[int]]) -> tuple[int, int]:
    """Images that are right, and all."""
    return sum(row[place] for place, row in enumerate(confusion)), sum(map(sum, confusion))


def _rate(confusion: Sequence[Sequence[int]], row: int) -> float | None:
    """The part of a class's images that is right."""
    total = sum(confusion[row]) if row < len(confusion) else 0
    return confusion[row][row] / total if total else None

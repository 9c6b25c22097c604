"""The tables of a run's report, as lines of Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.events import Mistake, RunStarted
from xray_tui.runs.judged import Interval, Judged
from xray_tui.runs.markdown import code, plain, table
from xray_tui.runs.record import RunRecord
from xray_tui.settings import Settings
from xray_tui.settings_file import leaves
from xray_tui.words import ABSENT, count, harmless, number, percent

if TYPE_CHECKING:
    from xray_tui.metrics import Metrics

_METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC",
    "average_precision": "average precision",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "f1": "F1",
    "mcc": "MCC",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "loss": "loss",
}
"""By the field of ``metrics.Metrics``."""
_IN_PERCENT = ("accuracy", "balanced_accuracy", "sensitivity", "specificity")
_AT = (0.90, 0.95)
_NOT_WHAT_WAS_DONE = ("run.", "data.root", "data.cache", "data.unreadable", "preset")
"""Beginnings of settings that say where things lie, or are told elsewhere."""


def images(started: RunStarted) -> list[str]:
    """Images by role and class, and how many patients they are of."""
    header = ["images", *map(plain, started.classes), "all", *(["patients"] if started.patients else [])]
    rows = []
    for role, counts in started.images.items():
        cells = [counts.get(name, 0) for name in started.classes]
        row = [role, *map(count, [*cells, sum(cells)])]
        if started.patients:
            row.append(count(started.patients[role]) if role in started.patients else ABSENT)
        rows.append(row)
    return table(header, rows, numbers=range(1, len(header)))


def settings(started: RunStarted) -> list[str]:
    """Every setting that is another than the run's preset has it."""
    rows = [
        [code(path), _value(value), _value(before), _described(path)]
        for path, value, before in _differing(started)
    ]
    return table(["setting", "here", "preset", ""], rows) if rows else ["None.", ""]


def command(started: RunStarted) -> str:
    """What runs it again, as a line for a shell."""
    root = str(started.settings.get("data", {}).get("root") or "DATA")
    words = ["xray-tui", "train", root]
    words += ["--preset", str(started.settings.get("preset", "recipe"))]
    for path, value, _ in _differing(started):
        option = config.option_of(path)
        if path == "hardware.threads":  # changes no number
            continue
        if not option:  # there is nothing to say so with
            return _line(["xray-tui", "train", root, "--config", "config.toml"])
        if isinstance(value, bool):
            words.append(option if value else f"{option}=false")
        else:
            words += [option, str(value)]
    return _line(words)


def epochs(record: RunRecord) -> list[str]:
    header = [
        "Epoch",
        "Stage",
        "Training Loss",
        "Test Loss",
        "Accuracy",
        "AUC",
        "Sensitivity",
        "Specificity",
    ]
    rows = []
    for e in record.epochs:
        star = " ★" if record.best and record.best.epoch == e.epoch else ""
        cells = [f"{e.epoch}{star}", e.stage, number(e.train_loss, 4), number(e.validation_loss, 4)]
        cells += [percent(e.accuracy), number(e.auc, 4), percent(e.sensitivity), percent(e.specificity)]
        rows.append(cells)
    words = "Test Loss is the validation loss, as published. ★ marks the best epoch. Rates are those of the "
    return [*table(header, rows, numbers=(0, *range(2, 8))), f"{words}likeliest class.", ""]


def scores(judged: Sequence[Judged], positive: int) -> list[str]:
    """All metrics with their intervals, a role each."""
    header = [""]
    for found in judged:
        header += [f"{found.role} ({count(found.images)} images)", "95 % interval"]
    rows = []
    for name, title in _METRICS.items():
        halved = name == "brier" and any(len(found.metrics.confusion) > 2 for found in judged)
        row = [f"{title}, halved" if halved else title]
        for found in judged:
            row += [_number(name, getattr(found.metrics, name)), _interval(name, found)]
        if set(row[1:]) - {ABSENT}:
            rows.append(row)
    rows += _at(judged, positive)
    return table(header, rows, numbers=range(1, len(header)))


def per_class(found: Judged, classes: Sequence[str], positive: int) -> list[str]:
    """Each class against the rest, and the means over classes; nothing of two classes."""
    from xray_tui import metrics

    if found.kept is None or len(classes) < 3:
        return []
    of_classes = metrics.per_class(
        found.kept.probabilities, found.kept.images.actual, found.threshold, positive
    )
    named: list[tuple[str, Metrics]] = list(zip(map(plain, classes), of_classes, strict=True))
    named.append(("mean (macro)", metrics.macro(of_classes)))
    shown = ("auc", "average_precision", "sensitivity", "specificity", "f1", "mcc")
    rows = [
        [name, *(_number(metric, getattr(of_class, metric)) for metric in shown)] for name, of_class in named
    ]
    header = [found.role, *(_METRICS[metric] for metric in shown)]
    return table(header, rows, numbers=range(1, len(header)))


def confusion(found: Judged, classes: Sequence[str]) -> list[str]:
    rows = []
    for name, row in zip(classes, found.metrics.confusion, strict=True):
        total = sum(row)
        rows.append([plain(name), *(f"{count(n)} ({percent(n / total if total else None)})" for n in row)])
    header = [f"{found.role}: actual \\ predicted", *map(plain, classes)]
    return table(header, rows, numbers=range(1, len(header)))


def mistakes(worst: Sequence[Mistake], classes: Sequence[str]) -> list[str]:
    rows = [
        [
            str(rank),
            code(mistake.path),
            plain(classes[mistake.actual]),
            plain(classes[mistake.predicted]),
            percent(mistake.probability),
            number(mistake.loss),
        ]
        for rank, mistake in enumerate(worst, 1)
    ]
    return table(["", "image", "actual", "predicted", "probability", "loss"], rows, numbers=(0, 4, 5))


def _at(judged: Sequence[Judged], positive: int) -> Iterator[list[str]]:
    """Sensitivity at fixed specificity and back, whatever the operating point is."""
    from xray_tui import metrics

    if not any(found.kept for found in judged):
        return
    ways = (
        ("sensitivity", "specificity", metrics.sensitivity_at),
        ("specificity", "sensitivity", metrics.specificity_at),
    )
    for told, fixed, at in ways:
        for level in _AT:
            row = [f"{told} at {percent(level, 0)} {fixed}"]
            for found in judged:
                value = None
                if found.kept is not None:
                    value = at(
                        found.kept.probabilities[:, positive], found.kept.images.actual == positive, level
                    )
                row += [percent(value), ""]
            yield row


def _number(name: str, value: float | None) -> str:
    return percent(value) if name in _IN_PERCENT else number(value, 4)


def _interval(name: str, found: Judged) -> str:
    interval: Interval | None = found.intervals.get(name)
    if interval is None:
        return ABSENT
    low, high = interval
    words = f"{100 * low:.1f} to {100 * high:.1f}" if name in _IN_PERCENT else f"{low:.4f} to {high:.4f}"
    return f"{words} (W)" if name in found.wilson else words


def _differing(started: RunStarted) -> Iterator[tuple[str, Any, Any]]:
    """Path, value and the preset's value of what is not as the preset has it."""
    try:
        preset = config.load({"preset": started.settings.get("preset", "recipe")})
    except UserError:  # of another version
        preset = Settings()
    before = dict(leaves(config.to_tree(preset)))
    for path, value in leaves(started.settings):
        if value != before.get(path) and not path.startswith(_NOT_WHAT_WAS_DONE):
            yield path, value, before.get(path)


def _line(words: Sequence[str]) -> str:
    return harmless(shlex.join(words))


def _value(value: Any) -> str:
    if value is None or value == "":
        return ABSENT
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else plain(str(value))


def _described(path: str) -> str:
    try:
        return config.describe(path)
    except KeyError:  # a setting of another version
        return ""

"""What a run is worth on test or on another data set, on standard output."""

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from xray_tui import metrics
from xray_tui.json_text import json_text
from xray_tui.metrics import Metrics
from xray_tui.printing import results_console
from xray_tui.runs.evaluated import Evaluated, to_tree
from xray_tui.words import (
    ABSENT,
    SELECTED_ON_TEST,
    count,
    harmless,
    looked_at,
    number,
    percent,
    positive_of,
    probability,
)

if TYPE_CHECKING:
    from xray_tui.trained import Trained

_WIDEST = 1000
"""In a file: a number is not cut, however many classes there are."""
_NAMES = {"auc": "AUC", "f1": "F1", "mcc": "MCC", "brier": "Brier score"}
_IN_PERCENT = ("accuracy", "balanced_accuracy", "sensitivity", "specificity")


def print_json(found: Evaluated) -> None:
    """All of it as one JSON object, rates as fractions."""
    print(json_text(to_tree(found)))


def print_evaluated(found: Evaluated) -> None:
    """A table for a person."""
    out = results_console(_WIDEST)
    for line in _about(found):
        out.print(escape(harmless(line)), soft_wrap=True)
    table = Table(
        "elsewhere" if found.data else "on test", "value", "95 % interval", box=None, pad_edge=False
    )
    for name in metric_names():
        interval = found.intervals.get(name)
        bounds = f"{_shown(name, interval[0])} to {_shown(name, interval[1])}" if interval else ABSENT
        bounds += " (W)" if name in found.wilson else ""
        halved = ", halved" if name == "brier" and found.of_classes else ""
        table.add_row(_called(name) + halved, _shown(name, getattr(found.metrics, name)), bounds)
    out.print(table)
    if found.wilson:
        out.print("(W): Wilson's interval of a proportion, each image for itself")
    out.print()
    out.print(_confusion(found))
    if found.of_classes:
        out.print()
        out.print(_classes(found.of_classes))


def called(found: "Evaluated | Trained") -> str:
    """Where positive is called, in words."""
    where = "the likeliest class is called"
    if found.threshold is not None:
        since = probability(found.threshold)
        where = f"{found.positive} is called from p ≥ {since} ({found.rule}, on validation)"
    return where + (f"; calibrated, temperature {found.temperature:.3f}" if found.temperature else "")


def metric_names() -> list[str]:
    return [field.name for field in fields(Metrics) if field.name != "confusion"]


def _about(found: Evaluated) -> Iterator[str]:
    patients = f" of {count(found.patients)} patient{'' if found.patients == 1 else 's'}"
    if found.patients == found.images > 1:
        patients = ", each of another patient as far as is known"
    yield f"{found.run}, epoch {ABSENT if found.epoch is None else found.epoch}"
    looked = looked_at(found.times, "these images" if found.data else "test")
    if found.data:
        yield f"on another data set than the run's: {found.data}"
    left_out = f" ({count(found.unreadable)} cannot be read)" if found.unreadable else ""
    yield f"{count(found.images)} images{left_out}{patients}; {looked}"
    yield f"positive: {positive_of(found.positive, found.classes)}"
    yield called(found)
    if found.selected_on_test:
        yield f"the best epoch was {SELECTED_ON_TEST}: on the folder test, as published"


def _confusion(found: Evaluated) -> Table:
    table = Table("actual \\ predicted", *_escaped(found.classes), box=None, pad_edge=False)
    for name, row in zip(found.classes, found.metrics.confusion, strict=True):
        table.add_row(escape(harmless(name)), *map(count, row))
    return table


def _classes(of_classes: dict[str, Metrics]) -> Table:
    """Each class against the rest, and their means."""
    table = Table("against the rest", *_escaped(of_classes), "macro", box=None, pad_edge=False)
    every = [*of_classes.values(), metrics.macro(list(of_classes.values()))]
    for name in metric_names():
        if name != "loss":
            table.add_row(_called(name), *(_shown(name, getattr(scores, name)) for scores in every))
    return table


def _escaped(names: "list[str] | dict[str, Metrics]") -> list[str]:
    return [escape(harmless(name)) for name in names]


def _called(name: str) -> str:
    return _NAMES.get(name, name.replace("_", " "))


def _shown(name: str, value: float | None) -> str:
    return percent(value) if name in _IN_PERCENT else number(value, 4)

"""Whether events and settings that were read back can be those of a run.

A line may be an event by its types and still name a class that there is none of, or a table that is not
square. Whoever shows a run relies on none of that being so; here it is made sure,
once, where the line is read.
"""

import math
from collections.abc import Sequence
from typing import Any

from xray_tui import config
from xray_tui.events import (
    MOST_COUNTED,
    MOST_EPOCHS,
    EpochEnded,
    Event,
    Explained,
    Mistakes,
    RunStarted,
    TestEvaluated,
)
from xray_tui.settings import Settings

Kinds = dict[str, Any]
"""By name, the types that a setting may have, or those of a section's settings."""

_DEEPEST = 8
"""Tables within tables in settings; ours have four."""


def _kinds(tree: dict[str, Any]) -> Kinds:
    return {
        name: _kinds(value)
        if isinstance(value, dict)
        else (int, float)
        if isinstance(value, float)
        else (type(value),)
        for name, value in tree.items()
    }


_KINDS = _kinds(config.to_tree(Settings()))


def check(event: Event, classes: Sequence[str] | None = None) -> None:
    """
    Args:
        classes: of the run, where they are known already.

    Raises:
        ValueError: the event cannot be one of a run; says what in it.
    """
    match event:
        case RunStarted():
            _check_started(event)
        case EpochEnded():
            _check_table(event.confusion, classes)
        case TestEvaluated(skipped=""):
            _check_table(event.confusion, classes)
        case Mistakes(worst=mistakes) | Explained(mistakes=mistakes) if classes is not None:
            known = range(len(classes))
            if not all(mistake.actual in known and mistake.predicted in known for mistake in mistakes):
                raise ValueError("a mistake names a class that the run has not")


def check_settings(tree: Any) -> None:
    """Whether something is shaped as settings are: sections by name, in them values, ours of our kinds.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(tree, dict):
        raise ValueError("the settings have no sections")
    _check_section(tree, _KINDS, 0)


def _check_section(section: dict[str, Any], kinds: Kinds, depth: int) -> None:
    """
    Args:
        kinds: of the settings that are known here; a newer version may have others.
    """
    if depth > _DEEPEST:
        raise ValueError("the settings are nested too deeply")
    for name, value in section.items():
        wanted, kind = kinds.get(name), type(value)
        if kind is dict:
            if isinstance(wanted, tuple):
                raise ValueError(f"the setting {name} is of another kind")
            _check_section(value, wanted or {}, depth + 1)
        elif isinstance(wanted, dict):
            raise ValueError(f"the settings have no section {name}")
        elif wanted is None and depth == 0:
            raise ValueError(f"{name} is no section of settings")
        elif wanted is not None and value is not None and not isinstance(value, wanted):
            raise ValueError(f"the setting {name} is of another kind")
        elif kind is float and not math.isfinite(value):
            raise ValueError(f"no setting is {value}")
        elif kind is int and not abs(value) <= (MOST_EPOCHS if name == "epochs" else MOST_COUNTED):
            raise ValueError(f"the setting {name} is too large a number")


def _check_started(event: RunStarted) -> None:
    check_settings(event.settings)
    classes = event.classes
    if len(set(classes)) != len(classes) or len(classes) < 2:
        raise ValueError("its classes are not two or more, each with a name of its own")
    positive = event.settings.get("data", {}).get("positive")
    if positive and positive not in classes:
        raise ValueError("the positive class is none of the run's")


def _check_table(confusion: list[list[int]], classes: Sequence[str] | None) -> None:
    wanted = len(confusion if classes is None else classes)
    if len(confusion) != wanted or {*map(len, confusion)} != {wanted}:
        raise ValueError("the table of its predictions does not fit the classes")

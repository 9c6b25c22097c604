"""Whether events and settings that were read back can be those of a run.

A line may be an event by its types and still name a class that there is none of, a moment that no calendar
has, or a table that is not square. Whoever shows a run relies on none of that being so; here it is made sure,
once, where the line is read.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

from xray_tui import config
from xray_tui.events import EpochEnded, Event, Mistakes, RunStarted, TestEvaluated
from xray_tui.settings import Settings
from xray_tui.settings_file import leaves

Names = tuple[str, ...]

LAST_MOMENT = 253_402_300_000.0
"""Unix seconds: the year 9999, beyond which there is no date."""
_MOST = 2**53
"""Of anything that is counted; beyond it a float has no room for each number."""
_MOST_EPOCHS = 10**9
_LARGEST = 1e39
"""Of a loss or a rate: more than a float32 holds, and so little that sums of them are finite."""
_INNER = ("frozen", "unfrozen", "augmentation")
"""Sections within sections."""
_DEEPEST = 8
"""Tables within tables in settings; ours have four."""

_KINDS: list[tuple[list[str], tuple[type, ...]]] = [
    (path.split("."), (int, float) if isinstance(value, float) else (type(value),))
    for path, value in leaves(config.to_tree(Settings()))
]
"""Where each setting stands, and what it is."""

_COUNTS: Names = ("total", "images", "bytes", "unreadable", "parameters", "done")
_COUNTS += ("trainable_parameters", "total_parameters")
_EPOCHS: Names = ("epoch", "epochs", "first_epoch", "best_epoch")
_FRACTIONS: Names = ("accuracy", "auc", "sensitivity", "specificity")
_NUMBERS: Names = ("loss", "train_loss", "validation_loss", "learning_rate", "images_per_second")
_NUMBERS += ("seconds", "value")
_BOUNDS: tuple[tuple[Names, float, float], ...] = (
    (_COUNTS, 0, _MOST),
    (_EPOCHS, 0, _MOST_EPOCHS),
    (_FRACTIONS, 0, 1),
    (_NUMBERS, -_LARGEST, _LARGEST),
)


def check(event: Event, classes: Sequence[str] | None = None) -> None:
    """
    Args:
        classes: of the run, where they are known already.

    Raises:
        ValueError: the event cannot be one of a run; says what in it.
    """
    check_moment(event.t)
    check_numbers(event)
    if isinstance(event, RunStarted):
        _check_started(event)
    if isinstance(event, EpochEnded | TestEvaluated) and not (
        isinstance(event, TestEvaluated) and event.skipped
    ):
        _check_table(event.confusion, None if classes is None else len(classes))
    if isinstance(event, Mistakes) and classes is not None:
        for mistake in event.worst:
            if not (0 <= mistake.actual < len(classes) and 0 <= mistake.predicted < len(classes)):
                raise ValueError("a mistake names a class that the run has not")


def check_numbers(told: object) -> None:
    """
    Args:
        told: anything that has such numbers by their names.

    Raises:
        ValueError: one is beyond all sense.
    """
    for name, least, most in _bounds(getattr(told, "__struct_fields__", ())):
        value = getattr(told, name)
        if isinstance(value, int | float) and not least <= value <= most:
            raise ValueError(f"{name} is beyond all sense")


@cache
def _bounds(fields: Names) -> list[tuple[str, float, float]]:
    """Those fields of a struct that are such numbers, and what bounds them."""
    return [(name, least, most) for names, least, most in _BOUNDS for name in names if name in fields]


def check_moment(t: float | None) -> None:
    """
    Raises:
        ValueError: no calendar has it.
    """
    if t is not None and not 0 <= t <= LAST_MOMENT:
        raise ValueError(f"there is no moment {t}")


def check_settings(tree: Any, depth: int = 0) -> None:
    """Whether something has the shape of settings: sections by name, values within them.

    Raises:
        ValueError: it has not.
    """
    if not isinstance(tree, dict):
        if depth < 2 and not (
            depth == 1 and isinstance(tree, str)
        ):  # only ``preset`` stands outside a section
            raise ValueError("the settings have no sections")
        if isinstance(tree, float) and not math.isfinite(tree):
            raise ValueError(f"no setting is {tree}")
        if isinstance(tree, int) and abs(tree) > _MOST:
            raise ValueError("a setting is too large a number")
        return
    if depth > _DEEPEST:
        raise ValueError("the settings are nested too deeply")
    for name, inner in tree.items():
        if depth == 1 and name in _INNER and not isinstance(inner, dict):
            raise ValueError(f"the settings have no section {name}")
        check_settings(inner, depth + 1)


def _check_started(event: RunStarted) -> None:
    check_settings(event.settings)
    _check_kinds(event.settings)
    classes = event.classes
    if len(set(classes)) != len(classes) or len(classes) < 2:
        raise ValueError("its classes are not two or more, each with a name of its own")
    positive = event.settings.get("data", {}).get("positive")
    if positive and positive not in classes:
        raise ValueError("the positive class is none of the run's")
    if not all(0 <= n <= _MOST for counts in event.images.values() for n in counts.values()):
        raise ValueError("its images cannot be so many")


def _check_kinds(tree: dict[str, Any]) -> None:
    """A setting that is known is a text where ours is one, and a number where ours is one."""
    for (*sections, name), kinds in _KINDS:
        found: Any = tree
        for section in sections:
            found = found.get(section, {})
        value: Any = found.get(name)
        if value is None:
            continue
        if not isinstance(value, kinds):
            raise ValueError(f"the setting {name} is of another kind")
        if name == "epochs" and isinstance(value, int) and not 0 <= value <= _MOST_EPOCHS:
            raise ValueError("the epochs to come are no number")


def _check_table(confusion: list[list[int]], classes: int | None) -> None:
    wanted = len(confusion) if classes is None else classes
    if len(confusion) != wanted or any(len(row) != wanted for row in confusion):
        raise ValueError("the table of its predictions does not fit the classes")
    if not all(0 <= images <= _MOST for row in confusion for images in row):
        raise ValueError("the table of its predictions has a number that is none of images")

"""The fields of the run filter: what of a run each looks at, how it compares, how it sorts.

Texts: ``:`` contains, ``=`` is, both without regard to case. Numbers: ``=`` compares as far as the number
was written, so that ``acc=89.1%`` finds what the screen shows as 89.1 %. ``!=`` is the opposite of ``=``.
Any other comparison is false where a run has no such value.
"""

import difflib
import re
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal, NamedTuple, get_args

from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.events import Stage
from xray_tui.runs.index import Summary
from xray_tui.runs.state import Status
from xray_tui.settings import OPTIONS, Settings
from xray_tui.settings_file import leaves

Test = Callable[[Summary], bool]
Kind = Literal["text", "choice", "number", "fraction", "duration", "date"]
_Compare = Callable[[Any], bool]
"""Of a value that is not None."""


class Field(NamedTuple):
    name: str
    kind: Kind
    help: str
    example: str
    get: Callable[[Summary], Any]
    choices: tuple[str, ...] = ()


FIELDS = (
    Field("name", "text", "what it is called", 'name:"night run"', lambda s: s.name),
    Field("note", "text", "the note about it", "note:augmentation", lambda s: s.note),
    Field(
        "status",
        "choice",
        "how it is or ended",
        "status:done",
        lambda s: s.status,
        (*get_args(Status), "pruned", "unreadable"),
    ),
    Field("stage", "choice", "the stage it reached", "stage:unfrozen", lambda s: s.stage, get_args(Stage)),
    Field("backbone", "text", "the backbone", "backbone:resnet", lambda s: s.backbone),
    Field("data", "text", "name of the data folder", "data:chest_xray", lambda s: s.data),
    Field("epochs", "number", "epochs that ended", "epochs>=10", lambda s: s.epochs),
    Field("acc", "fraction", "accuracy at the best epoch", "acc>=88%", lambda s: s.accuracy),
    Field("auc", "fraction", "AUC at the best epoch", "auc>0.95", lambda s: s.auc),
    Field("loss", "number", "validation loss at the best epoch", "loss<0.3", lambda s: s.loss),
    Field("seconds", "duration", "how long it ran", "seconds<10m", lambda s: s.seconds),
    Field("started", "date", "when it began", "started>=2026-11-01", lambda s: s.started),
)
"""Beside these: ``cfg.SETTING`` (``cfg.batch_size>=64``), and ``has:FIELD``."""

_OTHER_NAMES = {"accuracy": "acc", "date": "started", "time": "seconds", "took": "seconds", "epoch": "epochs"}
_BY_NAME = {field.name: field for field in FIELDS}

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NUMBER = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)(%?)")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[smhd])+", re.IGNORECASE)
_CLOCK = re.compile(r"(?:([0-9]{1,6}):)?([0-9]{1,6}):([0-9]{2})")
_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2})(?:[T ]([0-9]{1,2}):([0-9]{2}))?)?)?")


def comparison(name: str, operator: str, value: str | None) -> Test:
    """The test that ``name operator value`` means.

    Args:
        operator: one of ``: = != < <= > >=``.
        value: without quotes; ``None`` where there is none.

    Raises:
        UserError: no such field, or a value or an operator that does not fit it.
    """
    wanted = name.lower()
    if wanted == "has":
        return _has(value, operator)
    try:
        get, field = _field(wanted)
    except UserError as error:
        quoting = f'to look for the words, quote them: "{name}{operator}{value or ""}"'
        hints = [*error.hint.split("\n"), quoting]
        hints.sort(key=len)  # the list of fields, which is long, comes last: a narrow screen cuts there
        raise UserError(error.message, "\n".join(hints)) from None
    if value is None:
        raise UserError(f"{name}{operator} wants a value", f"such as {field.example}")
    compare = _comparing(field, operator, value)
    compares_numbers = field.kind not in ("text", "choice")  # a setting was a text in an older version

    def test(summary: Summary) -> bool:
        found = get(summary)
        if found is None or (compares_numbers and not isinstance(found, int | float)):
            return operator == "!="
        return compare(found)

    return test


def ordered(runs: Iterable[Summary], name: str, *, reverse: bool = False) -> list[Summary]:
    """The runs by a field: what one looks for first comes first, and what a run does not have comes last.

    That is the newest, the highest, the lowest loss, the first by alphabet.

    Raises:
        UserError: no such field.
    """
    get, field = _field(name.lower())
    is_number = field.kind not in ("text", "choice")
    known, unknown = [], []
    for run in runs:
        value = get(run)
        if value in (None, "") or (is_number and not isinstance(value, int | float)):
            unknown.append(run)
        else:
            known.append((value if is_number else str(value).casefold(), run))
    highest_first = is_number and field.name != "loss"
    known.sort(key=lambda pair: pair[0], reverse=highest_first != reverse)
    return [run for _, run in known] + unknown


def contains(text: str, word: str) -> bool:
    return word.casefold() in text.casefold()


def _has(value: str | None, operator: str) -> Test:
    if operator != ":" or not value:
        raise UserError("has: wants a field", "such as has:note or has:auc")
    get, _ = _field(value.lower())
    return lambda summary: get(summary) not in (None, "")


def _field(name: str) -> tuple[Callable[[Summary], Any], Field]:
    """What gets a field's value out of a summary, and its description."""
    name = _OTHER_NAMES.get(name, name)
    if name in _BY_NAME:
        return _BY_NAME[name].get, _BY_NAME[name]
    if name.startswith("cfg."):
        return _setting(name.removeprefix("cfg."))
    # Other names are not listed: only one that was surely meant counts, as the field that it is.
    others = difflib.get_close_matches(name, _OTHER_NAMES, n=1, cutoff=0.87)
    near = [_OTHER_NAMES.get(one, one) for one in _near(name, [*_BY_NAME, *others, "cfg.", "has"])]
    known = "fields are " + ", ".join([*_BY_NAME, "cfg.SETTING", "has"])
    raise UserError(f"no field {name}", f"did you mean {near[0]}?\n{known}" if near else known)


def _setting(wanted: str) -> tuple[Callable[[Summary], Any], Field]:
    path = _path(wanted.replace("-", "_"))
    *parents, leaf = path.split(".")

    def get(summary: Summary) -> Any:
        tree: Any = summary.settings
        for parent in parents:
            tree = tree.get(parent, {}) if isinstance(tree, dict) else {}
        return tree.get(leaf) if isinstance(tree, dict) else None

    default = _defaults()[path]
    number = isinstance(default, int | float) and not isinstance(default, bool)
    example = f"cfg.{wanted}>={default}" if number else f"cfg.{wanted}:{default or 'text'}"
    return get, Field(f"cfg.{wanted}", "number" if number else "text", config.describe(path), example, get)


def _path(wanted: str) -> str:
    """The setting that a path, its end, or an option's name means."""
    paths = _defaults()
    if wanted in paths:
        return wanted
    if wanted in OPTIONS:
        return OPTIONS[wanted]
    matching = [path for path in paths if path.endswith(f".{wanted}")]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise UserError(
            f"cfg.{wanted} may be one of {len(matching)} settings",
            "name " + _listed(f"cfg.{path}" for path in matching),
        )
    if not wanted:
        raise UserError("cfg. wants a setting", "such as cfg.batch_size>=64")
    ends = {path.rpartition(".")[2] for path in paths}
    near = _near(wanted, [*ends, *OPTIONS])
    raise UserError(
        f"no setting {wanted}",
        f"did you mean {_listed(near)}?" if near else "see the Settings tab for their names",
    )


@cache
def _defaults() -> dict[str, Any]:
    """Every setting's default, by dotted path."""
    return dict(leaves(config.to_tree(Settings())))


def _comparing(field: Field, operator: str, value: str) -> _Compare:
    match field.kind:
        case "text":
            return _text(field, operator, value)
        case "choice":
            return _choice(field, operator, value)
        case "date":
            return _date(field, operator, value)
        case "duration":
            return _number(operator, *_seconds(field, value))
        case _:
            return _number(operator, *_read_number(field, value))


def _text(field: Field, operator: str, value: str) -> _Compare:
    _only_equality(field, operator)
    wanted = value.casefold()
    if operator == ":":
        return lambda found: contains(str(found), wanted)
    if operator == "=":
        return lambda found: str(found).casefold() == wanted
    return lambda found: str(found).casefold() != wanted


def _choice(field: Field, operator: str, value: str) -> _Compare:
    """The beginning of a choice is enough; ``frozen`` is not the beginning of ``unfrozen``."""
    _only_equality(field, operator)
    wanted = value.casefold()
    if not any(choice.startswith(wanted) for choice in field.choices):
        raise UserError(f"{field.name} is never {value}", "it is " + _listed(field.choices, "or"))
    if operator == "!=":
        return lambda found: not found.startswith(wanted)
    return lambda found: bool(found.startswith(wanted))


def _only_equality(field: Field, operator: str) -> None:
    if operator not in (":", "=", "!="):
        raise UserError(f"{field.name} is a text, which {operator} does not compare", "use : or = or !=")


def _number(operator: str, wanted: float, scale: float, digits: int | None) -> _Compare:
    """Compare with a number.

    Args:
        wanted: the number as it was written.
        scale: what a value is multiplied with to be in the unit it was written in.
        digits: after the point, as it was written; ``None`` where equal means equal.
    """
    shown = 1 if scale == 100.0 else 3  # 89.1 % on the screen is <= 89.1%, but 0.85 is not >= 0.9

    def same(found: float, at_least: int = 0) -> bool:
        if digits is None:
            return abs(found - wanted / scale) <= 1e-9 * abs(found)
        places = max(digits, at_least)
        return round(found * scale, places) == round(wanted, places)

    match operator:
        case ":" | "=":
            return same
        case "!=":
            return lambda found: not same(found)
        case "<":
            return lambda found: bool(found * scale < wanted)
        case ">":
            return lambda found: bool(found * scale > wanted)
        case "<=":
            return lambda found: bool(found * scale < wanted) or same(found, shown)
        case _:
            return lambda found: bool(found * scale > wanted) or same(found, shown)


def _read_number(field: Field, value: str) -> tuple[float, float, int | None]:
    match = _NUMBER.fullmatch(value)
    if match is None:
        raise UserError(f"{field.name} is a number, and {value} is none", f"such as {field.example}")
    written, scale = float(match[1]), 100.0 if match[2] else 1.0
    if field.kind == "fraction" and written > scale:
        raise UserError(f"{field.name} is never more than 1", f"write it as {value}% or as a fraction")
    exact = field.name.startswith("cfg.") or "e" in match[1].lower()  # settings are what somebody wrote
    return written, scale, None if exact else len(match[1].partition(".")[2])


def _seconds(field: Field, value: str) -> tuple[float, float, int | None]:
    """``90``, ``90s``, ``10m``, ``1h30m``, and ``10:30`` as it is shown."""
    if clock := _CLOCK.fullmatch(value):
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return 3600.0 * hours + 60.0 * minutes + seconds, 1.0, 0
    if _DURATION.fullmatch(value):
        parts = re.findall(r"([0-9.]+)([smhd])", value.lower())
        unit = _UNITS[parts[-1][1]]
        total = sum(float(number) * _UNITS[name] for number, name in parts)
        return total / unit, 1 / unit, len(parts[-1][0].partition(".")[2])
    if _NUMBER.fullmatch(value):
        return _read_number(field, value)
    raise UserError(f"{field.name} is a time, and {value} is none", "such as 90, 10m, 1h30m or 10:30")


def _date(field: Field, operator: str, value: str) -> _Compare:
    """A year, month, day or minute is a span of time: after it is after its end."""
    first, end = _span(field, value)
    match operator:
        case ":" | "=":
            return lambda found: bool(first <= found < end)
        case "!=":
            return lambda found: not first <= found < end
        case "<":
            return lambda found: bool(found < first)
        case "<=":
            return lambda found: bool(found < end)
        case ">":
            return lambda found: bool(found >= end)
        case _:
            return lambda found: bool(found >= first)


def _span(field: Field, value: str) -> tuple[float, float]:
    """The first second of a date and the first after it, in Unix seconds of local time."""
    today = datetime.fromtimestamp(time.time()).replace(hour=0, minute=0, second=0, microsecond=0)
    days = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        if value.lower() in days:
            first = days[value.lower()]
            return first.timestamp(), (first + timedelta(days=1)).timestamp()
        match = _DATE.fullmatch(value)
        if match is None:
            raise ValueError("not a date")
        year, month, day, hour, minute = (int(part) if part else None for part in match.groups())
        assert year is not None
        first = datetime(year, month or 1, day or 1, hour or 0, minute or 0)
        if minute is not None:
            end = first + timedelta(minutes=1)
        elif day is not None:
            end = first + timedelta(days=1)
        else:  # the end of a month is in the next; that of a December, or of a year, in the next year
            end = datetime(year + (month in (None, 12)), month % 12 + 1 if month else 1, 1)
        return first.timestamp(), end.timestamp()
    except (ValueError, OverflowError, OSError):
        raise UserError(
            f"{field.name} is a date, and {value} is none", "such as 2026-11-01, 2026-11 or today"
        ) from None


def _near(name: str, known: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(name, list(dict.fromkeys(known)), n=3, cutoff=0.55)


def _listed(words: Iterable[str], joint: str = "or") -> str:
    *most, last = words
    return f"{', '.join(most)} {joint} {last}" if most else last

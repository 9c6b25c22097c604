"""What was looked at and how it stands: the one thing that every part of the doctor gives."""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

from msgspec import Struct

from xray_tui.errors import UserError

Verdict = Literal["ok", "note", "warning", "problem"]
"""``note``: good to know, nothing is amiss. Where there is a ``problem`` the program cannot work."""
MARKS: dict[Verdict, str] = {"ok": "✓", "note": "·", "warning": "!", "problem": "✕"}
"""The gravest last."""


class Check(Struct, frozen=True):
    name: str
    verdict: Verdict
    found: str
    """In words."""
    remedy: str = ""
    """What to do, in words; often a command."""


class Placed(NamedTuple):
    """A check, and the section that it belongs to."""

    section: str
    check: Check


def told(error: UserError) -> tuple[str, str]:
    """An error as what was found and its remedy, each on one line."""
    return error.message, " ".join(error.hint.splitlines())


def guarded(
    section: str, look: Callable[[], Iterable[Check]], *, grave: Verdict = "warning"
) -> Iterator[Placed]:
    """The checks of a section, whatever is broken in it.

    Args:
        grave: what it means where looking itself fails.
    """
    try:
        for check in look():
            yield Placed(section, check)
    except Exception as error:  # what no part has foreseen is what people come to learn
        why = told(error)[0] if isinstance(error, UserError) else in_words(error)
        yield Placed(section, Check(section, grave, f"could not be looked at: {why}"))


def in_words(error: BaseException) -> str:
    """``ImportError: libcudart.so.12: cannot open …``, of its first line."""
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def worst(checks: Iterable[Check]) -> Verdict:
    gravity = list(MARKS)
    return max((check.verdict for check in checks), key=gravity.index, default="ok")

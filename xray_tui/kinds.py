"""What kind of value a setting takes: its choices and bounds in words, and a typed text as that value."""

import math
from typing import Annotated, Any, Literal, get_args, get_origin

from xray_tui import config
from xray_tui.errors import UserError

_TRUTH = {"false": False, "true": True}


def choices(path: str) -> tuple[str, ...]:
    """The values that a setting may have, where those are a few; else none."""
    kind = _plain(path)
    if kind is bool:
        return tuple(_TRUTH)
    return get_args(kind) if get_origin(kind) is Literal else ()


def allowed(path: str) -> str:
    """What a setting may be, in words: ``a whole number, at least 2``."""
    few = choices(path)
    if few:
        return f"one of {', '.join(few)}"
    kind = {int: "a whole number", float: "a number"}.get(_plain(path), "text")
    low, above, high, below = (_bound(path, name) for name in ("ge", "gt", "le", "lt"))
    if low is not None and high is not None:
        return f"{kind} from {written(low)} to {written(high)}"
    bounds = [
        words
        for words, bound in (
            (f"at least {written(low)}", low),
            (f"above {written(above)}", above),
            (f"at most {written(high)}", high),
            (f"below {written(below)}", below),
        )
        if bound is not None
    ]
    return ", ".join([kind, " and ".join(bounds)] if bounds else [kind])


def parse(path: str, text: str) -> Any:
    """The value that the text means; the text itself where a number is wanted and none stands there."""
    kind, text = _plain(path), text.strip()
    if kind is bool:
        return _TRUTH.get(text, text)
    try:
        if kind is int:
            return int(text)
        if kind is float and math.isfinite(float(text)):
            return float(text)
    except ValueError:
        pass  # what is wrong with it is told by who validates it
    return text


def written(value: Any) -> str:
    """A value as a person would type it, and TOML: ``1e-6``, not ``1e-06``; ``true``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        text = f"{value:.12g}"
        mantissa, e, exponent = text.partition("e")
        return f"{mantissa}e{int(exponent)}" if e else text
    return str(value)


def in_words(error: UserError, path: str) -> str:
    """What is wrong with a setting's value, on one line, for a place beside the setting's own name."""
    if config.NO_CHOICE in error.message:
        return f"wanted: {error.hint}"
    name, _, problem = error.message.partition(": ")
    if problem and name.split(" ")[0] in (config.option_of(path), path):
        wanted = problem.partition(", got ")[0]
        return f"wanted: {wanted.removeprefix('expected ')}" if wanted.startswith("expected ") else wanted
    joint = " " if error.message.endswith(".") else "; "
    return f"{error.message}{joint}{error.hint}" if error.hint else error.message


def _plain(path: str) -> Any:
    kind = config.annotation(path)
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind


def _bound(path: str, name: str) -> float | None:
    bounds = (getattr(meta, name) for meta in config.metas(config.annotation(path)))
    return next((bound for bound in bounds if bound is not None), None)

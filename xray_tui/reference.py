"""What can be set, what is set and what is told, in words made from the code."""

from collections.abc import Iterable, Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from xray_tui import config
from xray_tui.config import Loaded, describe, option_of, variable_of
from xray_tui.events import AnyEvent, Event
from xray_tui.kinds import allowed, written
from xray_tui.settings import PRESETS, Settings
from xray_tui.settings_file import leaves


def settings_reference() -> str:
    """A table of every setting: what it may be, its default, option and variable, and what it is for."""
    return _table(
        ("setting", "may be", "default", "option", "environment", "what it is"),
        (
            (
                f"`{path}`",
                allowed(path),
                _default(path),
                _code(option_of(path)),
                _code(variable_of(path)),
                describe(path),
            )
            for path, _ in leaves(config.to_tree(Settings()))
        ),
    )


def events_reference() -> str:
    """A table of every type of event in the journal, with its fields; arrays are not in the journal."""
    kinds = [kind for kind in get_args(AnyEvent) if kind.__struct_config__.tag != "progress"]
    return _table(
        ("type", "fields beside `v`, `seq`, `t`"),
        ((f"`{kind.__struct_config__.tag}`", ", ".join(_fields(kind))) for kind in kinds),
    )


def commented(loaded: Loaded) -> str:
    """Settings as a config file, in which what is no default says where it comes from."""
    lines: list[str] = []
    table = ""
    for path, origin in loaded.origins.items():
        parent, _, name = path.rpartition(".")
        if parent != table:
            lines += ["", f"[{parent}]"]
            table = parent
        line = msgspec.toml.encode({name: config.get(loaded.settings, path)}).decode().strip()
        lines.append(line if origin == "default" else f"{line}  # {origin}")
    return "\n".join(lines) + "\n"


def _fields(kind: type[Event]) -> Iterator[str]:
    hints = get_type_hints(kind)
    for name in kind.__struct_fields__:
        if name != "t" and name not in kind.ARRAYS:
            yield f"`{name}` {_in_words(hints[name])}"


def _in_words(hint: Any) -> str:
    """A type, for somebody who parses JSON."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _in_words(inner[0])
    if origin in (Union, UnionType):
        some = [_in_words(one) for one in inner if one is not NoneType]
        return " or ".join([*some, "null"] if NoneType in inner else some)
    if origin is Literal:
        return "/".join(inner)
    if origin is list:
        return f"[{_in_words(inner[0])}]"
    if origin is tuple:
        return f"[{', '.join(map(_in_words, inner))}]"
    if origin is dict:
        return f"{{str: {_in_words(inner[1])}}}"
    if isinstance(hint, type) and issubclass(hint, Struct):
        return f"{{{', '.join(hint.__struct_fields__)}}}"
    return hint.__name__ if isinstance(hint, type) else "any"


def _default(path: str) -> str:
    """The recipe's, and that of a preset which has another."""
    usual = written(config.get(Settings(), path))
    others = {name: written(changes[path]) for name, changes in PRESETS.items() if path in changes}
    differing = [f"{name}: {_code(value)}" for name, value in others.items() if value != usual]
    return "; ".join(filter(None, [_code(usual), *differing]))


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in (head, ["---"] * len(head), *rows))


def _cell(text: str) -> str:
    return text.replace("|", r"\|")

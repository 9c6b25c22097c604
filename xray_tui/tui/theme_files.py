"""Theme files: read, checked, and filled up until every colour that the screen uses is there."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from textual.color import Color, ColorParseError
from textual.theme import BUILTIN_THEMES, Theme

from xray_tui.settings_file import nearest, read_toml
from xray_tui.words import harmless

COLOURS = (
    "primary",
    "secondary",
    "accent",
    "background",
    "surface",
    "panel",
    "foreground",
    "success",
    "warning",
    "error",
)
"""The colours that are a theme's own keys, as Textual has them."""

MEANINGS = {
    "frozen": "#74b3f0",
    "unfrozen": "#f0935f",
    "train": "#8494a8",
    "validation": "#5fd0c0",
    "accuracy": "#5fd0c0",
    "auc": "#b79be8",
    "best": "#f5d257",
    "hairline": "#2c3744",
    "muted": "#8b96a3",
    "faint": "#77828f",
    "lit": "#16303a",
}
"""What our styles use beside those: a theme's ``[variables]``. Here as in a dark room."""

_DARK = {
    "background": "#0d1117",
    "foreground": "#cfd8e3",
    "secondary": "#8494a8",
    "accent": "#b79be8",
    "success": "#7fc98f",
    "warning": "#e6b455",
    "error": "#ef6b73",
    **MEANINGS,
}
_LIGHT = {
    "background": "#f6f7f5",
    "foreground": "#1f2933",
    "secondary": "#5b6776",
    "accent": "#6c43b8",
    "success": "#1f7a3d",
    "warning": "#8a5a00",
    "error": "#b3261e",
    "frozen": "#1f63b5",
    "unfrozen": "#b4500f",
    "train": "#65707e",
    "validation": "#087f6f",
    "accuracy": "#087f6f",
    "auc": "#6c43b8",
    "best": "#8f6800",
}
_TERMINAL = {
    "secondary": "ansi_cyan",
    "accent": "ansi_magenta",
    "background": "ansi_default",
    "surface": "ansi_default",
    "panel": "ansi_default",
    "foreground": "ansi_default",
    "success": "ansi_green",
    "warning": "ansi_yellow",
    "error": "ansi_red",
    "frozen": "ansi_blue",
    "unfrozen": "ansi_yellow",
    "train": "ansi_bright_black",
    "validation": "ansi_cyan",
    "accuracy": "ansi_cyan",
    "auc": "ansi_magenta",
    "best": "ansi_yellow",
    "hairline": "ansi_bright_black",
    "muted": "ansi_default",
    "faint": "ansi_bright_black",
    "lit": "ansi_default",
}
_READABLE, _VISIBLE = 4.5, 3.0
"""The least contrast to the ground of a colour that we choose where a theme names none, and of the primary
colour: WCAG's AA for text, and for what is no text."""
_LONGEST_NAME, _LONGEST_WHY = 60, 300
_STYLE_WORDS = {"none", "bold", "dim", "italic", "underline", "reverse", "strike", "not", "b", "i", "u"}


def read_theme(file: Path) -> Theme:
    """One theme, complete. Its file needs only a name and a primary colour.

    Raises:
        ValueError: the file is no theme; says why, in words.
    """
    try:
        return _theme_of(read_toml(file))
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(str(error)[:_LONGEST_WHY]) from None


def _theme_of(tree: dict[str, Any]) -> Theme:
    name = tree.pop("name", None)
    if not isinstance(name, str) or not name:
        raise ValueError("it has no name")
    if len(name) > _LONGEST_NAME or name != harmless(name):
        raise ValueError("its name is too long, or cannot be shown")
    dark, ansi, variables = tree.pop("dark", None), tree.pop("ansi", False), tree.pop("variables", {})
    if "primary" not in tree:
        raise ValueError("it has no primary colour")
    if not isinstance(dark, bool | None) or not isinstance(ansi, bool) or not isinstance(variables, dict):
        raise ValueError("dark and ansi are true or false, variables is a table")
    for key, colour in tree.items():
        if key not in COLOURS:
            raise ValueError(f"{key} is no colour of a theme. {_near(key, COLOURS)}".strip())
        _check(key, colour)
    for key, value in variables.items():
        _check_variable(key, value)
    return complete(name, tree | {key: str(value) for key, value in variables.items()}, dark=dark, ansi=ansi)


def complete(name: str, given: Mapping[str, str], *, dark: bool | None = None, ansi: bool = False) -> Theme:
    """The theme with every colour that is not given chosen so that it can be read on the theme's ground.

    Args:
        name: how it is chosen.
        given: colours and variables by name, ``primary`` among them.
        dark: whether it is for a dim room; ``None`` is as its background says, and dark without one.
        ansi: whether it is made of the terminal's own colours.
    """
    if ansi:
        chosen = {**BUILTIN_THEMES["ansi-dark"].variables, **_TERMINAL, **given}
    else:
        if dark is None:
            dark = "background" not in given or Color.parse(given["background"]).brightness < 0.5
        chosen = dict(given)
        base = _DARK if dark else _LIGHT
        ground = Color.parse(chosen.setdefault("background", base["background"]))
        ink = Color.parse(chosen.setdefault("foreground", legible(base["foreground"], ground, 7.0)))
        for key, share in (("surface", 0.03), ("panel", 0.08), ("hairline", 0.17)):
            chosen.setdefault(key, ground.blend(ink, share).hex6)
        for key, share in (("muted", 0.62), ("faint", 0.45)):
            chosen.setdefault(key, legible(ground.blend(ink, share).hex6, ground, _READABLE))
        chosen["primary"] = legible(chosen["primary"], ground, _VISIBLE)
        primary = Color.parse(chosen["primary"])
        chosen.setdefault("lit", ground.blend(primary, 0.20).hex6)
        chosen.setdefault("input-selection-background", ground.blend(primary, 0.30).hex6)
        for key, colour in base.items():
            if key not in chosen:
                chosen[key] = legible(colour, ground, _READABLE)
    return Theme(
        name=name,
        dark=dark is not False,
        ansi=ansi,
        variables={key: value for key, value in chosen.items() if key not in COLOURS},
        **{key: value for key, value in chosen.items() if key in COLOURS},  # type: ignore[arg-type]
    )


def adapted(theme: Theme) -> Theme:
    """One of Textual's own themes, with the colours that our styles use beside its own.

    Its colours are made for grounds; ours are words as well, so some become a little lighter or darker.
    """
    own = {field.name: getattr(theme, field.name) for field in fields(theme) if field.name in COLOURS}
    given = {key: value for key, value in own.items() if value} | theme.variables
    ground = Color.parse(given.setdefault("background", (_DARK if theme.dark else _LIGHT)["background"]))
    for key in given.keys() & {"foreground", "secondary", "accent", "success", "warning", "error"}:
        given[key] = legible(given[key], ground, _READABLE)
    return complete(theme.name, given, dark=theme.dark)


def read_themes(*folders: Path) -> tuple[list[Theme], list[str]]:
    """The themes of some folders, and a line about each file that is none."""
    return read_files(file for folder in folders for file in sorted(folder.glob("*.toml")))


def read_files(files: Iterable[Path]) -> tuple[list[Theme], list[str]]:
    """The themes in some files, and a line about each file that is none."""
    themes, complaints = [], []
    for file in files:
        try:
            themes.append(read_theme(file))
        except ValueError as error:
            complaints.append(f"{file.name}: {error}")
    return themes, complaints


def contrast(one: Color, other: Color) -> float:
    """WCAG's contrast of two colours, from 1 (alike) to 21 (black and white)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def legible(colour: str, ground: Color, least: float) -> str:
    """The colour, made lighter or darker until its contrast to the ground is at least that."""
    mixed = start = Color.parse(colour)
    goal = Color.parse("white" if _luminance(ground) < 0.18 else "black")
    for step in range(1, 21):
        if contrast(mixed, ground) >= least:
            break
        mixed = start.blend(goal, step / 20)
    return mixed.hex6


def _luminance(colour: Color) -> float:
    """WCAG's relative luminance, from 0 (black) to 1 (white)."""
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _check(key: str, colour: Any) -> None:
    try:
        Color.parse(str(colour))
    except ColorParseError as error:
        hint = f": did you mean {error.suggested_color}?" if error.suggested_color else ""
        raise ValueError(f"{key} = {colour!r} is no colour{hint}") from None


def _check_variable(key: str, value: Any) -> None:
    """A variable that is none of ours is one of Textual's; a wrong value would end the app."""
    if key in MEANINGS:
        _check(key, value)
    elif key not in _textual_variables():
        raise ValueError(f"{key} is no variable of a theme. {_near(key, MEANINGS)}".strip())
    elif "style" in key:
        if not str(value) or not set(str(value).split()) <= _STYLE_WORDS:
            raise ValueError(f"{key} = {value!r} is no text style")
    else:  # a colour, perhaps with how much of it
        colour, _, share = str(value).rpartition(" ")
        _check(key, colour if colour and re.fullmatch(r"\d+%", share) else value)


def _textual_variables() -> Collection[str]:
    return Theme(name="any", primary="#808080").to_color_system().generate()


def _near(word: str, known: Iterable[str]) -> str:
    return nearest(word, tuple(known))

"""Colours: theme files, and the colours by their meaning."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.app import App
from textual.color import Color, ColorParseError
from textual.theme import Theme

DEFAULT = "reading-room"

MEANINGS = {
    "frozen": "#74b3f0",
    "unfrozen": "#f0935f",
    "train": "#8494a8",
    "validation": "#5fd0c0",
    "accuracy": "#5fd0c0",
    "auc": "#b79be8",
    "best": "#f5d257",
    "hairline": "#3a4553",
}
"""Variables that our styles use beside Textual's own, for themes that do not name them."""

_COLOURS = (
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


@dataclass(frozen=True)
class Palette:
    """The colours of the theme in use, as ``#rrggbb``, by what they mean."""

    frozen: str
    unfrozen: str
    train: str
    validation: str
    accuracy: str
    auc: str
    best: str
    hairline: str
    text: str
    muted: str
    faint: str
    primary: str
    success: str
    warning: str
    error: str
    background: str

    @classmethod
    def of(cls, app: App[Any]) -> "Palette":
        variables = app.theme_variables
        foreground, background = (Color.parse(variables[name]) for name in ("foreground", "background"))
        named = {name: Color.parse(variables[name]).hex6 for name in MEANINGS}
        return cls(
            **named,
            text=foreground.hex6,
            muted=background.blend(foreground, 0.62).hex6,
            faint=background.blend(foreground, 0.42).hex6,
            primary=Color.parse(variables["primary"]).hex6,
            success=Color.parse(variables["success"]).hex6,
            warning=Color.parse(variables["warning"]).hex6,
            error=Color.parse(variables["error"]).hex6,
            background=background.hex6,
        )

    def stage(self, stage: str | None) -> str:
        """The colour of a stage."""
        return {"frozen": self.frozen, "unfrozen": self.unfrozen}.get(stage or "", self.muted)


def packed_folder() -> Path:
    """The themes that come along: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "themes"
    return inside if inside.is_dir() else package.parent / "themes"


def read_theme(file: Path) -> Theme:
    """One theme.

    Raises:
        ValueError: the file is no theme; says why, in words.
    """
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(str(error)) from None
    name = tree.pop("name", None)
    if not isinstance(name, str) or not name:
        raise ValueError("it has no name")
    dark, variables = tree.pop("dark", True), tree.pop("variables", {})
    if "primary" not in tree:
        raise ValueError("it has no primary colour")
    if not isinstance(dark, bool) or not isinstance(variables, dict):
        raise ValueError("dark is true or false, variables is a table")
    for key, colour in tree.items():
        if key not in _COLOURS:
            raise ValueError(f"{key} is no colour of a theme")
        _check(key, colour)
    for key in MEANINGS.keys() & variables.keys():
        _check(key, variables[key])
    return Theme(
        name=name, dark=dark, variables={key: str(value) for key, value in variables.items()}, **tree
    )


def read_themes(*folders: Path) -> tuple[list[Theme], list[str]]:
    """The themes of some folders, and a line about each file that is none."""
    themes, complaints = [], []
    for folder in folders:
        for file in sorted(folder.glob("*.toml")):
            try:
                themes.append(read_theme(file))
            except ValueError as error:
                complaints.append(f"{file.name}: {error}")
    return themes, complaints


def register_all(app: App[Any]) -> list[str]:
    """Make the packed themes known to the app, put the default on, and return what is wrong with files."""
    themes, complaints = read_themes(packed_folder())
    for theme in themes:
        app.register_theme(theme)
    if DEFAULT in app.available_themes:
        app.theme = DEFAULT
    return complaints


def _check(key: str, colour: object) -> None:
    try:
        Color.parse(str(colour))
    except ColorParseError:
        raise ValueError(f"{key} = {colour!r} is no colour") from None

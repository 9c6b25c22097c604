"""What is kept between sittings: the start form's last used values, and the theme."""

from collections.abc import Mapping
from typing import Any

import msgspec

from xray_tui.files import replace_bytes
from xray_tui.files import state_folder as state_folder
from xray_tui.regular_files import read_regular
from xray_tui.settings_file import read_toml

_LONGEST_NAME = 1000
"""Bytes of a theme's name."""


def load() -> dict[str, Any]:
    """The remembered values by dotted path. A file that is missing or broken remembers nothing."""
    try:
        tree = read_toml(state_folder() / "start.toml")
    except (OSError, ValueError):
        return {}
    values = tree.get("start", {})
    return values if isinstance(values, dict) else {}


def save(values: Mapping[str, Any]) -> None:
    """Remember the values.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = state_folder()
    folder.mkdir(parents=True, exist_ok=True)
    replace_bytes(folder / "start.toml", msgspec.toml.encode({"start": dict(values)}))


def load_theme() -> str:
    """The theme that was chosen last, by name; empty where none was."""
    try:
        return read_regular(state_folder() / "theme", _LONGEST_NAME).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def save_theme(name: str) -> None:
    """Remember the theme.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = state_folder()
    folder.mkdir(parents=True, exist_ok=True)
    replace_bytes(folder / "theme", name.encode("utf-8"))

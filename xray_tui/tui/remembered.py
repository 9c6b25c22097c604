"""What is kept between sittings: the start form's last used values, and the theme."""

import tomllib
from collections.abc import Mapping
from typing import Any

import msgspec

from xray_tui.files import replace_bytes
from xray_tui.files import state_folder as state_folder


def load() -> dict[str, Any]:
    """The remembered values by dotted path. A file that is missing or broken remembers nothing."""
    try:
        tree = tomllib.loads((state_folder() / "start.toml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
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
        return (state_folder() / "theme").read_text(encoding="utf-8").strip()
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

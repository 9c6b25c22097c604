"""What is kept between sittings: the start form's last used values, and the theme."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from xray_tui.files import replace_bytes


def state_folder() -> Path:
    """Where the dashboard keeps what it remembers, and its log of TensorBoard."""
    given = os.environ.get("XRAY_TUI_STATE_DIR")
    return Path(given) if given else platformdirs.user_state_path("xray-tui")


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

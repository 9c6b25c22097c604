"""What goes into the user's config file when settings and keys are saved, and what that changes there."""

from pathlib import Path
from typing import Any, NamedTuple

from xray_tui import settings_file
from xray_tui.kinds import written
from xray_tui.settings_file import leaves
from xray_tui.tui.actions import ACTIONS
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.values import NextRun


class Saving(NamedTuple):
    """A save that has not happened yet."""

    file: Path
    changes: dict[str, Any]
    """Values by dotted path, ``keys.`` and an action's id among them; ``None`` takes a path out."""
    lines: list[str]
    """What will be another than it is in the file now, a line each, as TOML writes it."""

    def save(self) -> Path | None:
        """
        Returns:
            The copy of the old file, where its comments could not be kept; else nothing.

        Raises:
            UserError: the file cannot be read or written.
        """
        return settings_file.save(self.file, self.changes)


def plan_saving(values: NextRun, keymap: KeyMap) -> Saving:
    """Everything that is not the default goes into the file, and what is the default goes out of it.

    What the demo set is no wish of the person's and stays as the file has it.

    Raises:
        UserError: the file is there but cannot be read.
    """
    file = settings_file.user_file()
    changes: dict[str, Any] = {
        path: _lasting(path, values.value(path)) if values.changed(path) else None
        for path in values.paths
        if values.origin(path) != "demo"
    }
    changes |= {f"keys.{action.id}": keymap.own.get(action.id) for action in ACTIONS}
    now = dict(leaves(settings_file.read(file))) if settings_file.existing_user_file() else {}
    lines = []
    for path, value in changes.items():
        if value is None and path in now:
            lines.append(f"- {path}")
        elif value is not None and now.get(path) != value:
            quote = '"' if isinstance(value, str) else ""
            lines.append(f"+ {path} = {quote}{written(value)}{quote}")
    return Saving(file, changes, lines)


def _lasting(path: str, value: Any) -> Any:
    """The file is read from any folder, so a data folder in it is named from the root on."""
    if path == "data.root" and value and not str(value).startswith("~"):
        return str(Path(value).absolute())
    return value

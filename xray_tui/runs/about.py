"""What a person says about a run afterwards: ``about.json``, beside a config that stays what it was."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from xray_tui.errors import UserError
from xray_tui.files import replace_bytes
from xray_tui.runs.directory import RunDirectory
from xray_tui.words import is_text

_MOST_BYTES = 1 << 20


class About(Struct, frozen=True, omit_defaults=True):
    name: str = ""
    """Instead of the name in the settings, where it is not empty."""
    note: str = ""


def load(directory: RunDirectory) -> About:
    """What was said; nothing, where nothing was.

    Raises:
        UserError: the file is broken or cannot be read.
    """
    file = directory.path / "about.json"
    try:
        return msgspec.json.decode(directory.read(file, _MOST_BYTES), type=About)
    except FileNotFoundError:
        return About()
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{file} is broken: {error}", "mend it or delete it") from None


def read(directory: RunDirectory) -> About:
    """As :func:`load`, for showing: where the file is broken, nothing was said."""
    try:
        return load(directory)
    except UserError:
        return About()


def called(directory: RunDirectory, settings: Mapping[str, Any]) -> str:
    """What a run is called: as the person says, else as its settings do, else as its directory is.

    Args:
        settings: of the run, as the tree of ``settings.Settings``; may be empty.
    """
    return read(directory).name or str(settings.get("run", {}).get("name", "")) or directory.name


def write(directory: RunDirectory, about: About) -> None:
    """Keep it.

    Raises:
        UserError: it is no text, or the run directory cannot be written.
    """
    if not is_text(about.name + about.note):
        raise UserError("not UTF-8, which is what names and notes are kept in", "nothing was changed")
    try:
        replace_bytes(directory.path / "about.json", msgspec.json.encode(about))
    except OSError as error:
        raise UserError(
            f"cannot write into {directory.path}: {error.strerror}",
            "notes and names live in about.json there",
        ) from None

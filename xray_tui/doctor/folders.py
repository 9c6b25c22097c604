"""The config file and the folders that the program writes into."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from xray_tui import config, settings_file
from xray_tui.doctor.checks import Check, Verdict, told
from xray_tui.errors import UserError
from xray_tui.files import cache_folder, state_folder
from xray_tui.runs.directory import list_runs
from xray_tui.settings import Settings
from xray_tui.words import bytes_in_words, count

_LITTLE_ROOM, _NO_ROOM = 5e9, 2e8
"""Bytes on the disk: of some runs with their checkpoints, and of one checkpoint of ResNet-50."""


def settings_of_user() -> Settings:
    """The settings that a run without options would have; the defaults where the config file does not do."""
    try:
        return config.load({}, file=settings_file.existing_user_file())
    except UserError:  # a check of its own says so
        return Settings()


def configuration() -> Iterator[Check]:
    """The user's own config file, section by section, and her themes."""
    file = settings_file.existing_user_file()
    if file is None:
        yield Check("config file", "ok", f"none; it would be {settings_file.user_file()}")
    else:
        yield from _config_file(file)
    yield from _themes()
    variables = sorted(name for name in os.environ if name.startswith("XRAY_TUI_"))
    if variables:
        yield Check("environment", "note", f"sets {', '.join(variables)}")


def folders(runs_dir: Path | None) -> Iterator[Check]:
    """
    Args:
        runs_dir: as the command line or the environment has it; else the config file's.
    """
    yield _runs_folder((runs_dir or Path(settings_of_user().run.runs_dir)).expanduser().absolute())
    elsewhere = "XRAY_TUI_CACHE_DIR sets another; with --cache off a run does without"
    yield _folder("cache", cache_folder().absolute(), elsewhere, grave="warning")
    yield _folder("state", state_folder().absolute(), "XRAY_TUI_STATE_DIR sets another", grave="warning")


def _config_file(file: Path) -> Iterator[Check]:
    from xray_tui.sweep import space
    from xray_tui.tui.keymap import read_keymap

    readers: list[tuple[str, Callable[[], object], Verdict]] = [
        ("settings", lambda: config.load({}, file=file), "problem"),
        ("[keys]", lambda: read_keymap([file]), "warning"),
        ("[dashboard]", lambda: settings_file.read_dashboard(file), "warning"),
        ("[sweep]", lambda: space.read(file, settings_of_user()), "warning"),
    ]
    wrong: dict[str, Check] = {}
    for what, read, grave in readers:
        try:
            read()
        except UserError as error:
            found, remedy = told(error)
            # A file that is no TOML at all is so for each of them: told once.
            wrong.setdefault(found, Check("config file", grave, found, remedy or f"mend {what} in {file}"))
    if not wrong:
        yield Check("config file", "ok", str(file))
    yield from wrong.values()


def _themes() -> Iterator[Check]:
    from xray_tui.tui.theme_files import read_themes
    from xray_tui.tui.themes import own_folder

    themes, complaints = read_themes(own_folder())
    for complaint in complaints:
        yield Check("theme", "warning", f"not a theme: {complaint}", f"in {own_folder()}")
    if themes:
        yield Check("themes", "ok", f"{', '.join(theme.name for theme in themes)} in {own_folder()}")


def _runs_folder(folder: Path) -> Check:
    """A run writes there from its first second on."""
    check = _folder("runs", folder, "choose another one with --runs-dir", grave="problem")
    if check.verdict == "problem":
        return check
    runs = len(list_runs(folder))
    kept = f"{count(runs)} run{'' if runs == 1 else 's'} in {check.found}" if folder.exists() else check.found
    return Check(check.name, check.verdict, kept, check.remedy)


def _folder(name: str, folder: Path, another: str, *, grave: Verdict) -> Check:
    """A folder that is there or will be made."""
    there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    words = str(folder) if there == folder else f"{folder}, which will be made"
    try:
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free
    except OSError as error:
        return Check(name, grave, f"cannot write into {there}: {error.strerror or error}", another)
    words += f"; {bytes_in_words(free)} are free"
    if free < _NO_ROOM:
        return Check(name, grave, words, f"make room on that disk; {another}")
    if free < _LITTLE_ROOM:
        return Check(name, "warning", words, f"make room on that disk; {another}")
    return Check(name, "ok", words)

"""The config file: where the user's own one is, reading it, and writing it so that its comments stay.

Beside the settings of a run a config file may hold sections that never get into a run's own
``config.toml``: about the dashboard alone, ``[keys]`` (an action's id to its key, or several with commas)
and ``[dashboard]``; about many runs, ``[sweep]``.
"""

import difflib
import os
import tomllib
from collections.abc import Collection, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from xray_tui.errors import UserError
from xray_tui.files import replacing
from xray_tui.regular_files import read_regular
from xray_tui.words import brief

_MOST_BYTES = 1 << 18
_MOST_DOTS = 100
"""In a line: over a name of some ten thousand parts the parser sits for minutes."""
_DEEPEST = 20
"""Tables within tables; our own have three."""

SECTIONS = ("keys", "dashboard", "sweep")
"""The sections that are no settings of a run."""


class DashboardSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The section ``[dashboard]``."""

    theme: str = ""
    """A theme by name; empty: the default one."""
    ascii: bool | None = None
    """Whether to draw without unicode; ``None``: as the terminal can."""


def config_folder() -> Path:
    """The user's own settings and themes: ``XRAY_TUI_CONFIG_DIR``, else where the platform keeps such."""
    given = os.environ.get("XRAY_TUI_CONFIG_DIR")
    if given:
        return Path(given).expanduser()
    from platformdirs import user_config_path  # late: only few commands look

    return user_config_path("xray-tui")


def user_file() -> Path:
    """The user's own config file, which need not exist."""
    return config_folder() / "config.toml"


def existing_user_file() -> Path | None:
    """The user's own config file, where there is one."""
    file = user_file()
    return file if os.path.lexists(file) else None  # a link that leads nowhere is an error to be told


def read(file: Path) -> dict[str, Any]:
    """The whole file as plain values.

    Raises:
        UserError: it cannot be read, or is not TOML.
    """
    try:
        return read_toml(file)
    except OSError as error:
        raise UserError(f"cannot read the config file {file}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"the config file {file} is not TOML: {error}") from None


def read_toml(file: Path) -> dict[str, Any]:
    """A TOML file that may come from anywhere.

    Raises:
        OSError: it is no regular file, or as the file system says.
        ValueError: it is not TOML; says where, as far as the parser does.
    """
    content = read_regular(file, _MOST_BYTES)
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.count(b".") > _MOST_DOTS:
            raise ValueError(f"a name of too many parts (at line {number})")
    try:
        tree = tomllib.loads(content.decode("utf-8").replace("\r\n", "\n"))
        if _is_deep(tree):
            raise RecursionError
    except RecursionError:  # the parser's own, or of whoever walks the tree
        raise ValueError("its tables are nested too deeply") from None
    except UnicodeDecodeError as error:
        place = content[: error.start].count(b"\n") + 1
        raise ValueError(f"not UTF-8 (at line {place})") from None
    return tree


def _is_deep(tree: object, depth: int = 0) -> bool:
    if not isinstance(tree, dict | list):
        return False
    inner = tree.values() if isinstance(tree, dict) else tree
    return depth > _DEEPEST or any(_is_deep(value, depth + 1) for value in inner)


def read_settings(file: Path) -> dict[str, Any]:
    """The settings of a run among them, not yet validated.

    Raises:
        UserError: as :func:`read`.
    """
    return {key: value for key, value in read(file).items() if key not in SECTIONS}


def read_keys(file: Path | None) -> dict[str, str]:
    """The section ``[keys]``: action id to key or keys with commas. Whether those exist is not checked here.

    Raises:
        UserError: as :func:`read`, or the section is no table of texts.
    """
    section = read(file).get("keys", {}) if file else {}
    if not isinstance(section, dict):
        raise UserError(f"keys is no section (in {file})", 'write [keys], and below it a line as start = "s"')
    for action, key in section.items():
        if not isinstance(key, str):
            raise UserError(
                f"keys.{brief(action)} is no text (in {file})", f'write it as {brief(action)} = "s" or "s,f5"'
            )
    return section


def read_dashboard(file: Path | None) -> DashboardSettings:
    """The section ``[dashboard]``.

    Raises:
        UserError: as :func:`read`, or a key or a value does not fit.
    """
    section = read(file).get("dashboard", {}) if file else {}
    try:
        return msgspec.convert(section, DashboardSettings)
    except msgspec.ValidationError as error:
        if not isinstance(section, dict):
            raise UserError(
                f"dashboard is no section (in {file})", "write [dashboard], and its lines below"
            ) from None
        known = DashboardSettings.__struct_fields__
        unknown = next((key for key in section if key not in known), None)
        if unknown is not None:
            raise UserError(
                f"unknown key dashboard.{brief(unknown)} (in {file})", nearest(unknown, known)
            ) from None
        wrong = str(error).partition("$.")[2].rstrip("`")
        raise UserError(
            f"dashboard.{wrong} {brief(str(section[wrong]))} does not fit (in {file})",
            'theme = "a theme by name", ascii = true or false',
        ) from None


def nearest(word: str, known: Collection[str]) -> str:
    """``did you mean …?``, or nothing where no known word is near."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else ""


def save(file: Path, changes: Mapping[str, Any]) -> Path | None:
    """Change some of the file's values; comments and all the rest stay as they are.

    Args:
        file: made, with its folder, where it is not there.
        changes: values by dotted path, such as ``training.seed`` or ``keys.start``; ``None`` takes the
            path out.

    Returns:
        The copy of the old file, where its comments could not be kept; else nothing.

    Raises:
        UserError: the file is there but is no TOML, or it cannot be written.
    """
    import tomlkit  # late: only who saves needs it

    file = Path(os.path.realpath(file))  # the content changes, not a link that leads to it
    plain = read(file) if file.exists() else {}
    old = file.read_text(encoding="utf-8") if file.exists() else ""
    document = tomlkit.parse(old)
    for path, value in changes.items():
        for table in (plain, document):
            if value is None:
                _take_out(table, path.split("."))
            else:
                _put_in(table, path.split("."), value)
    new, copy = tomlkit.dumps(document).rstrip() + "\n", None
    if not _says(new, plain):  # tomlkit misplaces a key where a file has dotted keys and no tables
        new, copy = tomlkit.dumps(plain), file.with_name(f"{file.name}.bak")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        mode = file.stat().st_mode & 0o777 if file.exists() else None
        if copy is not None:
            _write(copy, old, mode)
        _write(file, new, mode)
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}") from None
    return copy


def _write(file: Path, text: str, mode: int | None) -> None:
    """Who made the old file private wants the new one to be."""
    with replacing(file) as part:
        part.touch()
        if mode is not None:
            part.chmod(mode)
        part.write_text(text, encoding="utf-8", newline="")


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All values of a tree with their dotted paths."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _put_in(table: MutableMapping[str, Any], path: list[str], value: Any) -> None:
    *parents, leaf = path
    for name in parents:
        if not isinstance(table.get(name), MutableMapping):
            table[name] = {}
        table = table[name]
    if leaf not in table or table[leaf] != value:
        table[leaf] = value


def _take_out(table: MutableMapping[str, Any], path: list[str]) -> None:
    """Take a value out, and the tables in which nothing stands then, not even a comment."""
    name, *rest = path
    if name not in table:
        return
    if rest:
        inner = table[name]
        if not isinstance(inner, MutableMapping):
            return
        _take_out(inner, rest)
        words = inner.as_string() if hasattr(inner, "as_string") else ""  # of a table with its comments
        if inner or words.strip(" \n{}"):
            return
    del table[name]


def _says(text: str, plain: Mapping[str, Any]) -> bool:
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return dict(leaves(found)) == dict(leaves(plain))

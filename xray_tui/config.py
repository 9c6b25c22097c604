"""Settings read, validated, traced to where they come from, and written: TOML in and out.

A value comes from the first of: command line, environment, config file, preset, default.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from xray_tui.errors import UserError
from xray_tui.settings import OPTIONS, PRESETS, Settings, TrainingSettings
from xray_tui.settings_file import SECTIONS, leaves, nearest, read_settings
from xray_tui.settings_file import DashboardSettings as DashboardSettings
from xray_tui.settings_file import read_dashboard as read_dashboard
from xray_tui.settings_file import read_keys as read_keys
from xray_tui.words import brief, is_text

Origin = Literal[
    "default",
    "preset",
    "demo",
    "config file",
    "environment",
    "command line",
    "last start",
    "an old run",
    "edited",
]
"""Where a value comes from. The last three happen in the dashboard only."""

NO_CHOICE = "there is no such choice"
"""Said of a text that a setting may not be; what it may be is in the hint."""
_LARGEST = 2**53
"""Of a setting's number."""
NOTHING: Mapping[str, Any] = MappingProxyType({})

_BEFORE: Mapping[str, Any] = MappingProxyType({"training.augment_views": "off", "hardware.compile": "off"})
"""What runs did before these settings were there."""


class Loaded(NamedTuple):
    settings: Settings
    origins: dict[str, Origin]
    """Where each value comes from, by dotted path."""


def load(overrides: Mapping[str, Any], *, file: Path | None = None) -> Settings:
    """The settings that result from a config file and what overrides it.

    Args:
        overrides: dotted paths (``training.frozen.epochs``) to values; ``None`` leaves a path alone.
        file: a TOML file with the tree of :class:`Settings`.

    Raises:
        UserError: the file cannot be read, or a key or a value does not fit.
    """
    return trace(file=file, given=overrides).settings


def load_kept(file: Path) -> Settings:
    """The settings of a run, as its directory keeps them.

    What an older version had no setting for is as that version did it, not as new runs do: a resumed run
    stays the one that it was.

    Raises:
        UserError: as :func:`load`.
    """
    return trace(file=file, demo=_BEFORE).settings


def trace(
    *,
    file: Path | None = None,
    demo: Mapping[str, Any] = NOTHING,
    environment: Mapping[str, Any] = NOTHING,
    given: Mapping[str, Any] = NOTHING,
) -> Loaded:
    """The settings, and where each value comes from.

    Args:
        file: a TOML file with the tree of :class:`Settings`.
        demo: what the demo has for defaults; the file wins over it.
        environment: what the environment says, by dotted path; wins over the file.
        given: what the command line says; wins over all. ``None`` leaves a path alone.

    Raises:
        UserError: the file cannot be read, or a key or a value does not fit.
    """
    in_file = read_settings(file) if file else {}
    _validated(in_file, f" (in {file})")  # by itself first: what is wrong in it is told as being there
    layers: list[tuple[Origin, dict[str, Any]]] = [
        ("demo", dict(demo)),
        ("config file", dict(leaves(in_file))),
        ("environment", dict(environment)),
        ("command line", {path: value for path, value in given.items() if value is not None}),
    ]
    preset = next((values["preset"] for _, values in reversed(layers) if "preset" in values), "recipe")
    layers.insert(0, ("preset", next((changes for name, changes in PRESETS.items() if name == preset), {})))
    tree: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for origin, values in layers:
        for path, value in values.items():
            _put(tree, path, value)
            origins[path] = origin
    settings = _validated(tree, origins=origins)
    return Loaded(settings, {path: origins.get(path, "default") for path, _ in leaves(to_tree(settings))})


def paths_of(settings: Settings) -> frozenset[str]:
    """The dotted paths of all settings."""
    return frozenset(path for path, _ in leaves(to_tree(settings)))


def describe(path: str) -> str:
    """The one-line description of a setting, by dotted path."""
    return next((meta.description for meta in metas(annotation(path)) if meta.description), "")


def to_toml(settings: Settings) -> str:
    """The tree as TOML text that :func:`load` reads back."""
    return msgspec.toml.encode(settings).decode()


def to_tree(settings: Settings) -> dict[str, Any]:
    """The tree as plain values."""
    tree: dict[str, Any] = msgspec.to_builtins(settings)
    return tree


def replace(settings: Settings, changes: Mapping[str, Any], *, where: str = "") -> Settings:
    """The settings with the values at some dotted paths changed.

    Args:
        where: the changes stand, for whoever is told that one does not fit: `` (in my.toml)``.

    Raises:
        UserError: a key or a value does not fit.
    """
    tree = to_tree(settings)
    for path, value in changes.items():
        _put(tree, path, value)
    return _validated(tree, where)


def get(settings: Settings, path: str) -> Any:
    """The value at a dotted path."""
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value


def option_of(path: str) -> str:
    """The command line's option for a setting (``--batch-size``); empty where it has none."""
    name = next((name for name, known in OPTIONS.items() if known == path), "")
    return f"--{name.replace('_', '-')}" if name not in ("", "data") else ""


def variable_of(path: str) -> str:
    """The environment's variable for a setting; empty where it has none."""
    option = option_of(path)
    return f"XRAY_TUI_{option[2:].replace('-', '_').upper()}" if option else ""


def annotation(path: str) -> Any:
    """The annotated type of a setting, by dotted path.

    Raises:
        KeyError: there is no such setting.
    """
    kind: Any = Settings
    *parents, leaf = path.split(".")
    for name in parents:
        kind = get_type_hints(kind)[name]
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            raise KeyError(path)
    return get_type_hints(kind, include_extras=True)[leaf]


def metas(annotation: Any) -> list[Meta]:
    """What is said about a type: description, bounds, pattern."""
    if get_origin(annotation) is not Annotated:
        return []
    inner, *told = get_args(annotation)
    return [meta for meta in told if isinstance(meta, Meta)] + metas(inner)


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *parents, leaf = path.split(".")
    for name in parents:
        tree = tree.setdefault(name, {})
    tree[leaf] = value


def _validated(tree: dict[str, Any], where: str = "", origins: Mapping[str, Origin] = NOTHING) -> Settings:
    whole = dict(tree)
    training = tree.get("training", {})
    if isinstance(training, dict):  # a stage given in part keeps the rest of its defaults
        whole["training"] = dict(training)
        for stage in ("frozen", "unfrozen"):
            given, default = training.get(stage, {}), msgspec.to_builtins(getattr(TrainingSettings(), stage))
            whole["training"][stage] = default | given if isinstance(given, dict) else given
    try:
        settings = msgspec.convert(whole, Settings)
    except msgspec.ValidationError as error:
        raise UserError(*_explain(error, whole, where, origins)) from None
    for path, value in leaves(to_tree(settings)):
        # "More than 0" is infinity too, and TOML's whole numbers have no end.
        if isinstance(value, int | float) and not -_LARGEST <= value <= _LARGEST:
            name = path if where else option_of(path) or path
            raise UserError(f"{name} {value:.6g}: no such number makes sense{where}", describe(path))
        if isinstance(value, str) and not is_text(value):
            name = option_of(path) or path
            raise UserError(f"{name} {value}: not UTF-8, which is what settings are kept in", "rename it")
    return settings


def _explain(
    error: msgspec.ValidationError, tree: dict[str, Any], where: str, origins: Mapping[str, Origin]
) -> tuple[str, str]:
    """msgspec's words, turned into the setting's name, the value given, and the nearest known key."""
    problem, _, path = str(error).partition(" - at `$.")
    path = path.rstrip("`")
    if "unknown field" in problem:
        key = problem.split("`")[1]
        kind: Any = Settings
        for name in filter(None, path.split(".")):
            kind = get_type_hints(kind)[name]
        known = [*kind.__struct_fields__, *(() if path else SECTIONS)]
        hint = f"did you mean {OPTIONS[key]}?" if key in OPTIONS else nearest(key, known)
        unknown = ".".join(filter(None, [path, key]))
        return f"unknown setting {brief(unknown)}{where}", hint
    name = path if where else option_of(path) or path
    if origins.get(path) == "environment":
        name = variable_of(path)
    value: Any = tree
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    for theirs, ours in (
        ("`str`", "text"),
        ("`int`", "a whole number"),
        ("`bool`", "true or false"),
        ("`float`", "a number"),
        ("`object`", "a section"),
        ("`array`", "a list"),
    ):
        problem = problem.replace(theirs, ours)
    if "matching regex" in problem:
        problem = NO_CHOICE
    told = f"{name} {brief(str(value))}: {problem[:1].lower()}{problem[1:]}{where}"
    return told, describe(path) if path else ""

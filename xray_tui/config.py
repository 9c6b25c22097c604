"""The settings of a run: one tree, validated, TOML in and out.

Every number of the recipe is a setting, and its default stands here once. A value comes from the
first of: command line, environment, config file, preset, default.
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from xray_tui.errors import UserError

Split = Literal["auto", "recipe", "folders", "holdout"]
Unfreeze = Literal["auto", "ask"]
Precision = Literal["auto", "float32", "bfloat16"]
BatchNorm = Literal["learn", "keep"]
Preset = Literal["recipe", "tuned"]

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Rate = Annotated[float, Meta(gt=0)]


class DataSettings(Struct, frozen=True, forbid_unknown_fields=True):
    root: Annotated[str, Meta(description="folder with train/, test/ and perhaps val/")] = ""
    split: Annotated[Split, Meta(description="which folder plays which role")] = "auto"
    positive: Annotated[
        str, Meta(description="class that sensitivity and AUC speak of (default: the last by name)")
    ] = ""
    limit: Annotated[Count, Meta(description="images per split, stratified (0: all)")] = 0
    holdout: Annotated[
        Fraction, Meta(description="part of the patients that --split holdout validates on")
    ] = 0.15
    unreadable: Annotated[Fraction, Meta(description="part of the images that may be unreadable")] = 0.05


class ModelSettings(Struct, frozen=True, forbid_unknown_fields=True):
    backbone: Annotated[str, Meta(description="efficientnet_lite0 or a torchvision classifier")] = "resnet50"
    weights: Annotated[str, Meta(description="auto (ImageNet), none (random) or a file")] = "auto"
    hidden: Annotated[Positive, Meta(description="width of the head's hidden layer")] = 512
    dropout: Annotated[Fraction, Meta(description="dropout of the head")] = 0.5


class StageSettings(Struct, frozen=True, forbid_unknown_fields=True):
    epochs: Annotated[Count, Meta(description="epochs of the stage (0: leave it out)")]
    learning_rate: Annotated[Rate, Meta(description="Adam's learning rate in the stage")]


class AugmentationSettings(Struct, frozen=True, forbid_unknown_fields=True):
    scale: Annotated[Rate, Meta(le=1, description="smallest part of the area that a random crop keeps")] = 0.8
    rotation: Annotated[float, Meta(ge=0, le=180, description="largest rotation, in degrees")] = 10.0
    jitter: Annotated[Fraction, Meta(description="brightness, contrast and saturation jitter")] = 0.4
    flip: Annotated[Fraction, Meta(description="probability of a horizontal flip")] = 0.5


class TrainingSettings(Struct, frozen=True, forbid_unknown_fields=True):
    frozen: Annotated[StageSettings, Meta(description="only the head learns")] = StageSettings(
        epochs=10, learning_rate=1e-3
    )
    unfrozen: Annotated[StageSettings, Meta(description="everything learns")] = StageSettings(
        epochs=5, learning_rate=1e-6
    )
    batchnorm: Annotated[
        BatchNorm,
        Meta(description="the body's BatchNorm statistics once unfrozen: learn (as published) or keep"),
    ] = "learn"
    unfreeze: Annotated[Unfreeze, Meta(description="after the frozen stage: go on, or wait for a person")] = (
        "auto"
    )
    batch_size: Annotated[int, Meta(ge=2, description="images per batch")] = 128
    image_size: Annotated[int, Meta(ge=32, le=2048, description="side of the crop, in pixels")] = 256
    seed: Annotated[Count, Meta(description="seed of everything random")] = 0
    augmentation: AugmentationSettings = AugmentationSettings()

    @property
    def resize(self) -> int:
        """Short side, in pixels, that images have before the crop: the recipe's 300 for its 256."""
        return round(self.image_size * 300 / 256)


class HardwareSettings(Struct, frozen=True, forbid_unknown_fields=True):
    device: Annotated[
        str, Meta(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda[:N] or mps")
    ] = "auto"
    precision: Annotated[Precision, Meta(description="arithmetic of the body")] = "auto"
    threads: Annotated[Count, Meta(description="CPU threads (0: one a core)")] = 0


class RunSettings(Struct, frozen=True, forbid_unknown_fields=True):
    runs_dir: Annotated[str, Meta(description="folder that keeps the runs")] = "runs"
    name: Annotated[str, Meta(description="name of the run")] = ""


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    preset: Annotated[Preset, Meta(description="recipe (as published) or tuned")] = "recipe"
    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    hardware: HardwareSettings = HardwareSettings()
    run: RunSettings = RunSettings()


# What a preset changes, as dotted paths into the tree.
PRESETS: dict[Preset, dict[str, Any]] = {
    "recipe": {},
    "tuned": {
        "training.frozen.epochs": 4,
        "training.unfrozen.epochs": 4,
        "training.unfrozen.learning_rate": 1e-5,
        "training.batchnorm": "keep",
        "training.batch_size": 64,
    },
}

# The short names that the command line, the environment and the start form share.
OPTIONS: dict[str, str] = {
    "data": "data.root",
    "backbone": "model.backbone",
    "weights": "model.weights",
    "preset": "preset",
    "split": "data.split",
    "positive": "data.positive",
    "unfreeze": "training.unfreeze",
    "batchnorm": "training.batchnorm",
    "frozen_epochs": "training.frozen.epochs",
    "unfrozen_epochs": "training.unfrozen.epochs",
    "frozen_lr": "training.frozen.learning_rate",
    "unfrozen_lr": "training.unfrozen.learning_rate",
    "batch_size": "training.batch_size",
    "image_size": "training.image_size",
    "limit": "data.limit",
    "unreadable": "data.unreadable",
    "device": "hardware.device",
    "precision": "hardware.precision",
    "seed": "training.seed",
    "runs_dir": "run.runs_dir",
    "name": "run.name",
}


def load(overrides: Mapping[str, Any], *, file: Path | None = None) -> Settings:
    """The settings that result from a config file and what overrides it.

    Args:
        overrides: dotted paths (``training.frozen.epochs``) to values; ``None`` leaves a path alone.
        file: a TOML file with the tree of :class:`Settings`.

    Raises:
        UserError: the file cannot be read, or a key or a value does not fit.
    """
    tree = _read(file) if file else {}
    given = {path: value for path, value in overrides.items() if value is not None}
    preset = given.get("preset", tree.get("preset", "recipe"))
    layered: dict[str, Any] = {}
    for path, value in PRESETS.get(preset, {}).items():
        _put(layered, path, value)
    _merge(layered, tree)
    for path, value in given.items():
        _put(layered, path, value)
    for stage in ("frozen", "unfrozen"):  # a stage given in part keeps the rest of its defaults
        default = msgspec.to_builtins(getattr(TrainingSettings(), stage))
        training = layered.setdefault("training", {})
        if isinstance(training, dict) and isinstance(training.get(stage, {}), dict):
            training[stage] = default | training.get(stage, {})
    try:
        return msgspec.convert(layered, Settings)
    except msgspec.ValidationError as error:
        raise UserError(*_explain(error, layered, file)) from None


def paths_in(file: Path | None) -> frozenset[str]:
    """The dotted paths of the settings that a config file sets.

    Raises:
        UserError: as :func:`load`.
    """
    return frozenset(_leaves(_read(file))) if file else frozenset()


def paths_of(settings: Settings) -> frozenset[str]:
    """The dotted paths of all settings."""
    return frozenset(_leaves(to_tree(settings)))


def describe(path: str) -> str:
    """The one-line description of a setting, by dotted path."""
    kind: Any = Settings
    *parents, leaf = path.split(".")
    for name in parents:
        kind = get_type_hints(kind)[name]
    for meta in _metas(get_type_hints(kind, include_extras=True)[leaf]):
        if meta.description:
            return meta.description
    return ""


def to_toml(settings: Settings) -> str:
    """The tree as TOML text that :func:`load` reads back."""
    return msgspec.toml.encode(settings).decode()


def to_tree(settings: Settings) -> dict[str, Any]:
    """The tree as plain values."""
    tree: dict[str, Any] = msgspec.to_builtins(settings)
    return tree


def replace(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """The settings with the values at some dotted paths changed (and validated)."""
    tree = to_tree(settings)
    for path, value in changes.items():
        _put(tree, path, value)
    try:
        return msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        raise UserError(*_explain(error, tree, None)) from None


def get(settings: Settings, path: str) -> Any:
    """The value at a dotted path."""
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the config file {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"the config file {file} is not TOML: {error}") from None


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    *parents, leaf = path.split(".")
    for name in parents:
        tree = tree.setdefault(name, {})
    tree[leaf] = value


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _metas(annotation: Any) -> list[Meta]:
    if get_origin(annotation) is not Annotated:
        return []
    inner, *metas = get_args(annotation)
    return [meta for meta in metas if isinstance(meta, Meta)] + _metas(inner)


def _explain(error: msgspec.ValidationError, tree: dict[str, Any], file: Path | None) -> tuple[str, str]:
    """msgspec's words, turned into the option's name, the value given, and the nearest known key."""
    text = str(error)
    problem, _, where = text.partition(" - at `$.")
    path = where.rstrip("`")
    origin = f" (in {file})" if file else ""
    if "unknown field" in problem:
        key = problem.split("`")[1]
        kind: Any = Settings
        for name in filter(None, path.split(".")):
            kind = get_type_hints(kind)[name]
        near = difflib.get_close_matches(key, kind.__struct_fields__, n=1)
        return (
            f"unknown setting {'.'.join(filter(None, [path, key]))}{origin}",
            f"did you mean {near[0]}?" if near else "",
        )
    option = next((f"--{name.replace('_', '-')}" for name, known in OPTIONS.items() if known == path), path)
    value: Any = tree
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    problem = (
        problem.replace("`str`", "text").replace("`int`", "a whole number").replace("`float`", "a number")
    )
    return f"{option} {value}: {problem[:1].lower()}{problem[1:]}{origin}", describe(path) if path else ""

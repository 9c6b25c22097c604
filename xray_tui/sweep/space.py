"""What a sweep searches, and by which number it judges: the section ``[sweep]`` of a config file.

[sweep]
metric = "auc"

[sweep.space]
training.frozen.learning_rate = { range = [1e-4, 1e-2], log = true }
training.loss.balance = ["none", "weights"]
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import msgspec

from xray_tui import config, settings_file
from xray_tui.errors import UserError
from xray_tui.events import EpochEnded
from xray_tui.settings import OPTIONS, Settings
from xray_tui.settings_file import nearest

MetricName = Literal[
    "auc",
    "loss",
    "accuracy",
    "balanced_accuracy",
    "average_precision",
    "f1",
    "mcc",
    "brier",
    "calibration_error",
]
"""Neither sensitivity nor specificity: who calls every image positive, or none, has all of it."""
Value = str | bool | int | float

_LOWER_IS_BETTER = ("loss", "brier", "calibration_error")
_WORDS = {"auc": "AUC", "f1": "F1", "mcc": "MCC", "brier": "Brier score"}
_HOW = 'write a list of choices, ["none", "weights"], or { range = [1e-5, 1e-3], log = true }'

_AS_TRAINED = "trials are judged by the likeliest class, uncalibrated"

# What a sweep leaves alone, by the beginning of a path, and why.
_NOT_SEARCHED = {
    "data.": "trials are compared on the same images",
    "hardware.": "it changes how fast a run is, not what it learns",
    "run.": "it changes nothing of what a run learns",
    "preset": "search the settings that it stands for",
    "evaluation.unseal": "no trial needs test",
    "evaluation.operating_point": _AS_TRAINED,
    "evaluation.calibrate": _AS_TRAINED,
    "training.unfreeze": "nobody is asked during a sweep",
}


class Metric(NamedTuple):
    """The number of validation that trials are compared by: at the epoch whose weights a run keeps, by the
    likeliest class and uncalibrated."""

    name: MetricName

    @property
    def words(self) -> str:
        return _WORDS.get(self.name, self.name.replace("_", " "))

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        return "minimize" if self.name in _LOWER_IS_BETTER else "maximize"

    def of(self, epoch: EpochEnded) -> float | None:
        value: float | None = getattr(epoch, "validation_loss" if self.name == "loss" else self.name)
        return value


class Range(NamedTuple):
    """Numbers from ``low`` to ``high``, both included; whole ones where both are."""

    low: float
    high: float
    log: bool = False
    """Whether each order of magnitude is as likely as the next."""
    step: float | None = None
    """Between two numbers that are possible; ``None``: any number, or any whole one."""

    @property
    def tree(self) -> dict[str, Any]:
        return (
            {"range": [self.low, self.high]}
            | ({"log": True} if self.log else {})
            | ({"step": self.step} if self.step is not None else {})
        )


class Choices(NamedTuple):
    values: tuple[Value, ...]

    @property
    def tree(self) -> list[Value]:
        return list(self.values)


Dimension = Range | Choices


@dataclass(frozen=True)
class Space:
    metric: Metric
    dimensions: dict[str, Dimension]
    """By the dotted path of the setting."""

    def to_tree(self) -> dict[str, Any]:
        """As the file's section has it, the paths in one piece."""
        space = {path: dimension.tree for path, dimension in self.dimensions.items()}
        return {"metric": self.metric.name, "space": space}

    def to_toml(self) -> str:
        """The section, ready for a config file: :func:`read` reads it back."""
        lines = [f"{path} = {_toml(dimension.tree)}" for path, dimension in self.dimensions.items()]
        return "\n".join(["[sweep]", f'metric = "{self.metric.name}"', "", "[sweep.space]", *lines, ""])


def read(file: Path | None, settings: Settings, metric: MetricName | None = None) -> Space:
    """The section ``[sweep]`` of a config file; where it names no space, a sensible one for these settings.

    Args:
        settings: what trials have in common.
        metric: wins over the file's.

    Raises:
        UserError: the file cannot be read, or a key or a value does not fit; says which, in which file.
    """
    section = settings_file.read(file).get("sweep", {}) if file else {}
    where = f" (in {file})"
    if not isinstance(section, dict):
        raise UserError(f"sweep is no section{where}", 'write [sweep], and below it a line as metric = "auc"')
    for key in section:
        if key not in ("metric", "space"):
            hint = nearest(key, ("metric", "space")) or "what is searched stands below [sweep.space]"
            raise UserError(f"unknown key sweep.{key}{where}", hint)
    try:
        chosen: MetricName = metric or msgspec.convert(section.get("metric", "auc"), MetricName)
    except msgspec.ValidationError:
        known = ", ".join(get_args(MetricName))
        raise UserError(
            f"sweep.metric {section['metric']}: no such metric{where}", f"one of {known}"
        ) from None
    if "space" not in section:
        return Space(Metric(chosen), default(settings))
    space = section["space"]
    if not isinstance(space, dict) or not space:
        raise UserError(f"sweep.space names no setting{where}", f"training.loss.balance = …: {_HOW}")
    return Space(Metric(chosen), {path: _dimension(path, value, where) for path, value in _entries(space)})


def default(settings: Settings) -> dict[str, Dimension]:
    """What is worth searching first, less what these settings leave without effect."""
    training = settings.training
    frozen, unfrozen = training.frozen.epochs > 0, training.unfrozen.epochs > 0
    decays = training.optimizer.name == "adamw"
    proposed: dict[str, tuple[bool, Dimension]] = {
        "training.frozen.learning_rate": (frozen, Range(1e-4, 1e-2, log=True)),
        "training.unfrozen.learning_rate": (unfrozen, Range(1e-6, 1e-3, log=True)),
        "training.optimizer.head_factor": (unfrozen, Range(1.0, 30.0, log=True)),
        "training.optimizer.weight_decay": (decays, Range(1e-4, 1e-1, log=True)),
        "model.dropout": (True, Range(0.0, 0.7)),
        "training.loss.balance": (True, Choices(("none", "weights"))),
        "training.loss.label_smoothing": (True, Range(0.0, 0.2)),
        "training.augmentation.scale": (True, Range(0.4, 1.0)),
        "training.augmentation.rotation": (True, Range(0.0, 20.0)),
        "training.augmentation.jitter": (True, Range(0.0, 0.6)),
        "training.augmentation.gamma": (True, Range(0.0, 0.7)),
        "training.augmentation.erase": (True, Range(0.0, 0.5)),
        "training.augmentation.letters": (True, Range(0.0, 0.5)),
    }
    return {path: dimension for path, (has_effect, dimension) in proposed.items() if has_effect}


def _entries(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """What stands below ``[sweep.space]``, by dotted path, however TOML was made to nest it."""
    settings = config.paths_of(Settings())
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and path not in settings and "range" not in value:
            yield from _entries(value, f"{path}.")
        else:
            yield path, value


def _dimension(path: str, value: object, where: str) -> Dimension:
    key, known = f"sweep.space.{path}", config.paths_of(Settings())
    if path not in known:
        meant = OPTIONS.get(path.replace("-", "_"))
        raise UserError(
            f"{key}: no such setting{where}", f"did you mean {meant}?" if meant else nearest(path, known)
        )
    for beginning, why in _NOT_SEARCHED.items():
        if path == beginning or (beginning.endswith(".") and path.startswith(beginning)):
            raise UserError(f"{key}: a sweep does not search it{where}", why)
    match value:
        case list():
            return _choices(path, key, value, where)
        case dict():
            return _range(path, key, value, where)
    raise UserError(f"{key} {value}: neither choices nor a range{where}", _HOW)


def _choices(path: str, key: str, values: list[Any], where: str) -> Choices:
    fitting = [_fitting(path, value, where) for value in values]
    if len(fitting) < 2:
        raise UserError(f"{key} {_toml(values)}: nothing to choose from{where}", "two choices or more")
    for number, value in enumerate(fitting):
        if value in fitting[:number]:
            raise UserError(f"{key}: {_toml(value)} stands there twice{where}", "each choice once")
    return Choices(tuple(fitting))


def _range(path: str, key: str, table: dict[str, Any], where: str) -> Range:
    for name in table:
        if name not in ("range", "log", "step"):
            raise UserError(
                f"unknown key {key}.{name}{where}", nearest(name, ("range", "log", "step")) or _HOW
            )
    ends, log, step = table.get("range"), table.get("log", False), table.get("step")
    if not isinstance(ends, list) or len(ends) != 2:
        raise UserError(f"{key}: no range{where}", "it is { range = [lowest, highest] }")
    kind = config.annotation(path)
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if kind not in (int, float):
        raise UserError(f"{key}: it is no number, and has no range{where}", "write a list of choices")
    low, high = (_fitting(path, end, where) for end in ends)
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    if not low < high:
        raise UserError(f"{key} [{low}, {high}]: not from low to high{where}", "it is [lowest, highest]")
    if not isinstance(log, bool):
        raise UserError(f"{key}.log {log}: neither true nor false{where}", _HOW)
    if log and not low > 0:
        raise UserError(f"{key} [{low}, {high}]: a logarithmic range begins above 0{where}", _HOW)
    if step is None:
        return Range(low, high, log)
    if isinstance(step, bool) or not isinstance(step, int | float) or not 0 < step <= high - low:
        raise UserError(f"{key}.step {step}: not a step within the range{where}", "a number above 0")
    if kind is int and not isinstance(step, int):
        raise UserError(f"{key}.step {step}: the setting is a whole number{where}", "so is the step")
    if log:
        raise UserError(f"{key}: a logarithmic range has no steps{where}", "leave out log, or step")
    if (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(step)):
        raise UserError(f"{key}: {high} is no whole number of steps of {step} from {low}{where}", "")
    return Range(low, high, log, step)


def _fitting(path: str, value: object, where: str) -> Value:
    """The value as the setting has it: 0 of a fraction becomes 0.0.

    Raises:
        UserError: it does not fit.
    """
    settings = config.replace(Settings(), {path: value}, where=f", in sweep.space{where}")
    fitting: Value = config.get(settings, path)
    return fitting


def _toml(value: object) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case bool() | str():
            return msgspec.json.encode(value).decode()  # TOML writes both as JSON does
    return repr(value)

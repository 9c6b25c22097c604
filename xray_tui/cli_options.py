"""The options that several commands share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Argument, ArgumentCollection, Parameter, Token
from cyclopts.config import Env

from xray_tui import config, settings_file
from xray_tui.config import NOTHING, Loaded, describe
from xray_tui.settings import (
    OPTIONS,
    Averaging,
    Balance,
    BatchNorm,
    Compile,
    OnNan,
    OptimizerName,
    Precision,
    Preset,
    Schedule,
    Settings,
    Split,
    Tta,
    Unfreeze,
    Unseal,
)

# What makes the demo quick on two cores, and its short training visible. Whatever is given wins over these.
DEMO: dict[str, Any] = {
    "model.backbone": "efficientnet_lite0",
    "training.image_size": 128,
    "training.batch_size": 16,
    "training.frozen.epochs": 4,
    "training.unfrozen.epochs": 4,
    "training.unfrozen.learning_rate": 1e-5,
    "training.batchnorm": "keep",
    "run.name": "demo",
}


def option(path: str, others: Mapping[str, Any] = NOTHING) -> Parameter:
    """An option's help and default, as the setting has them.

    Args:
        others: defaults that a command has in their place.
    """
    default = others.get(path, config.get(Settings(), path))
    return Parameter(
        help=describe(path),
        negative=None if default is True else (),  # --no-NAME
        show_default=lambda _: default if default != "" else None,
    )


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Settings of a run. What is not given comes from the config file, the preset, the defaults."""

    backbone: Annotated[str | None, option("model.backbone")] = None
    weights: Annotated[str | None, option("model.weights")] = None
    preset: Annotated[Preset | None, option("preset")] = None
    columns: Annotated[str | None, option("data.columns")] = None
    split: Annotated[Split | None, option("data.split")] = None
    positive: Annotated[str | None, option("data.positive")] = None
    unfreeze: Annotated[Unfreeze | None, option("training.unfreeze")] = None
    unfreeze_from: Annotated[str | None, option("training.unfreeze_from")] = None
    batchnorm: Annotated[BatchNorm | None, option("training.batchnorm")] = None
    on_nan: Annotated[OnNan | None, option("training.on_nan")] = None
    augment_views: Annotated[str | None, option("training.augment_views")] = None
    gradual: Annotated[int | None, option("training.gradual")] = None
    patience: Annotated[int | None, option("training.patience")] = None
    optimizer: Annotated[OptimizerName | None, option("training.optimizer.name")] = None
    weight_decay: Annotated[float | None, option("training.optimizer.weight_decay")] = None
    schedule: Annotated[Schedule | None, option("training.optimizer.schedule")] = None
    warm_up: Annotated[float | None, option("training.optimizer.warm_up")] = None
    head_factor: Annotated[float | None, option("training.optimizer.head_factor")] = None
    group_factor: Annotated[float | None, option("training.optimizer.group_factor")] = None
    balance: Annotated[Balance | None, option("training.loss.balance")] = None
    label_smoothing: Annotated[float | None, option("training.loss.label_smoothing")] = None
    mixup: Annotated[float | None, option("training.loss.mixup")] = None
    cutmix: Annotated[float | None, option("training.loss.cutmix")] = None
    averaging: Annotated[Averaging | None, option("training.averaging.kind")] = None
    tta: Annotated[Tta | None, option("evaluation.tta")] = None
    zoom: Annotated[float | None, option("evaluation.zoom")] = None
    operating_point: Annotated[str | None, option("evaluation.operating_point")] = None
    calibrate: Annotated[bool | None, option("evaluation.calibrate")] = None
    unseal: Annotated[Unseal | None, option("evaluation.unseal")] = None
    explain: Annotated[bool | None, option("evaluation.explain")] = None
    frozen_epochs: Annotated[int | None, option("training.frozen.epochs")] = None
    unfrozen_epochs: Annotated[int | None, option("training.unfrozen.epochs")] = None
    frozen_lr: Annotated[float | None, option("training.frozen.learning_rate")] = None
    unfrozen_lr: Annotated[float | None, option("training.unfrozen.learning_rate")] = None
    batch_size: Annotated[int | None, option("training.batch_size")] = None
    image_size: Annotated[int | None, option("training.image_size")] = None
    resize_factor: Annotated[float | None, option("training.resize_factor")] = None
    limit: Annotated[int | None, option("data.limit")] = None
    unreadable: Annotated[float | None, option("data.unreadable")] = None
    cache: Annotated[str | None, option("data.cache")] = None
    hash_names: Annotated[bool | None, option("data.hash_names")] = None
    device: Annotated[str | None, option("hardware.device")] = None
    precision: Annotated[Precision | None, option("hardware.precision")] = None
    compile: Annotated[Compile | None, option("hardware.compile")] = None
    seed: Annotated[int | None, option("training.seed")] = None
    runs_dir: Annotated[str | None, option("run.runs_dir")] = None
    name: Annotated[str | None, option("run.name")] = None
    checkpoint_minutes: Annotated[float | None, option("run.checkpoint_minutes")] = None
    config: Annotated[Path | None, Parameter(help="a TOML file of settings (default: your own)")] = None
    from_environment: Annotated[tuple[str, ...], Parameter(show=False)] = ()
    """Which of them the environment gave, as :class:`Environment` noted."""

    @property
    def file(self) -> Path | None:
        """The config file: the one that was given, else the user's own where there is one."""
        return self.config or settings_file.existing_user_file()

    def trace(self, more: Mapping[str, Any] = NOTHING, *, demo: Mapping[str, Any] = NOTHING) -> Loaded:
        """The settings, and where each value comes from.

        Args:
            more: what the command line gave beside the options, by dotted path.
            demo: what the demo has for defaults.

        Raises:
            UserError: the config file cannot be read, or a value does not fit.
        """
        values = {
            OPTIONS[field.name]: getattr(self, field.name) for field in fields(self) if field.name in OPTIONS
        }
        environment = {
            path: values[path] for path in map(OPTIONS.get, self.from_environment) if path in values
        }
        given = {path: value for path, value in values.items() if path not in environment}
        return config.trace(file=self.file, demo=demo, environment=environment, given=given | dict(more))

    def settings(self, **more: Any) -> Settings:
        return self.trace(more).settings


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DemoOptions(RunOptions):
    """The same; those of which the demo has a default of its own say so."""

    backbone: Annotated[str | None, option("model.backbone", DEMO)] = None
    batchnorm: Annotated[BatchNorm | None, option("training.batchnorm", DEMO)] = None
    frozen_epochs: Annotated[int | None, option("training.frozen.epochs", DEMO)] = None
    unfrozen_epochs: Annotated[int | None, option("training.unfrozen.epochs", DEMO)] = None
    unfrozen_lr: Annotated[float | None, option("training.unfrozen.learning_rate", DEMO)] = None
    batch_size: Annotated[int | None, option("training.batch_size", DEMO)] = None
    image_size: Annotated[int | None, option("training.image_size", DEMO)] = None
    name: Annotated[str | None, option("run.name", DEMO)] = None


class Environment(Env):
    """Options from ``XRAY_TUI_…`` variables; notes in ``from_environment`` which ones those were.

    What is named without an option (a run, a folder of data) is of this command line alone, and so is an
    option that bears a setting's name and asks for something else.
    """

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        super().__call__(app, commands, arguments)
        for argument in arguments:
            meant = [token for token in argument.tokens if self._is_meant(token, argument)]
            argument.tokens[:] = map(self._read, meant)
        note = next((argument for argument in arguments if argument.name == "--from-environment"), None)
        if note is None:
            for argument in arguments:
                if argument.name in _OF_A_RUN:
                    argument.tokens[:] = [token for token in argument.tokens if token.source != self.source]
            return
        for argument in arguments:
            if any(token.source == self.source for token in argument.tokens):
                name = argument.name.removeprefix("--").replace("-", "_")
                note.append(Token(value=name, source=self.source, index=len(note.tokens)))

    def _is_meant(self, token: Token, argument: Argument) -> bool:
        return token.source != self.source or argument.name.startswith("-")

    def _read(self, token: Token) -> Token:
        """``XRAY_TUI_NO_EXPLAIN=1`` is ``--no-explain``, and cyclopts reads it as ``--explain``."""
        no = token.source == self.source and (token.keyword or "").startswith(f"{self.prefix}NO_")
        return token.evolve(value=_OPPOSITE.get(token.value.lower(), token.value)) if no else token


_OF_A_RUN = ("--explain", "--operating-point")
"""To `predict` the first is a folder, to `evaluate` the second a question about a run that has its own."""
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_OPPOSITE = dict.fromkeys(_YES, "false") | dict.fromkeys(_NO, "true")


def runs_folder_of_user(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Commands that only look at runs look where the user's own config file keeps them."""
    by_name = {argument.name: argument for argument in arguments}
    option, file = by_name.get("--runs-dir"), settings_file.existing_user_file()
    if option is None or option.tokens or "--backbone" in by_name or file is None:
        return
    loaded = config.trace(file=file)
    if loaded.origins["run.runs_dir"] == "config file":
        option.append(Token(keyword="run.runs_dir", value=loaded.settings.run.runs_dir, source=str(file)))


def _expanded(type_: object, tokens: Sequence[Token]) -> Path:
    return Path(tokens[0].value).expanduser()


RunsDir = Annotated[Path, Parameter(help=describe("run.runs_dir"), converter=_expanded)]
RUNS = Path("runs")
Ascii = Annotated[
    bool | None,
    Parameter(name="--ascii", help="draw without unicode (default: as the terminal's locale says)"),
]
NO_OPTIONS = RunOptions()
NO_DEMO_OPTIONS = DemoOptions()

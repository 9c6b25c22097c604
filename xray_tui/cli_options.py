"""The options that several commands share, and how commands talk."""

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from xray_tui import config
from xray_tui.config import OPTIONS, BatchNorm, Precision, Preset, Settings, Split, Unfreeze, describe
from xray_tui.words import harmless


def option(path: str) -> Parameter:
    """An option's help and default, as the setting has them."""
    default = config.get(Settings(), path)
    return Parameter(
        help=describe(path), negative=(), show_default=lambda _: default if default != "" else None
    )


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Settings of a run. What is not given comes from --config, the preset, the defaults."""

    backbone: Annotated[str | None, option("model.backbone")] = None
    weights: Annotated[str | None, option("model.weights")] = None
    preset: Annotated[Preset | None, option("preset")] = None
    split: Annotated[Split | None, option("data.split")] = None
    positive: Annotated[str | None, option("data.positive")] = None
    unfreeze: Annotated[Unfreeze | None, option("training.unfreeze")] = None
    batchnorm: Annotated[BatchNorm | None, option("training.batchnorm")] = None
    frozen_epochs: Annotated[int | None, option("training.frozen.epochs")] = None
    unfrozen_epochs: Annotated[int | None, option("training.unfrozen.epochs")] = None
    frozen_lr: Annotated[float | None, option("training.frozen.learning_rate")] = None
    unfrozen_lr: Annotated[float | None, option("training.unfrozen.learning_rate")] = None
    batch_size: Annotated[int | None, option("training.batch_size")] = None
    image_size: Annotated[int | None, option("training.image_size")] = None
    limit: Annotated[int | None, option("data.limit")] = None
    unreadable: Annotated[float | None, option("data.unreadable")] = None
    device: Annotated[str | None, option("hardware.device")] = None
    precision: Annotated[Precision | None, option("hardware.precision")] = None
    seed: Annotated[int | None, option("training.seed")] = None
    runs_dir: Annotated[str | None, option("run.runs_dir")] = None
    name: Annotated[str | None, option("run.name")] = None
    config: Annotated[Path | None, Parameter(help="a TOML file of settings")] = None

    def given(self) -> dict[str, Any]:
        """The settings that were given, by dotted path."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name in OPTIONS}
        return {OPTIONS[name]: value for name, value in values.items() if value is not None}

    def settings(self, **more: Any) -> Settings:
        return config.load(self.given() | more, file=self.config)


RunsDir = Annotated[Path, Parameter(help=describe("run.runs_dir"))]
RUNS = Path("runs")
NO_OPTIONS = RunOptions()


def talk(text: str) -> None:
    """Say something that is no result: standard output belongs to those."""
    print(harmless(text), file=sys.stderr, flush=True)

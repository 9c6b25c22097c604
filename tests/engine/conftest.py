"""A whole run, small enough for a test: random weights, 32 pixels, two dozen images."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.conftest import write_folder
from xray_tui import config, launch
from xray_tui.engine import plan
from xray_tui.engine.controls import Controls
from xray_tui.events import (
    Best,
    Emit,
    EpochEnded,
    Event,
    OperatingPoint,
    Progress,
    Resumed,
    RunEnded,
    TestEvaluated,
)
from xray_tui.models.backbones import Backbone
from xray_tui.runs import follow
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.mistakes import UnreadMistakes

SMALL: dict[str, Any] = {
    "model.backbone": "shufflenet_v2_x0_5",
    "model.weights": "none",
    "model.hidden": 16,
    "training.image_size": 32,
    "training.batch_size": 8,
    "training.frozen.epochs": 2,
    "training.unfrozen.epochs": 1,
    "hardware.device": "cpu",
    "hardware.precision": "float32",
    "hardware.threads": 1,
}


React = Callable[[Event, Controls], None]


@dataclass
class Run:
    """What came of a run."""

    all: list[Event] = field(default_factory=list)
    controls: Controls = field(default_factory=Controls)
    opened: list[RunDirectory] = field(default_factory=list)
    ended: RunEnded | None = None

    @property
    def directory(self) -> RunDirectory:
        return self.opened[0]

    @property
    def journaled(self) -> list[Event]:
        return [event for event in self.all if not isinstance(event, Progress)]

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.all if isinstance(event, kind)]


def run_recipe(
    data: Path, runs: Path, changes: dict[str, Any] | None = None, react: React | None = None
) -> Run:
    """Runs the recipe on a data folder; ``react`` sees each event as it is emitted, and the controls."""
    settings = config.load(SMALL | {"data.root": str(data), "run.runs_dir": str(runs)} | (changes or {}))
    found = Run()
    found.ended = launch.start(settings, _emit(found, react), found.controls, opened=found.opened.append)
    return found


def resume(directory: RunDirectory, react: React | None = None, *, take_over: bool = False) -> Run:
    """Goes on with a run; ``react`` as of ``run_recipe``."""
    found = Run()
    found.ended = launch.resume(
        directory, _emit(found, react), found.controls, opened=found.opened.append, take_over=take_over
    )
    return found


def _emit(found: Run, react: React | None) -> Emit:
    def emit(event: Event) -> None:
        found.all.append(event)
        if react is not None:
            react(event, found.controls)

    return emit


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., Run]:
    """``run_recipe``, with a runs folder of its own."""

    def run(data: Path, changes: dict[str, Any] | None = None, react: React | None = None) -> Run:
        return run_recipe(data, tmp_path / "runs", changes, react)

    return run


def read_whole(directory: RunDirectory) -> list[Event]:
    """The journal's events, the lists of mistakes decoded."""
    return [event.read() if isinstance(event, UnreadMistakes) else event for event in follow.read(directory)]


def essence(events: Sequence[Event]) -> list[dict[str, object]]:
    """What makes two runs equal: the results, less the times and what a resume did again."""
    kept: list[Event] = []
    for event in events:
        if isinstance(event, Resumed):
            kept = [e for e in kept if isinstance(e, EpochEnded | Best) and e.epoch < event.epoch]
        elif isinstance(event, EpochEnded | Best | OperatingPoint | TestEvaluated | RunEnded):
            kept.append(event)
    timed = {"t", "seconds", "images_per_second"}
    return [
        {name: getattr(e, name) for name in e.__struct_fields__ if name not in timed | {*e.ARRAYS}}
        for e in kept
    ]


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """29 train images, which is 3 batches of 8 and one of 5; 20 for validation and test each."""
    counts = {split: {"NORMAL": 8, "PNEUMONIA": 12} for split in ("test", "val")}
    return write_folder(
        tmp_path_factory.mktemp("data") / "chest", {"train": {"NORMAL": 12, "PNEUMONIA": 17}} | counts
    )


def tiny_backbone(name: str, weights: str, *, seed: int, image_size: int = 32) -> Backbone:
    """Has what a resume can go wrong with (BatchNorms, channels_last kernels) and takes no time."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        body = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2)
        )
    return Backbone(name, body.eval(), 8, (0.5,) * 3, (0.25,) * 3, weights)


@pytest.fixture(scope="module")
def tiny() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "load_backbone", tiny_backbone)
        yield patch

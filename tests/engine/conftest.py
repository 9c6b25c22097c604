"""A whole run, small enough for a test: random weights, 32 pixels, two dozen images."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from xray_tui import config, launch
from xray_tui.engine.controls import Controls
from xray_tui.events import Event, Progress, RunEnded
from xray_tui.runs.directory import RunDirectory

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


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., Run]:
    """Runs the recipe on a data folder; ``react`` sees each event as it is emitted, and the controls."""

    def run(data: Path, changes: dict[str, Any] | None = None, react: React | None = None) -> Run:
        paths = {"data.root": str(data), "run.runs_dir": str(tmp_path / "runs")}
        settings = config.load(SMALL | paths | (changes or {}))
        found = Run()

        def emit(event: Event) -> None:
            found.all.append(event)
            if react is not None:
                react(event, found.controls)

        found.ended = launch.start(settings, emit, found.controls, opened=found.opened.append)
        return found

    return run

"""Run directories for tests, without an engine behind them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tests.tui.record_journals import whole_run
from xray_tui import config, event_lines
from xray_tui.events import Best, EpochEnded, Event, RunEnded, RunStarted, Source
from xray_tui.runs import state
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.index import Summary
from xray_tui.runs.recorder import Recorder
from xray_tui.runs.state import Status

NOON = 1_795_521_600.0
CLASSES = ["NORMAL", "PNEUMONIA"]


def lines(told: Sequence[Event]) -> bytes:
    return b"".join(event_lines.encode(event, seq) + b"\n" for seq, event in enumerate(told))


def keep(
    runs: Path, told: Sequence[Event] | None = None, *, at: float = NOON, status: Status = "done"
) -> RunDirectory:
    """A run directory with those events in its journal (by default, a whole run of the recipe)."""
    settings = config.load({"run.runs_dir": str(runs), "data.root": "/data/chest_xray"})
    directory = RunDirectory.create(settings, at)
    directory.journal.write_bytes(lines(list(whole_run()) if told is None else told))
    state.write(directory, status)
    return directory


def die(directory: RunDirectory) -> None:
    """As a run looks whose process was killed."""
    dead = state.State(status="running", pid=0, host="elsewhere", heartbeat=0.0)
    directory.state.write_bytes(msgspec.json.encode(dead))


def validated(
    runs: Path,
    right: Sequence[bool],
    *,
    at: float = NOON,
    first_image: int = 0,
    backwards: bool = False,
    patients: int | None = None,
    **settings: object,
) -> RunDirectory:
    """A finished run of one epoch that is right on some of its validation images.

    Args:
        right: of each image; the first half of them is NORMAL.
        first_image: the number in the first one's name.
        backwards: the images come in the other order.
    """
    given = {"run.runs_dir": str(runs), "data.root": "/data/chest_xray", "data.positive": "PNEUMONIA"}
    loaded = config.load(given | {path.replace("__", "."): value for path, value in settings.items()})
    directory = RunDirectory.create(loaded, at)
    images = len(right)
    actual = np.array([int(number >= images / 2) for number in range(images)])
    predicted = np.where(right, actual, 1 - actual)
    sources = [
        Source(
            f"test/{CLASSES[actual[number]]}/IM-{first_image + number}.jpeg",
            int(actual[number]),
            f"IM-{number % (patients or images)}",
        )
        for number in range(images)
    ]
    order = slice(None, None, -1 if backwards else 1)
    confusion = np.zeros((2, 2), int)
    np.add.at(confusion, (actual, predicted), 1)
    sure = 0.6 + 0.3 * (7 * np.arange(images) % images) / images
    probabilities = np.where(np.arange(2) == predicted[:, None], sure[:, None], 1 - sure[:, None])
    directory.journal.touch()
    recorder = Recorder(directory, lambda *asked: None, lambda trouble: None)
    recorder(
        RunStarted(
            t=at,
            run=directory.name,
            settings=config.to_tree(loaded),
            device="cpu",
            backbone="resnet50",
            weights="none",
            classes=CLASSES,
            images={},
            split_note="recipe",
            unreadable=0,
            parameters=1,
            validation=sources[order],
        )
    )
    recorder(
        EpochEnded(
            t=at + 60,
            stage="frozen",
            epoch=0,
            train_loss=0.5,
            validation_loss=0.25,
            accuracy=float(np.mean(right)),
            auc=0.9,
            sensitivity=None,
            specificity=None,
            confusion=confusion.tolist(),
            learning_rate=1e-3,
            images_per_second=1.0,
            seconds=60.0,
            probabilities=probabilities[order].astype(np.float32),
            losses=np.ones(images, np.float32),
        )
    )
    recorder(Best(t=at + 60, stage="frozen", epoch=0, validation_loss=0.25, accuracy=None))
    recorder(RunEnded(t=at + 61, outcome="done", why="every stage finished", best_epoch=0, seconds=61.0))
    recorder.close()
    return directory


def summary(**changes: Any) -> Summary:
    """A line about a run; settings by dotted path under ``cfg``."""
    cfg = {"model.backbone": "resnet50", **changes.pop("cfg", {})}
    values: dict[str, Any] = {
        "directory": RunDirectory(Path("/runs/20261124-101500-resnet50")),
        "name": "night run",
        "note": "",
        "status": "done",
        "started": NOON,
        "seconds": 600.0,
        "backbone": "resnet50",
        "stage": "unfrozen",
        "epochs": 15,
        "best_epoch": 13,
        "loss": 0.278,
        "accuracy": 0.891,
        "auc": 0.956,
        "data": "chest_xray",
        "settings": config.to_tree(config.load(cfg)),
    }
    return Summary(**(values | changes))

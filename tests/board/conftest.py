"""A made-up run, as the events that an engine would send."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import pytest

from xray_tui import config
from xray_tui.events import (
    Best,
    EpochEnded,
    Event,
    Histogram,
    Mistake,
    Mistakes,
    Progress,
    RunEnded,
    RunStarted,
    Stage,
    StageEnded,
    StageStarted,
    TestEvaluated,
)
from xray_tui.settings import Settings

T0 = 1_800_000_000.0
"""When the run starts, in seconds since the Unix epoch; an epoch takes 60."""
SIDE_PX = 64
MISTAKES = 10

MakeRun = Callable[..., list[Event]]


def _picture(rng: np.random.Generator) -> np.ndarray:
    """Two dark lungs in a lighter body: uint8 (H, W)."""
    y, x = np.mgrid[-1 : 1 : SIDE_PX * 1j, -1 : 1 : SIDE_PX * 1j]
    shift = rng.uniform(-0.1, 0.1)
    lungs = sum(np.exp(-(((x - side + shift) / 0.3) ** 2) - (y / 0.7) ** 2) for side in (-0.45, 0.45))
    return np.clip(190 - 150 * lungs + rng.normal(0, 8, y.shape), 0, 255).astype(np.uint8)


def _histogram(rng: np.random.Generator, width: float) -> Histogram:
    values = rng.normal(0, width, 2000)
    counts, edges = np.histogram(values, bins=30)
    return Histogram(counts, edges, values.min(), values.max(), values.sum(), (values**2).sum())


def _epoch(stage: Stage, epoch: int, classes: Sequence[str]) -> list[Event]:
    rng = np.random.default_rng(epoch)
    count, kinds = 200, len(classes)
    actual = np.arange(count) % kinds
    scores = rng.normal(0, 1, (count, kinds)) + (0.6 + 0.3 * epoch) * np.eye(kinds)[actual]
    probabilities = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    t = T0 + 60 * (epoch + 1)
    worst = [
        Mistake(
            f"test/{i}.jpeg", actual=i % kinds, predicted=(i + 1) % kinds, probability=0.9, loss=5 - i / 10
        )
        for i in range(MISTAKES)
    ]
    ended = EpochEnded(
        t=t,
        stage=stage,
        epoch=epoch,
        train_loss=0.6 / (epoch + 1),
        validation_loss=0.7 / (epoch + 1),
        accuracy=0.8 + 0.02 * epoch,
        auc=0.9 + 0.01 * epoch,
        sensitivity=0.91,
        specificity=0.71,
        confusion=[[0] * kinds] * kinds,
        learning_rate=1e-3 if stage == "frozen" else 1e-6,
        images_per_second=400.0 + epoch,
        seconds=60.0,
        probabilities=probabilities.astype(np.float32),
        losses=-np.log(probabilities[np.arange(count), actual]).astype(np.float32),
        actual=actual,
        histograms={
            "weights/4.weight": _histogram(rng, 0.1),
            "gradients/4.weight": _histogram(rng, 0.01 / (epoch + 1)),
        },
    )
    best = Best(t=t, stage=stage, epoch=epoch, validation_loss=0.7 / (epoch + 1), accuracy=ended.accuracy)
    pictures = np.stack([_picture(rng) for _ in worst])
    mistakes = Mistakes(t=t + 1, stage=stage, epoch=epoch, total=40, worst=worst, images=pictures)
    return [Progress(t=t, phase="train", stage=stage, epoch=epoch), ended, best, mistakes]


@pytest.fixture
def make_run() -> MakeRun:
    """Make a run's events: ``make_run(classes=…, frozen=2, unfrozen=1, positive="", grid=32)``."""

    def make(
        classes: Sequence[str] = ("NORMAL", "PNEUMONIA"),
        *,
        frozen: int = 2,
        unfrozen: int = 1,
        positive: str = "",
        grid: int = 32,
        outcome: str = "done",
    ) -> list[Event]:
        rng = np.random.default_rng(0)
        changes = {
            "data.positive": positive,
            "training.frozen.epochs": frozen,
            "training.unfrozen.epochs": unfrozen,
        }
        settings = config.replace(Settings(), changes)
        events: list[Event] = [
            RunStarted(
                t=T0,
                run="20270115-080000-resnet50",
                settings=msgspec.to_builtins(settings),
                device="cpu (2 threads)",
                backbone="resnet50",
                weights="IMAGENET1K_V1",
                classes=list(classes),
                images={},
                split_note="",
                unreadable=0,
                parameters=25_600_000,
                grid=np.stack([_picture(rng) for _ in range(grid)]) if grid else None,
            )
        ]
        first = 0
        stages: list[tuple[Stage, int]] = [("frozen", frozen), ("unfrozen", unfrozen)]
        for stage, epochs in stages:
            if not epochs:
                continue
            events.append(
                StageStarted(
                    t=T0 + 60 * first,
                    stage=stage,
                    first_epoch=first,
                    epochs=epochs,
                    learning_rate=1e-3,
                    trainable_parameters=1,
                    total_parameters=2,
                )
            )
            for epoch in range(first, first + epochs):
                events += _epoch(stage, epoch, classes)
            first += epochs
            t = T0 + 60 * first + 2
            events.append(StageEnded(t=t, stage=stage, epochs=epochs, why="finished", seconds=60.0 * epochs))
        events += [
            TestEvaluated(
                t=T0 + 60 * first + 10,
                skipped="",
                epoch=first - 1,
                images=16,
                loss=0.4,
                accuracy=0.875,
                auc=0.95,
                sensitivity=1.0,
                specificity=0.75,
                confusion=[[6, 2], [0, 8]],
            ),
            RunEnded(
                t=T0 + 60 * first + 11,
                outcome=outcome,
                why="finished",
                best_epoch=first - 1,
                seconds=60.0 * first,
            ),
        ]
        return events

    return make

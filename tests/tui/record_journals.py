"""Writes the journals that the dashboard is tested with: ``python tests/tui/record_journals.py``."""

import math
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec

from xray_tui import config, event_lines
from xray_tui.events import (
    Best,
    CheckpointSaved,
    EpochEnded,
    Event,
    Mistake,
    Mistakes,
    RunEnded,
    RunStarted,
    Stage,
    StageEnded,
    StageStarted,
    TestEvaluated,
    Warning,
)

JOURNALS = Path(__file__).parent / "journals"
BEGAN = 1795600000.0
NORMAL, PNEUMONIA = 234, 390
_SECONDS = {"frozen": 13.0, "unfrozen": 41.0}
_TRAIN = {"NORMAL": 1341, "PNEUMONIA": 3875}


def whole_run(seed: int = 0, backbone: str = "resnet50") -> Iterator[Event]:
    """A run of the published recipe on the published data: 10 frozen and 5 unfrozen epochs."""
    rng = random.Random(seed)
    settings = config.load({"data.root": "/data/chest_xray", "model.backbone": backbone})
    t = BEGAN
    yield RunStarted(
        t=t,
        run="20261124-101500-resnet50",
        settings=msgspec.to_builtins(settings),
        device="cuda:0 (NVIDIA A10G)",
        backbone=backbone,
        weights="IMAGENET1K_V1",
        classes=["NORMAL", "PNEUMONIA"],
        images={
            "train": _TRAIN,
            "validation": {"NORMAL": NORMAL, "PNEUMONIA": PNEUMONIA},
            "test": {"NORMAL": 8, "PNEUMONIA": 8},
        },
        split_note="val has only 16 images: test plays validation (recipe)",
        unreadable=2,
        parameters=25_610_308,
    )
    yield Warning(
        t=t + 0.5,
        kind="unreadable",
        message="2 images cannot be read and are left out",
        paths=["train/NORMAL/IM-0115-0001.jpeg", "train/PNEUMONIA/person63_bacteria_306.jpeg"],
    )
    best: float | None = None
    stages: tuple[tuple[Stage, int, int], ...] = (("frozen", 0, 10), ("unfrozen", 10, 5))
    for stage, first, epochs in stages:
        yield StageStarted(
            t=t + 1,
            stage=stage,
            first_epoch=first,
            epochs=epochs,
            learning_rate=1e-3 if stage == "frozen" else 1e-6,
            trainable_parameters=2_102_276 if stage == "frozen" else 25_610_308,
            total_parameters=25_610_308,
        )
        for epoch in range(first, first + epochs):
            t += _SECONDS[stage]
            ended, mistakes = _epoch(rng, stage, epoch, t)
            yield ended
            yield mistakes
            assert ended.validation_loss is not None
            if best is None or ended.validation_loss < best:
                best = ended.validation_loss
                yield Best(t=t, stage=stage, epoch=epoch, validation_loss=best, accuracy=ended.accuracy)
            yield CheckpointSaved(
                t=t, checkpoint="last", epoch=epoch, path="checkpoints/last", bytes=102_000_000
            )
        yield StageEnded(t=t, stage=stage, epochs=epochs, why="finished", seconds=epochs * _SECONDS[stage])
    yield TestEvaluated(
        t=t + 2,
        skipped="",
        epoch=13,
        images=16,
        loss=0.341,
        accuracy=0.875,
        auc=0.953,
        sensitivity=1.0,
        specificity=0.75,
        confusion=[[6, 2], [0, 8]],
    )
    yield RunEnded(t=t + 3, outcome="done", why="finished", best_epoch=13, seconds=t + 3 - BEGAN)


def _epoch(rng: random.Random, stage: Stage, epoch: int, t: float) -> tuple[EpochEnded, Mistakes]:
    fade = math.exp(-epoch / 4)
    wrong_normal = round(52 + 60 * fade + rng.uniform(-8, 8) - (8 if stage == "unfrozen" else 0))
    wrong_pneumonia = round(17 + 14 * fade + rng.uniform(-4, 4))
    wrong = [("NORMAL", 0)] * wrong_normal + [("PNEUMONIA", 1)] * wrong_pneumonia
    worst = []
    for name, actual in wrong:
        loss = rng.expovariate(0.9) + 0.7
        number = rng.randrange(1, 1700)
        file = f"IM-{number:04}-0001.jpeg" if actual == 0 else f"person{number}_bacteria_{number * 3}.jpeg"
        probability = 1 - math.exp(-loss)
        worst.append(
            Mistake(
                path=f"test/{name}/{file}",
                actual=actual,
                predicted=1 - actual,
                probability=round(probability, 4),
                loss=round(loss, 4),
            )
        )
    worst.sort(key=lambda mistake: -mistake.loss)
    images = NORMAL + PNEUMONIA
    ended = EpochEnded(
        t=t,
        stage=stage,
        epoch=epoch,
        train_loss=round(0.13 + 0.24 * fade + rng.uniform(-0.01, 0.01), 4),
        validation_loss=round(0.29 + 0.2 * fade + rng.uniform(-0.02, 0.03), 4),
        accuracy=round(1 - len(wrong) / images, 4),
        auc=round(0.955 - 0.05 * fade + rng.uniform(-0.004, 0.004), 4),
        sensitivity=round(1 - wrong_pneumonia / PNEUMONIA, 4),
        specificity=round(1 - wrong_normal / NORMAL, 4),
        confusion=[[NORMAL - wrong_normal, wrong_normal], [wrong_pneumonia, PNEUMONIA - wrong_pneumonia]],
        learning_rate=1e-3 if stage == "frozen" else 1e-6,
        images_per_second=round(rng.uniform(400, 425) if stage == "frozen" else rng.uniform(130, 138), 1),
        seconds=_SECONDS[stage],
    )
    return ended, Mistakes(t=t, stage=stage, epoch=epoch, total=len(worst), worst=worst[:32])


def write(path: Path, run: Iterator[Event]) -> None:
    lines = [event_lines.encode(event, seq) for seq, event in enumerate(run)]
    path.write_bytes(b"\n".join(lines) + b"\n")


if __name__ == "__main__":
    JOURNALS.mkdir(exist_ok=True)
    write(JOURNALS / "whole.jsonl", whole_run())

"""Runs that kept their predictions: whole run directories, made up with a seed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xray_tui import config, metrics
from xray_tui.events import (
    Best,
    CheckpointSaved,
    EpochEnded,
    Event,
    Mistake,
    Mistakes,
    OperatingPoint,
    RunEnded,
    RunStarted,
    Source,
    Stage,
    StageStarted,
    TestEvaluated,
)
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.recorder import Recorder
from xray_tui.settings import Settings


@dataclass(frozen=True)
class KeptRun:
    directory: RunDirectory
    told: list[Event]
    """What the run told, arrays included."""
    actual: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    """(epochs, N, C)"""

    def wrong(self, epoch: int) -> list[int]:
        return np.flatnonzero(self.probabilities[epoch].argmax(1) != self.actual).tolist()

    def lose_numbers(self, epoch: int) -> None:
        """As if the weights had run away before that epoch: only what was kept of it, not what was told."""
        shape = self.probabilities[epoch].shape
        np.savez(
            self.directory.predictions_of(epoch),
            probabilities=np.full(shape, np.nan, np.float32),
            loss=np.full(shape[:1], np.nan, np.float32),
        )


def kept_run(
    folder: Path,
    *,
    images: int = 40,
    epochs: int = 6,
    classes: Sequence[str] = ("NORMAL", "PNEUMONIA"),
    positive: str = "",
    seed: int = 0,
    data: Path | None = None,
    ended: bool = True,
    test: int = 0,
) -> KeptRun:
    """A run whose network gets better from epoch to epoch, with some images that it never learns.

    Args:
        folder: of the runs.
        epochs: the last third of them unfrozen.
        data: the data folder, of which no file is needed.
        test: so many images play test; an operating point was chosen then, at Youden's threshold.
    """
    rng = np.random.default_rng(seed)
    settings = config.load(
        {
            "run.runs_dir": str(folder),
            "data.root": str(data or folder / "data"),
            "data.positive": positive or classes[-1],
        }
    )
    directory = RunDirectory.create(settings)
    directory.journal.touch()
    actual = np.sort(rng.integers(0, len(classes), images))
    paths = [f"test/{classes[label]}/film-{number:04}.jpeg" for number, label in enumerate(actual)]
    hard = rng.normal(-0.4, 1.4, images)
    recorder = Recorder(directory, lambda control, value: None, lambda words: None)
    told: list[Event] = []

    def tell(event: Event) -> None:
        recorder(event)
        told.append(event)

    tell(
        RunStarted(
            t=0.0,
            run="20261124-101500-resnet50",  # the same in every picture
            settings=config.to_tree(settings),
            device="cpu (2 threads), float32",
            backbone="resnet50",
            weights="none",
            classes=list(classes),
            images={"validation": {name: int((actual == n).sum()) for n, name in enumerate(classes)}},
            split_note="recipe",
            unreadable=0,
            parameters=7,
            validation=[
                Source(path, int(label), f"patient{number}")
                for number, (path, label) in enumerate(zip(paths, actual, strict=True))
            ],
        )
    )
    boundary, best = epochs - epochs // 3, float("inf")
    found = np.zeros((epochs, images, len(classes)), np.float32)
    for epoch in range(epochs):
        stage: Stage = "frozen" if epoch < boundary else "unfrozen"
        if epoch in (0, boundary):
            tell(
                StageStarted(
                    t=float(epoch),
                    stage=stage,
                    first_epoch=epoch,
                    epochs=boundary if stage == "frozen" else epochs - boundary,
                    learning_rate=1e-3,
                    trainable_parameters=1,
                    total_parameters=7,
                )
            )
        scores = rng.normal(0, 0.4, (images, len(classes)))
        scores[np.arange(images), actual] += hard + 1.4 * epoch / epochs
        likely = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        found[epoch] = likely
        losses = -np.log(found[epoch][np.arange(images), actual])
        rates = metrics.evaluate(found[epoch], losses, actual, settings_positive(settings, classes))
        tell(_ended(stage, epoch, found[epoch], losses, actual, rates))
        assert rates.loss is not None
        if rates.loss < best:
            best = rates.loss
            saved = "checkpoints/best.safetensors"
            tell(CheckpointSaved(t=epoch + 0.5, checkpoint="best", epoch=epoch, path=saved, bytes=1))
            tell(Best(t=epoch + 0.5, stage=stage, epoch=epoch, validation_loss=best, accuracy=rates.accuracy))
        tell(_mistakes(stage, epoch, found[epoch], losses, actual, paths))
    if test:
        last, best_scores = epochs - 1, found[-1, :, settings_positive(settings, classes)]
        for event in _tested(last, best_scores, actual, list(classes), settings, test, rng):
            tell(event)
    if ended:
        tell(RunEnded(t=epochs + 1.0, outcome="done", why="finished", best_epoch=epochs - 1, seconds=1.0))
    recorder.close()
    return KeptRun(directory, told, actual, found)


def settings_positive(settings: Settings, classes: Sequence[str]) -> int:
    return list(classes).index(settings.data.positive)


def _ended(
    stage: Stage,
    epoch: int,
    probabilities: NDArray[np.float32],
    losses: NDArray[np.float32],
    actual: NDArray[np.int64],
    rates: metrics.Metrics,
) -> EpochEnded:
    return EpochEnded(
        t=epoch + 0.4,
        stage=stage,
        epoch=epoch,
        train_loss=rates.loss,
        validation_loss=rates.loss,
        accuracy=rates.accuracy,
        auc=None,
        sensitivity=rates.sensitivity,
        specificity=rates.specificity,
        confusion=rates.confusion,
        learning_rate=1e-3,
        images_per_second=100.0,
        seconds=1.0,
        probabilities=probabilities,
        losses=losses,
        actual=actual,
    )


def _tested(
    epoch: int,
    scores: NDArray[np.float32],
    actual: NDArray[np.int64],
    classes: list[str],
    settings: Settings,
    images: int,
    rng: np.random.Generator,
) -> list[Event]:
    """The operating point of validation, and test: all epochs' kind of scores, a little worse."""
    positive = settings_positive(settings, classes)
    threshold = metrics.youden(scores, actual == positive)
    rates = metrics.rate((scores >= threshold).astype(int), (actual == positive).astype(int), 1, 2)
    labels = np.sort(rng.integers(0, len(classes), images))
    logits = rng.normal(0, 1.2, (images, len(classes))) + 1.4 * np.eye(len(classes))[labels]
    probabilities = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)
    losses = -np.log(probabilities[np.arange(images), labels])
    found = metrics.evaluate(probabilities, losses, labels, positive, threshold)
    return [
        OperatingPoint(
            t=epoch + 0.6,
            epoch=epoch,
            rule="youden",
            threshold=threshold,
            temperature=1.5,
            accuracy=rates.accuracy,
            sensitivity=rates.sensitivity,
            specificity=rates.specificity,
        ),
        TestEvaluated(
            t=epoch + 0.7,
            skipped="",
            epoch=epoch,
            images=images,
            **asdict(found),
            probabilities=probabilities,
            losses=losses,
            sources=[
                Source(f"test/{classes[label]}/sealed-{number:04}.jpeg", int(label), f"sealed{number}")
                for number, label in enumerate(labels)
            ],
        ),
    ]


def _mistakes(
    stage: Stage,
    epoch: int,
    probabilities: NDArray[np.float32],
    losses: NDArray[np.float32],
    actual: NDArray[np.int64],
    paths: Sequence[str],
) -> Mistakes:
    predicted = probabilities.argmax(1)
    wrong = np.flatnonzero(predicted != actual)
    worst = [
        Mistake(
            path=paths[number],
            actual=int(actual[number]),
            predicted=int(predicted[number]),
            probability=float(probabilities[number, predicted[number]]),
            loss=float(losses[number]),
        )
        for number in wrong[np.argsort(-losses[wrong])][:32]
    ]
    return Mistakes(t=epoch + 0.45, stage=stage, epoch=epoch, total=len(wrong), worst=worst)

"""What came out of an evaluation, as events."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np

from xray_tui import metrics
from xray_tui.data.pixels import Pixels
from xray_tui.engine.epoch import Predictions
from xray_tui.engine.guard import NotFinite
from xray_tui.events import (
    CheckpointSaved,
    EpochEnded,
    Histogram,
    Mistake,
    Mistakes,
    Source,
    Stage,
    TestEvaluated,
    Warning,
    finite,
)

WORST = 32
"""Mistakes an epoch's event carries, the worst by loss first; ``predictions/`` has them all."""


def mistakes(stage: Stage, epoch: int, found: Predictions, validation: Pixels) -> Mistakes:
    """
    Args:
        found: of the validation images, in their order.
    """
    predicted = metrics.predicted_at(found.probabilities, 0, None)
    wrong = np.flatnonzero((predicted != found.actual) & (predicted != metrics.UNCALLED))
    # A loss that is not a number counts as the worst.
    worst = wrong[np.argsort(-np.nan_to_num(found.losses[wrong], nan=np.inf), kind="stable")][:WORST]
    images = [validation.images[int(i)][0].numpy() for i in worst]
    return Mistakes(
        stage=stage,
        epoch=epoch,
        total=len(wrong),
        worst=[
            Mistake(
                path=validation.files[i].path,
                actual=int(found.actual[i]),
                predicted=int(predicted[i]),
                probability=finite(found.probabilities[i, predicted[i]]),
                loss=finite(found.losses[i]),
            )
            for i in worst
        ],
        images=np.stack(images) if images else np.zeros((0, *validation.images[0].shape[1:]), np.uint8),
    )


def epoch_ended(
    stage: Stage,
    epoch: int,
    found: Predictions,
    scores: metrics.Metrics,
    *,
    train_loss: float | None,
    learning_rate: float,
    images_per_second: float,
    seconds: float,
    histograms: dict[str, Histogram],
) -> EpochEnded:
    """
    Args:
        found: of the validation images, in their order; ``scores`` is what comes of it.
    """
    return EpochEnded(
        stage=stage,
        epoch=epoch,
        train_loss=train_loss,
        validation_loss=scores.loss,
        **_without_loss(scores),
        learning_rate=learning_rate,
        images_per_second=images_per_second,
        seconds=seconds,
        probabilities=found.probabilities,
        losses=found.losses,
        actual=found.actual,
        histograms=histograms,
    )


def _without_loss(scores: metrics.Metrics) -> dict[str, Any]:
    """What events call as :class:`metrics.Metrics` does: all but the loss."""
    return {name: value for name, value in asdict(scores).items() if name != "loss"}


def checkpoint_saved(checkpoint: Literal["best", "last"], path: Path, epoch: int) -> CheckpointSaved:
    return CheckpointSaved(
        checkpoint=checkpoint,
        epoch=epoch,
        path=f"{path.parent.name}/{path.name}",
        bytes=path.stat().st_size,
    )


def not_a_number(epoch: int) -> Warning:
    return Warning(
        kind="not_a_number",
        message=f"the loss of epoch {epoch} is not a number; a lower learning rate may help",
    )


def not_finite(epoch: int, found: NotFinite, train: Pixels) -> Warning:
    """A batch was left out of an epoch."""
    return Warning(
        kind="not_finite",
        message=f"a loss or gradient in batch {found.batch} of epoch {epoch} is not a finite number: "
        "the update was left out",
        paths=[train.files[number].path for number in found.images],
    )


def test_skipped(why: str) -> TestEvaluated:
    """Test was not evaluated.

    Args:
        why: in words.
    """
    scores = asdict(metrics.UNKNOWN)
    return TestEvaluated(skipped=why, epoch=None, images=0, **scores)


def test_evaluated(
    found: Predictions, sources: list[Source], epoch: int | None, positive: int, threshold: float | None
) -> TestEvaluated:
    """
    Args:
        found: of the test images, calibrated.
        sources: the test images.
        epoch: whose weights were evaluated.
        positive: the class that sensitivity speaks of.
        threshold: rates are at it.
    """
    split = found.probabilities, found.losses, found.actual, positive
    patients = [source.patient for source in sources]
    return TestEvaluated(
        skipped="",
        epoch=epoch,
        images=len(sources),
        **asdict(metrics.evaluate(*split, threshold)),
        intervals=metrics.bootstrap(*split, patients, threshold),
        probabilities=found.probabilities,
        losses=found.losses,
        sources=sources,
    )

"""Runs of a few epochs, with only the numbers that a test is about."""

from collections.abc import Sequence

import msgspec

from xray_tui import config
from xray_tui.events import Best, ControlUsed, EpochEnded, Event, RunStarted, Stage, StageStarted
from xray_tui.runs.record import RunRecord

BALANCED = {"NORMAL": 2600, "PNEUMONIA": 2600}
CONFUSION = [[210, 24], [39, 351]]


def started(
    train: dict[str, int] = BALANCED, *, frozen_epochs: int = 10, unfrozen_epochs: int = 5, **settings: object
) -> RunStarted:
    chosen = {
        "data.positive": list(train)[-1],
        "training.frozen.epochs": frozen_epochs,
        "training.unfrozen.epochs": unfrozen_epochs,
    }
    return RunStarted(
        t=0.0,
        run="run",
        settings=msgspec.to_builtins(config.load(chosen | settings)),
        device="cpu (2 threads), float32",
        backbone="resnet50",
        weights="IMAGENET1K_V1",
        classes=list(train),
        images={
            "train": train,
            "validation": dict.fromkeys(train, 300),
            "test": dict.fromkeys(train, 300),
        },
        split_note="",
        unreadable=0,
        parameters=25_610_308,
    )


def stage(name: Stage, first_epoch: int = 0, epochs: int = 10) -> StageStarted:
    return StageStarted(
        t=1.0,
        stage=name,
        first_epoch=first_epoch,
        epochs=epochs,
        learning_rate=1e-3,
        trainable_parameters=2_102_276,
        total_parameters=25_610_308,
    )


def epoch(
    number: int,
    train: float | None = 0.3,
    validation: float | None = 0.4,
    *,
    of: Stage = "frozen",
    confusion: list[list[int]] = CONFUSION,
    seconds: float = 13.0,
) -> EpochEnded:
    return EpochEnded(
        t=2.0 + number,
        stage=of,
        epoch=number,
        train_loss=train,
        validation_loss=validation,
        accuracy=0.9,
        auc=0.95,
        sensitivity=0.9,
        specificity=0.9,
        confusion=confusion,
        learning_rate=1e-3,
        images_per_second=400.0,
        seconds=seconds,
    )


def run(
    train: Sequence[float | None],
    validation: Sequence[float | None] | None = None,
    *,
    begun: RunStarted | None = None,
    controls: Sequence[ControlUsed] = (),
    confusion: list[list[int]] = CONFUSION,
    more: Sequence[Event] = (),
) -> RunRecord:
    """A frozen stage with these losses; validation falls steadily where nothing else is said.

    A control comes before the end of its epoch, as in a journal.
    """
    falling = [0.5 * 0.97**number for number in range(len(train))]
    validation = falling if validation is None else validation
    told: list[Event] = [begun or started(), stage("frozen")]
    best: float | None = None
    for number, (train_loss, validation_loss) in enumerate(zip(train, validation, strict=True)):
        told += [control for control in controls if control.epoch == number]
        told.append(epoch(number, train_loss, validation_loss, confusion=confusion))
        if validation_loss is not None and (best is None or validation_loss < best):
            best = validation_loss
            told.append(Best(stage="frozen", epoch=number, validation_loss=best, accuracy=0.9))
    return RunRecord.of([*told, *more])

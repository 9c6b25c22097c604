"""A run's best weights, loaded to predict with: from the run directory alone, whose images may be gone."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xray_tui import config, metrics
from xray_tui.data.augmentation import Normalisation
from xray_tui.data.decoding import Unreadable
from xray_tui.data.moving import move
from xray_tui.data.pixels import ahead, open_plain
from xray_tui.engine import checkpoints, epoch, hardware, plan, room
from xray_tui.engine import explain as explaining
from xray_tui.engine.batches import Batch
from xray_tui.engine.epoch import Predictions
from xray_tui.engine.evaluation import tempered
from xray_tui.engine.explanation import Explanation
from xray_tui.engine.hardware import Hardware
from xray_tui.engine.times import Times
from xray_tui.errors import UserError
from xray_tui.models.backbones import Backbone
from xray_tui.models.classifier import Classifier
from xray_tui.runs import follow
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.record import RunRecord
from xray_tui.settings import Settings

BATCH_SIZE = 32
"""More is hardly faster on a CPU, and a GPU waits for the decoding of images anyway."""


@dataclass(frozen=True, eq=False)
class Trained:
    run: str
    """Name of the run's directory."""
    settings: Settings
    """As the run kept them; of the hardware it ran on, whatever :attr:`hardware` is."""
    classes: list[str]
    """By name: what a probability's column is of."""
    positive: str
    rule: str
    """By which positive is called, as the setting ``evaluation.operating_point`` has it."""
    threshold: float | None
    """Chosen on validation; ``None`` calls the likeliest class."""
    temperature: float | None
    """Likewise, that logits are divided by; ``None`` where nothing was calibrated."""
    is_settled: bool
    """Whether the run came to choosing them, where its settings want that; an interrupted one did not."""
    epoch: int
    """The best one, whose weights these are."""
    hardware: Hardware
    backbone: Backbone
    """What images must look like: its body is the model's, and trained."""
    model: Classifier
    """In eval mode, channels_last, on the device; takes no gradient."""

    @cached_property
    def normalise(self) -> Normalisation:
        """Grey pixels to what the model takes, on the device."""
        return Normalisation(self.backbone.mean, self.backbone.std, self.hardware.device)


@dataclass(frozen=True, eq=False)
class Prediction:
    path: Path
    predicted: int | None
    """Number of the class that is called; ``None`` where the image could not be read."""
    probabilities: NDArray[np.float32] | None
    """Of each class, calibrated where the run was: (C,); ``None`` likewise."""
    unreadable: str = ""
    """Why there are none; empty where there are."""


def settings_on(device: str, settings: Settings) -> Settings:
    """A run's settings for a device that may be another than the run had.

    Precision is the run's, where that was float32 or the device is fast in bfloat16; all cores are used.

    Args:
        device: as the setting ``hardware.device``.
    """
    precision = "float32" if settings.hardware.precision == "float32" else "auto"
    here = {"hardware.device": device, "hardware.precision": precision, "hardware.threads": 0}
    return config.replace(settings, here)


def load(directory: RunDirectory, device: str = "auto") -> Trained:
    """Load the weights of a run's best epoch; the run may be done, interrupted or live.

    Precision and threads are those of :func:`settings_on`, and torch is told so.

    Args:
        device: as the setting ``hardware.device``.

    Raises:
        UserError: it has no best epoch or no weights, something in the directory cannot be read, or the
            device is not there.
    """
    record = RunRecord.of(follow.read(directory))
    if record.started is None or record.best is None:
        raise UserError(f"{directory.name} has no best epoch", "there are no weights to predict with")
    settings = config.load_kept(directory.config)
    chosen = hardware.choose(settings_on(device, settings).hardware)
    chosen.set_up()
    point = checkpoints.read_operating_point(directory.checkpoints)
    checkpoints.check_best(directory.checkpoints, record.best.epoch)
    checkpoints.check_head(directory.checkpoints, len(record.classes), settings.model.hidden)
    backbone, model = plan.network(settings, len(record.classes), chosen.device, untrained=True)
    checkpoints.load_best(directory.checkpoints, model)
    return Trained(
        run=directory.name,
        settings=settings,
        classes=record.classes,
        positive=record.positive,
        rule=point.rule if point else "likeliest",
        threshold=point.threshold if point else None,
        temperature=point.temperature if point else None,
        is_settled=point is not None or not settings.evaluation.chooses,
        epoch=point.epoch if point else record.best.epoch,
        hardware=chosen,
        backbone=backbone,
        model=model.requires_grad_(False),
    )


def predict(trained: Trained, paths: Iterable[Path], *, batch_size: int = BATCH_SIZE) -> Iterator[Prediction]:
    """What the run's best weights say of images, in their order, in constant memory.

    Images are read as validation was, by several threads ahead of the network; with test-time
    augmentation where the run has it.

    Args:
        paths: of image files; taken as they are needed.
        batch_size: images that run through the network at once.

    Yields:
        One for each path; a file that cannot be read is told there.

    Raises:
        UserError: memory has no room for such a batch, or it is none.
    """
    positive = trained.classes.index(trained.positive)
    for files, found in verdicts(trained, ((path, 0) for path in paths), batch_size):
        called = metrics.predicted_at(found.probabilities, positive, trained.threshold)
        rows = zip(called, found.probabilities, strict=True)
        for path, unreadable in files:
            if unreadable:
                yield Prediction(path, None, None, unreadable)
                continue
            predicted, probabilities = next(rows)
            if np.isfinite(probabilities).all():
                yield Prediction(path, int(predicted), probabilities)
            else:
                yield Prediction(path, None, None, "these weights give no numbers")


def verdicts(
    trained: Trained, files: Iterable[tuple[Path, int]], batch_size: int = BATCH_SIZE
) -> Iterator[tuple[list[tuple[Path, str]], Predictions]]:
    """What :func:`predict` is made from, batch by batch.

    Args:
        files: images and the numbers of their classes, which losses are reckoned with.

    Yields:
        The files of a batch, each with why it cannot be read, which is empty where it can; and the calibrated
        verdict on those that can.

    Raises:
        UserError: as :func:`predict`.
    """
    if batch_size < 1:
        raise UserError(f"--batch-size {batch_size}: a batch has one image or more")
    resize, crop = trained.settings.resize, trained.settings.training.image_size

    def read(file: tuple[Path, int]) -> tuple[Path, int, Tensor | str]:
        path, label = file
        try:
            return path, label, open_plain(path, resize, crop)
        except Unreadable as error:
            return path, label, str(error)

    with closing(ahead(read, files, resize)) as coming:
        while some := list(islice(coming, batch_size)):
            images = [pixels for _, _, pixels in some if isinstance(pixels, Tensor)]
            labels = [label for _, label, pixels in some if isinstance(pixels, Tensor)]
            if images:
                found = judge(trained, torch.stack(images), torch.tensor(labels))
            else:
                nothing = np.zeros((0, len(trained.classes)), np.float32)
                found = Predictions(nothing, nothing[:, 0], np.zeros(0, np.int64))
            yield [(path, pixels if isinstance(pixels, str) else "") for path, _, pixels in some], found


def judge(trained: Trained, images: Tensor, labels: Tensor) -> Predictions:
    """The calibrated verdict on a batch of images.

    Args:
        images: uint8 (N, 1, S, S), as of :func:`pixels.open_plain`, N at least 1.
        labels: int64 (N,).

    Raises:
        UserError: memory has no room for such a batch.
    """
    device, count = trained.hardware.device, len(images)
    labels = move(labels, device)
    views = (False, True) if trained.settings.evaluation.tta == "flip" else (False,)
    seen = []
    try:
        for mirrored in views:
            inputs = trained.normalise(move(images.flip(-1) if mirrored else images, device))
            batch = Batch(inputs, labels, [count], range(count))
            model, times = trained.model, Times()
            verdict = epoch.predict(model, model, [batch], trained.hardware, step=_on, times=times)
            seen.append(verdict)
    except RuntimeError as error:
        if not room.is_shortage(error):
            raise
        raise UserError(
            f"no memory for batches of {count}", f"use --batch-size {max(1, count // 2)}"
        ) from None
    return tempered(epoch.mean_of(seen), trained.temperature)


def explain(trained: Trained, path: Path, target: int) -> Explanation:
    """Grad-CAM: where the best weights look at in an image.

    Args:
        target: the class that is explained, such as :attr:`Prediction.predicted`.

    Raises:
        Unreadable: the file is no image.
        UserError: the weights give no numbers.
    """
    found = explaining.explain
    return found(trained.model, trained.normalise, trained.settings, path, target, epoch=trained.epoch)


def _on(done: int) -> None:
    """Nobody asks anything between two batches."""

"""The recipe: freeze, train the head, load the best, unfreeze, fine-tune, load the best, evaluate.

Read :func:`train` for the whole of it. The engine emits events and obeys controls; it knows no
screen, no file of others, no TensorBoard.
"""

import time
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch.optim import Adam, Optimizer

from xray_tui import metrics
from xray_tui.config import StageSettings
from xray_tui.data.augmentation import Normalisation
from xray_tui.data.pixels import Broken, Pixels
from xray_tui.engine import checkpoints
from xray_tui.engine.batches import Batches
from xray_tui.engine.checkpoints import Position
from xray_tui.engine.controls import Controls, Stop, UnfreezeNow
from xray_tui.engine.epoch import Predictions, body_features, head_histograms, predict, train_epoch
from xray_tui.engine.plan import Plan
from xray_tui.engine.reading import Reader
from xray_tui.engine.reporting import Reporter
from xray_tui.errors import UserError
from xray_tui.events import (
    Best,
    CheckpointSaved,
    Emit,
    EpochEnded,
    Mistake,
    Mistakes,
    Outcome,
    Phase,
    RunEnded,
    Stage,
    StageEnded,
    StageStarted,
    TestEvaluated,
    Warning,
    finite,
)

WORST = 32
"""Mistakes an epoch's event carries, the worst by loss first; ``predictions/`` has them all."""


def train(plan: Plan, folder: Path, run: str, emit: Emit, controls: Controls) -> RunEnded:
    """Run the recipe to its end.

    Args:
        folder: where the checkpoints go.
        run: name of the run, for its first event.

    Returns:
        How it ended, which was also emitted.

    Raises:
        UserError: too many images cannot be read. Emitted as a failed end, then raised.
        Exception: a bug; likewise.
    """
    began = time.monotonic()
    training = plan.settings.training
    recipe = Recipe(plan, folder, emit, controls)
    outcome: Outcome = "failed"
    why = ""
    try:
        torch.set_num_threads(plan.hardware.threads)
        recipe.read_images(run)
        recipe.freeze()
        recipe.fit("frozen", training.frozen)
        recipe.load_best()
        if training.unfreeze == "ask" and training.unfrozen.epochs:
            recipe.wait_for_a_person()
        recipe.unfreeze()
        recipe.fit("unfrozen", training.unfrozen)
        recipe.load_best()
        recipe.evaluate_test()
        outcome, why = "done", "every stage finished"
    except Stop as stop:
        outcome, why = "interrupted", f"stopped by {stop}"
    except UserError as error:
        why = error.message
        raise
    except KeyboardInterrupt:  # a person who would not wait for the batch
        outcome, why = "interrupted", "broken off within a batch"
        raise
    except BaseException as error:
        why = f"{type(error).__name__}: {error}"
        raise
    finally:
        recipe.batches.close()
        ended = RunEnded(
            outcome=outcome, why=why, best_epoch=recipe.best_epoch, seconds=time.monotonic() - began
        )
        emit(ended)
    return ended


class Recipe:
    """The steps of the recipe and what passes between them."""

    def __init__(self, plan: Plan, folder: Path, emit: Emit, controls: Controls) -> None:
        self.plan = plan
        self.folder = folder
        self.emit = emit
        self.model = plan.model
        self.reporter = Reporter(emit, controls)
        self.reader = Reader(plan, self.reporter)
        device = plan.hardware.device
        normalisation = Normalisation(plan.backbone.mean, plan.backbone.std, device)
        self.batches = Batches(plan.settings.training, normalisation, device, plan.hardware.threads)
        self.next_epoch = 0
        self.best_epoch: int | None = None
        self.best_loss = float("inf")
        self._kept_features: tuple[torch.Tensor, torch.Tensor] | None = None

    def read_images(self, run: str) -> None:
        """Fill the pixel cache with train and validation; test stays untouched until the end."""
        self.pixels, self.validation = self.reader.train_and_validation()
        self.emit(self.reader.run_started(run, self.pixels, self.validation))
        self._warn(self.pixels.broken + self.validation.broken)

    def freeze(self) -> None:
        self.model.freeze()

    def unfreeze(self) -> None:
        self.model.unfreeze(keep_statistics=self.plan.settings.training.batchnorm == "keep")
        self._kept_features = None

    def fit(self, stage: Stage, settings: StageSettings) -> None:
        """Train a stage's epochs with an Adam of its own."""
        if not settings.epochs:
            return
        began, first = time.monotonic(), self.next_epoch
        trainable, total = self.model.parameter_counts()
        self.emit(
            StageStarted(
                stage=stage,
                first_epoch=first,
                epochs=settings.epochs,
                learning_rate=settings.learning_rate,
                trainable_parameters=trainable,
                total_parameters=total,
            )
        )
        optimizer = Adam(self.model.trainable_parameters(), lr=settings.learning_rate)
        self._save_last(stage, first, optimizer)
        why = "finished"
        try:
            while self.next_epoch < first + settings.epochs:
                self._run_epoch(stage, self.next_epoch, settings, optimizer)
                self.next_epoch += 1
                self._save_last(stage, first, optimizer)
        except UnfreezeNow:
            why = "unfreeze now"
        self.emit(
            StageEnded(stage=stage, epochs=self.next_epoch - first, why=why, seconds=time.monotonic() - began)
        )

    def load_best(self) -> None:
        """Go back to the best epoch; where there is none, the weights stay."""
        if self.best_epoch is not None:
            checkpoints.load_best(self.folder, self.model)

    def wait_for_a_person(self) -> None:
        self.reporter.wait_for_unfreeze()

    def evaluate_test(self) -> None:
        """Read test, for the first and only time, and evaluate the best epoch on it."""
        if not self.plan.roles.test:
            self._emit_test(None, 0, f"no images play the test role ({self.plan.roles.note})")
            return
        pixels = self.reader.test()
        self._warn(pixels.broken)
        if not len(pixels):
            self._emit_test(None, 0, "none of the test images can be read")
            return
        self._emit_test(self._predict(pixels, "test", None, None), len(pixels), "")

    def _run_epoch(self, stage: Stage, epoch: int, settings: StageSettings, optimizer: Optimizer) -> None:
        began = time.monotonic()
        train_loss = train_epoch(
            self.model,
            self.batches.train(self.pixels, epoch),
            optimizer,
            self.plan.hardware,
            seed=self.plan.settings.training.seed,
            epoch=epoch,
            step=self.reporter.steps("train", len(self.pixels), stage, epoch),
        )
        trained = time.monotonic()
        histograms = head_histograms(self.model.head)
        found = self._predict(self.validation, "validation", stage, epoch)
        scores = metrics.evaluate(found.probabilities, found.losses, found.actual, self.plan.positive)
        self.emit(
            EpochEnded(
                stage=stage,
                epoch=epoch,
                train_loss=train_loss,
                validation_loss=scores.loss,
                accuracy=scores.accuracy,
                auc=scores.auc,
                sensitivity=scores.sensitivity,
                specificity=scores.specificity,
                confusion=scores.confusion,
                learning_rate=settings.learning_rate,
                images_per_second=len(self.pixels) / (trained - began),
                seconds=time.monotonic() - began,
                probabilities=found.probabilities,
                losses=found.losses,
                actual=found.actual,
                histograms=histograms,
            )
        )
        if train_loss is None or scores.loss is None:
            self.emit(
                Warning(
                    kind="not_a_number",
                    message=f"the loss of epoch {epoch} is not a number; a lower learning rate may help",
                )
            )
        if scores.loss is not None and scores.loss < self.best_loss:
            self.best_epoch, self.best_loss = epoch, scores.loss
            self._announce("best", checkpoints.save_best(self.folder, self.model), epoch)
            self.emit(Best(stage=stage, epoch=epoch, validation_loss=scores.loss, accuracy=scores.accuracy))
        self.emit(self._mistakes(stage, epoch, found))

    def _predict(self, pixels: Pixels, phase: Phase, stage: Stage | None, epoch: int | None) -> Predictions:
        kept = self._kept_features if phase == "validation" else None
        if kept is None:
            kept = body_features(
                self.model,
                self.batches.plain(pixels),
                self.plan.hardware,
                step=self.reporter.steps(phase, len(pixels), stage, epoch),
            )
        if phase == "validation" and self.model.frozen:
            self._kept_features = kept
        return predict(self.model, *kept)

    def _mistakes(self, stage: Stage, epoch: int, found: Predictions) -> Mistakes:
        predicted = found.probabilities.argmax(1)
        wrong = np.flatnonzero(predicted != found.actual)
        # A loss that is not a number counts as the worst.
        worst = wrong[np.argsort(-np.nan_to_num(found.losses[wrong], nan=np.inf), kind="stable")][:WORST]
        size = self.plan.settings.training.image_size
        images = [self.validation.images[i][0].numpy() for i in worst]
        return Mistakes(
            stage=stage,
            epoch=epoch,
            total=len(wrong),
            worst=[
                Mistake(
                    path=self.validation.files[i].path,
                    actual=int(found.actual[i]),
                    predicted=int(predicted[i]),
                    probability=finite(found.probabilities[i, predicted[i]]),
                    loss=finite(found.losses[i]),
                )
                for i in worst
            ],
            images=np.stack(images) if images else np.zeros((0, size, size), np.uint8),
        )

    def _save_last(self, stage: Stage, first: int, optimizer: Optimizer) -> None:
        position = Position(
            stage=stage,
            first_epoch=first,
            next_epoch=self.next_epoch,
            best_epoch=self.best_epoch,
            best_loss=finite(self.best_loss),
        )
        path = checkpoints.save_last(self.folder, self.model, optimizer, position)
        self._announce("last", path, self.next_epoch)

    def _announce(self, checkpoint: Literal["best", "last"], path: Path, epoch: int) -> None:
        self.emit(
            CheckpointSaved(
                checkpoint=checkpoint,
                epoch=epoch,
                path=f"{self.folder.name}/{path.name}",
                bytes=path.stat().st_size,
            )
        )

    def _warn(self, broken: list[Broken]) -> None:
        if broken:
            self.emit(self.reader.warning(broken))

    def _emit_test(self, found: Predictions | None, images: int, skipped: str) -> None:
        scores = (
            metrics.evaluate(found.probabilities, found.losses, found.actual, self.plan.positive)
            if found
            else metrics.UNKNOWN
        )
        self.emit(
            TestEvaluated(
                skipped=skipped,
                epoch=self.best_epoch if found else None,
                images=images,
                loss=scores.loss,
                accuracy=scores.accuracy,
                auc=scores.auc,
                sensitivity=scores.sensitivity,
                specificity=scores.specificity,
                confusion=scores.confusion,
            )
        )

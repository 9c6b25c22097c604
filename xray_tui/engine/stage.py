"""A stage while its epochs are trained."""

import math
import time
from dataclasses import dataclass
from typing import Any

from xray_tui.engine.checkpoints import Position
from xray_tui.engine.epoch import TrainPass
from xray_tui.engine.learner import Learner
from xray_tui.events import Stage, finite
from xray_tui.models.classifier import Classifier
from xray_tui.settings import TrainingSettings


@dataclass
class StageUnderWay:
    """A stage, and how far it has come."""

    stage: Stage
    first_epoch: int
    epochs: int
    learner: Learner
    began: float
    """On the monotonic clock, less what earlier processes spent on it."""
    train_pass: TrainPass | None = None
    """Of the epoch under way; ``None`` between two epochs."""
    over: bool = False
    """Whether it was ended before its last epoch."""

    def has_stalled(self, next_epoch: int, best_epoch: int | None, patience: int) -> bool:
        """Whether so many of its epochs have ended without a better one; 0 is a patience without end."""
        before = self.first_epoch - 1
        since = next_epoch - 1 - max(before if best_epoch is None else best_epoch, before)
        return 0 < patience <= since

    def thaw(self, model: Classifier, epoch: int, training: TrainingSettings) -> bool:
        """Let as much of the body learn as is its turn, where its groups join one after the other.

        Returns:
            Whether the frozen part is another from here on.
        """
        number, over = epoch - self.first_epoch, training.gradual
        if self.stage == "frozen" or not over or number > over:
            return False
        lowest = training.unfreeze_from
        if number < over:
            joining = model.groups_from(lowest)
            lowest = joining[-math.ceil(len(joining) * (number + 1) / (over + 1))]
        model.compile_batch = 0  # each of these parts would be compiled anew
        model.unfreeze(keep_statistics=training.batchnorm == "keep", from_group=lowest)
        return True

    def change_rate(self, rate: float, epoch: int, images: int) -> None:
        """From here on, also where all batches of an epoch of so many images are done."""
        self.learner.learning_rate = rate
        self.pace(epoch, (self.train_pass.images if self.train_pass else 0) / images)

    def pace(self, epoch: int, done: float) -> None:
        """Set the learning rates.

        Args:
            done: part of the epoch that has been trained.
        """
        self.learner.pace((epoch - self.first_epoch + done) / self.epochs)

    def position(self, **of_run: Any) -> Position:
        """Where it stands.

        Args:
            of_run: what is not of the stage.
        """
        now, so_far = time.monotonic(), self.train_pass
        return Position(
            stage=self.stage,
            first_epoch=self.first_epoch,
            learning_rate=self.learner.learning_rate,
            over=self.over,
            averaged=self.learner.average.taken if self.learner.average else 0,
            batches=so_far.batches if so_far else 0,
            images=so_far.images if so_far else 0,
            loss_sum=finite(so_far.loss_sum.item()) if so_far else 0.0,
            left_out=int(so_far.left_out) if so_far else 0,
            epoch_seconds=now - so_far.began if so_far else 0.0,
            stage_seconds=now - self.began,
            **of_run,
        )

"""A stage while its epochs are trained."""

import time
from dataclasses import dataclass
from typing import Any

from torch.optim import Adam, Optimizer

from xray_tui.engine.checkpoints import Position
from xray_tui.engine.epoch import TrainPass
from xray_tui.events import Stage, finite
from xray_tui.models.classifier import Classifier


@dataclass
class StageUnderWay:
    """A stage, and how far it has come."""

    stage: Stage
    first_epoch: int
    epochs: int
    optimizer: Optimizer
    began: float
    """On the monotonic clock, less what earlier processes spent on it."""
    train_pass: TrainPass | None = None
    """Of the epoch under way; ``None`` between two epochs."""

    @property
    def learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = value

    def position(self, **of_run: Any) -> Position:
        """Where it stands.

        Args:
            of_run: what is not of the stage.
        """
        now, so_far = time.monotonic(), self.train_pass
        return Position(
            stage=self.stage,
            first_epoch=self.first_epoch,
            learning_rate=self.learning_rate,
            batches=so_far.batches if so_far else 0,
            images=so_far.images if so_far else 0,
            loss_sum=finite(so_far.loss_sum.item()) if so_far else 0.0,
            left_out=int(so_far.left_out) if so_far else 0,
            epoch_seconds=now - so_far.began if so_far else 0.0,
            stage_seconds=now - self.began,
            **of_run,
        )


def optimizer_of(model: Classifier, learning_rate: float) -> Adam:
    """A fresh Adam of what learns now; all parameters are updated in one pass, or none (see `guard`)."""
    return Adam(model.trainable_parameters(), lr=learning_rate, fused=True)

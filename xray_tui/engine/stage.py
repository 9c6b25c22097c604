"""A stage while its epochs are trained."""

from dataclasses import dataclass

from torch.optim import Adam, Optimizer

from xray_tui.engine.epoch import TrainPass
from xray_tui.events import Stage
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


def optimizer_of(model: Classifier, learning_rate: float) -> Adam:
    """A fresh Adam of what learns now; on CPU and GPU all parameters are updated in one pass."""
    parameters = model.trainable_parameters()
    return Adam(parameters, lr=learning_rate, fused=parameters[0].device.type in ("cpu", "cuda"))

"""Where a resumed run stands: its last checkpoint, put back."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from xray_tui.data.pixels import Pixels
from xray_tui.engine import checkpoints, room
from xray_tui.engine.checkpoints import Position
from xray_tui.engine.epoch import TrainPass
from xray_tui.engine.learner import Learner
from xray_tui.engine.plan import Plan
from xray_tui.errors import UserError
from xray_tui.events import Warning
from xray_tui.words import count


@dataclass(frozen=True)
class Standing:
    """The position, and what learns in the stage it is in, as they were when the run was left."""

    position: Position
    learner: Learner
    marks: Tensor | None = None
    """Of the images it was trained on; ``None`` where they were not noted."""

    def train_pass(self, device: torch.device, now: float) -> TrainPass:
        """The epoch that was under way.

        Args:
            now: on the monotonic clock.
        """
        position = self.position
        loss_sum = math.nan if position.loss_sum is None else position.loss_sum
        return TrainPass(
            torch.tensor(loss_sum, dtype=torch.float32, device=device),
            torch.tensor(position.left_out, dtype=torch.int64, device=device),
            now - position.epoch_seconds,
            position.batches,
            position.images,
        )

    def check_readable(self, images: int) -> None:
        """
        Args:
            images: of train and validation, that could be read now.

        Raises:
            UserError: not as many as when the run began: its order of images would be another.
        """
        then = self.position.readable
        if then and images != then:
            raise UserError(
                f"{images} images can be read, but {then} could when the run began",
                "make the same files readable and resume once more",
            )

    def changed(self, train: Pixels, validation: Pixels) -> Warning | None:
        """The images whose pixels are others than when the run was left."""
        now = torch.cat([train.marks, validation.marks])
        if self.marks is None or torch.equal(now, self.marks):
            return None
        files = [*train.files, *validation.files]
        others = [files[number].path for number in (now != self.marks).nonzero().flatten().tolist()]
        return Warning(
            kind="images_changed",
            message=f"{count(len(others))} image{'' if len(others) == 1 else 's'} changed since the run was "
            "left: from here on it is not the same to the bit",
            paths=others,
        )


def put_back(plan: Plan, folder: Path) -> Standing:
    """Put the run's last checkpoint into the plan's model, and its Adam beside it.

    Args:
        folder: of the checkpoints; rank 0 alone looks there.

    Raises:
        UserError: the checkpoint is missing, damaged or of another model, or the data folder holds
            other files than when the run began; or the device has no room.
    """
    world = plan.world
    position = world.tell(checkpoints.read_position(folder) if world.main else None)
    assert position is not None
    if position.files and position.files != plan.digest:
        raise UserError(
            f"{plan.listing.source} holds other images than when the run began: it cannot go on exactly",
            "put the same files back, or start a new run",
        )
    training = plan.settings.training
    if position.stage == "frozen":
        plan.model.freeze()
    else:
        plan.model.unfreeze(keep_statistics=training.batchnorm == "keep", from_group=training.unfreeze_from)
    learner = Learner.of(plan, position.stage, position.learning_rate)
    with room.enough(plan.hardware.device):
        marks = checkpoints.load_last(folder, plan.model, learner, position.averaged, world)
    return Standing(position, learner, marks)

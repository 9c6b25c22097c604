"""Keeps a batch whose loss or gradients are no numbers out of the model, and tells which one it was."""

from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from xray_tui.engine.world import ALONE, World

_LAG = 2
"""Batches that a GPU may be behind the host when it is asked."""


class NotFinite(Exception):
    """The update of a batch was left out, for its loss or gradients were not finite.

    Args:
        batch: its number within the epoch.
        images: the numbers of its images.
    """

    def __init__(self, batch: int, images: Sequence[int]) -> None:
        super().__init__(f"batch {batch}")
        self.batch = batch
        self.images = images


class Guard:
    """Of one pass over train: weights, Adam's moments and BatchNorm's statistics take up numbers only.

    Whether a batch counts is decided on the device, without waiting for it. Adam leaves a step out as it does
    for a gradient scaler (``found_inf``).

    Args:
        model: in the mode of the pass.
        optimizer: a fused Adam.
        world: whose ranks leave a batch out together.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, world: World = ALONE) -> None:
        self._optimizer = optimizer
        self._world = world
        learning = (module for module in model.modules() if module.training)
        self._statistics = [buffer for module in learning for buffer in module.buffers(recurse=False)]
        self._before = [statistic.clone() for statistic in self._statistics]
        self._under_way = False
        self._told: deque[tuple[int, Sequence[int], Tensor, torch.cuda.Event | None]] = deque()

    def begin(self) -> None:
        """Before the forward pass of a batch."""
        for before, statistic in zip(self._before, self._statistics, strict=True):
            before.copy_(statistic)
        self._under_way = True

    def step(self, loss: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
        """Update the weights, or leave them and the statistics as they were.

        Args:
            loss: of the whole batch.
            parameters: with the gradients of the whole batch.

        Returns:
            bool (), on the device: whether the batch is left out.
        """
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        # An image may be so far off that its variance overflows, and the loss does not.
        moved = [statistic for statistic in self._statistics if statistic.is_floating_point()]
        left_out = (loss.detach() + get_total_norm([*gradients, *moved])).isfinite().logical_not()
        left_out = self._world.of_any(left_out)
        self._optimizer.found_inf = left_out.float()  # type: ignore[attr-defined]
        self._optimizer.step()
        for before, statistic in zip(self._before, self._statistics, strict=True):
            statistic.copy_(torch.where(left_out, before, statistic))
        self._under_way = False
        return left_out

    def undo(self) -> None:
        """The batch under way came to nothing: leave the model as it was before."""
        self._optimizer.zero_grad()
        if not self._under_way:
            return
        self._under_way = False
        for before, statistic in zip(self._before, self._statistics, strict=True):
            statistic.copy_(before)
        for parameter, moments in list(self._optimizer.state.items()):
            if "exp_avg_sq" not in moments:  # the memory ended between the first moments and these
                del self._optimizer.state[parameter]

    def tell(self, batch: int, images: Sequence[int], left_out: Tensor) -> None:
        """Look, a few batches late on a GPU, whether one was left out.

        Raises:
            NotFinite: the earliest that was.
        """
        if left_out.is_cuda:
            flag = torch.empty((), dtype=torch.bool, pin_memory=True)
            flag.copy_(left_out, non_blocking=True)
            done = torch.cuda.Event()
            done.record(torch.cuda.current_stream(left_out.device))  # by itself it would ask the first GPU
            self._told.append((batch, images, flag, done))
        else:
            self._told.append((batch, images, left_out, None))
        # As late on every rank, whatever its pace: all of them leave the pass at the same batch.
        self.look(_LAG if left_out.is_cuda else 0)

    def look(self, lag: int = 0) -> None:
        """Look at all but the latest batches; raises as :meth:`tell`."""
        while len(self._told) > lag:
            batch, images, flag, done = self._told.popleft()
            if done is not None:
                done.synchronize()
            if flag:
                raise NotFinite(batch, images)

"""The weights that count may be an average of those that training comes by.

``ema`` follows the weights after every batch (Polyak and Juditsky 1992; the warm-up of the decay is
TensorFlow's). ``swa`` is the plain mean of the weights at the ends of epochs (Izmailov et al. 2018); the
statistics of BatchNorms that learn are then those of none of these weights and are computed anew.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from xray_tui.settings import AveragingSettings


class Average:
    """Of what learns in a model: its parameters that take gradients, and the buffers beside them.

    Args:
        model: as it is when its stage begins.
        settings: of a kind other than ``none``.
    """

    def __init__(self, model: nn.Module, settings: AveragingSettings) -> None:
        self.settings = settings
        self.taken = 0
        """How many weights it is the average of."""
        learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        beside = {name.rpartition(".")[0] for name in learning}
        self._live = {
            name: tensor
            for name, tensor in model.state_dict(keep_vars=True).items()
            if tensor.is_floating_point() and (name in learning or name.rpartition(".")[0] in beside)
        }
        self.tensors = {name: tensor.detach().clone() for name, tensor in self._live.items()}
        """By the name that the model has for them."""
        self._aside: list[Tensor] | None = None
        """The weights that are trained, while the model has these."""

    @torch.no_grad()
    def follow(self) -> None:
        """After a batch."""
        if self.settings.kind == "ema":
            kept = min(self.settings.decay, (1 + self.taken) / (10 + self.taken))
            self._move(1 - kept)

    @torch.no_grad()
    def end_epoch(self, number: int, epochs: int) -> bool:
        """After an epoch; a second time, of a run that was resumed since, it changes nothing.

        Args:
            number: of the epoch in its stage, from 0.
            epochs: that the stage has.

        Returns:
            Whether the statistics of BatchNorms are to be computed anew for what it is now.
        """
        first = math.floor(self.settings.start * epochs)
        if self.settings.kind == "ema" or number < first:
            return False
        if self.taken <= number - first:
            self._move(1 / (self.taken + 1))
        return True

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within, the model has these weights; what its buffers become there is kept with them."""
        live = list(self._live.values())
        with torch.no_grad():
            self._aside = [tensor.detach().clone() for tensor in live]
            for tensor, average in zip(live, self.tensors.values(), strict=True):
                tensor.copy_(average)
            try:
                yield
            finally:
                for tensor, average, old in zip(live, self.tensors.values(), self._aside, strict=True):
                    average.copy_(tensor)
                    tensor.copy_(old)
                self._aside = None

    @contextmanager
    def withdrawn(self) -> Iterator[None]:
        """Within, the model has its own weights for a moment, where these are :meth:`applied`."""
        if self._aside is None:
            yield
            return
        live = [tensor.detach() for tensor in self._live.values()]
        applied = [tensor.clone() for tensor in live]
        torch._foreach_copy_(live, self._aside)
        try:
            yield
        finally:
            torch._foreach_copy_(live, applied)

    @torch.no_grad()
    def put_back(self, tensors: Mapping[str, Tensor], taken: int) -> None:
        """What a checkpoint kept.

        Raises:
            KeyError, RuntimeError: it is of another model.
        """
        self.taken = taken
        for name, average in self.tensors.items():
            average.copy_(tensors[name])

    def _move(self, part: float) -> None:
        self.taken += 1
        torch._foreach_lerp_(
            list(self.tensors.values()), [tensor.detach() for tensor in self._live.values()], part
        )

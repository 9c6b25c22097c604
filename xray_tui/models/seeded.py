"""Dropout that repeats: it draws from generators of its own, seeded by (seed, epoch, step).

PyTorch's layers draw from the process's generator, which Grad-CAM and others share, so a resumed run
would see other masks than the run it continues.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

_FEATURE_DROPOUTS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_UNKNOWN_DROPOUTS = (nn.AlphaDropout, nn.FeatureAlphaDropout)

_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """Layers made within begin with weights drawn from ``seed``; the process's generator is then as before.

    One thread at a time: PyTorch's layers draw from that generator, and the dashboard may build a copy for
    Grad-CAM while a run builds its model. ``torch.manual_seed`` would seed the GPUs' generators as well,
    which the fork does not bring back.
    """
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


class _Seeded(nn.Module):
    """Holds a generator for each device that inputs have lived on, all starting from one seed."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self._seed = 0
        self._generators: dict[torch.device, torch.Generator] = {}

    def reseed(self, seed: int) -> None:
        """Start over. Costs no host sync: a CUDA generator keeps its state on the host."""
        self._seed = seed
        for generator in self._generators.values():
            generator.manual_seed(seed)

    def _noise(self, inputs: Tensor, shape: torch.Size) -> Tensor:
        """Keep-mask over the probability to keep, of the input's dtype and device."""
        generator = self._generators.get(inputs.device)
        if generator is None:
            generator = torch.Generator(inputs.device).manual_seed(self._seed)
            self._generators[inputs.device] = generator
        # empty_like keeps the input's memory format, so that the product walks both alike.
        noise = torch.empty_like(inputs) if shape == inputs.shape else inputs.new_empty(shape)
        keep = 1.0 - self.p
        noise.bernoulli_(keep, generator=generator)
        return noise.div_(keep) if keep > 0.0 else noise

    def __getstate__(self) -> dict[str, Any]:
        """Generators are not copied: a copy (deepcopy, pickle) starts from the seed again."""
        return {**self.__dict__, "_generators": {}}

    def extra_repr(self) -> str:
        return f"p={self.p}"


class SeededDropout(_Seeded):
    """nn.Dropout, or with `features` nn.Dropout2d: zeroes with probability p, scales the rest by 1/(1 - p).

    Args:
        p: probability that a value (or a whole feature) is zeroed.
        features: drop whole features: one draw for each of the first two dimensions (N, C).
    """

    def __init__(self, p: float = 0.5, *, features: bool = False) -> None:
        super().__init__(p)
        self.features = features

    def forward(self, inputs: Tensor) -> Tensor:
        """Any float tensor → one of the same shape and dtype; the input itself in eval mode."""
        if not self.training or self.p == 0.0:
            return inputs
        shape = inputs.shape
        if self.features:
            shape = torch.Size((*shape[:2], *(1 for _ in shape[2:])))
        return inputs * self._noise(inputs, shape)


class SeededStochasticDepth(_Seeded):
    """torchvision's StochasticDepth (Huang et al. 2016): drops a residual branch, for rows or for a batch.

    Args:
        p: probability that a branch is dropped.
        mode: `row` draws for each image, `batch` once for all.
    """

    def __init__(self, p: float, mode: str) -> None:
        super().__init__(p)
        self.mode = mode

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, …) → the same shape and dtype; the input itself in eval mode."""
        if not self.training or self.p == 0.0:
            return inputs
        rows = inputs.shape[0] if self.mode == "row" else 1
        return inputs * self._noise(inputs, torch.Size((rows, *(1 for _ in inputs.shape[1:]))))

    def extra_repr(self) -> str:
        return f"p={self.p}, mode={self.mode}"


def replace_random_layers(module: nn.Module) -> None:
    """Swap every dropout and stochastic depth inside `module` for its seeded likeness, in place.

    Raises:
        TypeError: an alpha dropout is among them, which has no likeness here.
    """
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if (seeded := _likeness(child)) is not None:
                seeded.train(child.training)
                setattr(parent, name, seeded)
    reseed(module, 0, 0, 0)


def reseed(module: nn.Module, seed: int, epoch: int, step: int) -> None:
    """Seed every seeded layer inside `module` from (seed, epoch, step, the layer's number).

    Call before each training step: what a step draws then depends on nothing that ran before it.
    """
    layers = (layer for layer in module.modules() if isinstance(layer, _Seeded))
    for number, layer in enumerate(layers):
        # Hashed, for neighbouring numbers must not give related seeds. Python's hash() of a tuple is no
        # promise between versions.
        digest = hashlib.blake2b(f"{seed} {epoch} {step} {number}".encode(), digest_size=8).digest()
        layer.reseed(int.from_bytes(digest, "big") >> 1)


def _likeness(layer: nn.Module) -> _Seeded | None:
    if isinstance(layer, _UNKNOWN_DROPOUTS):
        raise TypeError(f"{type(layer).__name__} has no seeded likeness")
    if isinstance(layer, nn.Dropout):
        return SeededDropout(layer.p)
    if isinstance(layer, _FEATURE_DROPOUTS):
        return SeededDropout(layer.p, features=True)
    if isinstance(layer, StochasticDepth):
        return SeededStochasticDepth(layer.p, layer.mode)
    return None

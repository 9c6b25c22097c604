"""What training makes small: the loss of a batch, and the targets that it is taken against."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from xray_tui.settings import LossSettings

_MIXES = 2
"""Beside (seed, epoch, batch), so that nothing else draws these numbers."""


class Objective:
    """The recipe's negative log-likelihood, or a cross-entropy with weighted classes or softened targets.

    Args:
        counts: train images of each class.
        mixes: whether the settings' mixup and CutMix apply: with images that a frozen body has turned into
            features long ago, there is nothing to blend.
    """

    def __init__(
        self, settings: LossSettings, counts: Sequence[int], device: torch.device, seed: int, *, mixes: bool
    ) -> None:
        self._settings = settings
        self._classes = len(counts)
        self._seed = seed
        self._mixes = mixes and settings.mixup + settings.cutmix > 0
        self._weights: Tensor | None = None
        if settings.balance == "weights":
            # Of mean 1 over the train images; torch's own would divide each batch by what it happens to hold.
            total = sum(counts)
            weights = [total / (self._classes * count) if count else 0.0 for count in counts]
            self._weights = torch.tensor(weights, device=device)

    def targets(self, inputs: Tensor, labels: Tensor, epoch: int, batch: int) -> tuple[Tensor, Tensor]:
        """The inputs of a batch, mixed where that was asked for, and what they are to be taken for.

        Args:
            inputs: (N, …).
            labels: int64 (N,).

        Returns:
            The inputs, and labels int64 (N,) or probabilities float32 (N, classes).
        """
        settings = self._settings
        if not self._mixes and not settings.label_smoothing:
            return inputs, labels
        wanted = F.one_hot(labels, self._classes).float()
        wanted = wanted * (1 - settings.label_smoothing) + settings.label_smoothing / self._classes
        return self._mixed(inputs, wanted, epoch, batch) if self._mixes and len(inputs) else (inputs, wanted)

    def __call__(self, log_probabilities: Tensor, targets: Tensor, reduction: str) -> Tensor:
        """
        Args:
            log_probabilities: float32 (N, classes).
            reduction: ``mean`` or ``sum`` over the N images.
        """
        if targets.ndim == 1 and self._weights is None:
            return F.nll_loss(log_probabilities, targets, reduction=reduction)
        if targets.ndim == 1:
            losses = F.nll_loss(log_probabilities, targets, self._weights, reduction="none")
        else:
            losses = F.cross_entropy(log_probabilities, targets, self._weights, reduction="none")
        return losses.mean() if reduction == "mean" else losses.sum()

    def _mixed(self, inputs: Tensor, wanted: Tensor, epoch: int, batch: int) -> tuple[Tensor, Tensor]:
        """Each image with the one before it: mixup (Zhang et al. 2018) or CutMix (Yun et al. 2019).

        Where both are on, a coin decides for each batch.
        """
        settings, rng = self._settings, np.random.default_rng((self._seed, epoch, batch, _MIXES))
        cuts = rng.random() < 0.5 if settings.mixup and settings.cutmix else bool(settings.cutmix)
        alpha = settings.cutmix if cuts else settings.mixup
        part = float(rng.beta(alpha, alpha))
        """That an image keeps of itself."""
        others = inputs.roll(1, 0)
        if cuts and inputs.ndim == 4:
            height, width = inputs.shape[2:]
            half = 0.5 * math.sqrt(1 - part)
            y, x = rng.uniform(0, height), rng.uniform(0, width)
            top, bottom = (round(min(max(y + side * half * height, 0), height)) for side in (-1, 1))
            left, right = (round(min(max(x + side * half * width, 0), width)) for side in (-1, 1))
            inputs = inputs.clone()
            inputs[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
            part = 1 - (bottom - top) * (right - left) / (height * width)
        else:
            inputs = inputs * part + others * (1 - part)
        return inputs, wanted * part + wanted.roll(1, 0) * (1 - part)

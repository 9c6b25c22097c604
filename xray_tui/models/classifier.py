"""The network that is trained: a pretrained body, a pool, and the recipe's head."""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from xray_tui.models.backbones import Backbone
from xray_tui.models.folding import Fingerprint, fingerprint, fold_batchnorm
from xray_tui.models.seeded import initial_weights, replace_random_layers


class ConcatPool(nn.Module):
    """Maximum and mean over the pixels, side by side: (N, C, H, W) → (N, 2 C), maxima first.

    The pool of fastai's vision heads (Howard and Gugger 2020). The mean accumulates in float32 and the
    result is float32 (or float64), also under autocast.
    """

    def forward(self, feature_map: Tensor) -> Tensor:
        dtype = torch.promote_types(feature_map.dtype, torch.float32)
        # amax, not AdaptiveMaxPool2d: that one's CUDA gradient adds up in no fixed order.
        maxima = feature_map.amax((2, 3)).to(dtype)
        means = feature_map.mean((2, 3), dtype=dtype)
        return torch.cat((maxima, means), 1)


def make_head(width: int, classes: int, hidden: int = 512, dropout: float = 0.5) -> nn.Sequential:
    """The recipe's head: pooled features float32 (N, 2 · width) → log probabilities (N, classes).

    In training mode a batch needs two images at least: BatchNorm has no variance of one.
    """
    return nn.Sequential(
        nn.Flatten(),
        nn.BatchNorm1d(2 * width),
        nn.Dropout(dropout),
        nn.Linear(2 * width, hidden),
        nn.ReLU(),
        nn.BatchNorm1d(hidden),
        nn.Dropout(dropout),
        nn.Linear(hidden, classes),
        nn.LogSoftmax(1),
    )


class Classifier(nn.Module):
    """Body, pool and head, with a body that can be frozen for good.

    It is built in eval mode and unfrozen. While frozen, the body's parameters take no gradient and the
    body stays in eval mode whatever `train()` is called, so its BatchNorm statistics do not move.

    The body may run under autocast; pool and head compute in float32 always, for log_softmax and NLLLoss
    lose small losses in half precision.

    Args:
        backbone: its body becomes part of this module (it is not copied).
        classes: number of classes, 2 or more.
        hidden: width of the head's hidden layer.
        dropout: probability of both dropouts of the head.
        seed: of the head's initial weights. The process's generators are left as they were.
    """

    def __init__(
        self, backbone: Backbone, classes: int, *, hidden: int = 512, dropout: float = 0.5, seed: int = 0
    ) -> None:
        super().__init__()
        self.frozen = False
        self.keep_statistics = False
        self.body = backbone.body
        self.pool = ConcatPool()
        with initial_weights(seed):
            self.head = make_head(backbone.width, classes, hidden, dropout)
        # In a tuple, for a module would be registered, and saved.
        self._folded: tuple[Fingerprint, nn.Module] | None = None
        replace_random_layers(self)
        self.eval()

    def freeze(self) -> None:
        """Only the head learns from here on."""
        self.frozen = True
        self.body.requires_grad_(False)
        self.body.eval()

    def unfreeze(self, *, keep_statistics: bool = False) -> None:
        """Everything learns from here on.

        Args:
            keep_statistics: the body's BatchNorms learn their scale and shift but go on normalising with
                the statistics the head was trained on. Otherwise they turn to those of each batch, and the
                head meets other features than it knows (see Keras' guide to transfer learning, "important
                notes about the BatchNormalization layer").
        """
        self.frozen = False
        self.keep_statistics = keep_statistics
        self._folded = None
        self.body.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.frozen:
            self.body.eval()
        elif self.keep_statistics:
            for module in self.body.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def feature_map(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W), float32, normalised → the body's feature map (N, width, h, w).

        While frozen it carries no gradient (and, on a CPU, hooks on the body are not called: a copy of it
        with folded BatchNorms runs). Grad-CAM: `requires_grad_()` on the result, then `pool`, `classify`.
        """
        feature_map: Tensor
        if not self.frozen:
            feature_map = self.body(images)
            return feature_map
        if any(module.training for module in self.body.modules()):  # someone called train() on a part of it
            self.body.eval()
        with torch.no_grad():  # not inference_mode: such tensors cannot feed a layer that trains
            feature_map = self._frozen_body(images)(images)
        return feature_map

    def features(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W), float32, normalised → pooled features float32 (N, 2 · width)."""
        pooled: Tensor = self.pool(self.feature_map(images))
        return pooled

    def classify(self, features: Tensor) -> Tensor:
        """Pooled features float32 (N, 2 · width), as of `features` → log probabilities (N, classes)."""
        log_probabilities: Tensor
        device = features.device.type
        if torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                log_probabilities = self.head(features)
        else:  # without the context, which an export would have to carry
            log_probabilities = self.head(features)
        return log_probabilities

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W), float32, normalised → log probabilities float32 (N, classes)."""
        return self.classify(self.features(images))

    def trainable_parameters(self) -> list[nn.Parameter]:
        """What an optimiser is to be given now."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def parameter_counts(self) -> tuple[int, int]:
        """Numbers (not tensors) that learn now, and all."""
        trainable = sum(parameter.numel() for parameter in self.trainable_parameters())
        return trainable, sum(parameter.numel() for parameter in self.parameters())

    def _frozen_body(self, images: Tensor) -> Callable[[Tensor], Tensor]:
        if images.device.type != "cpu" or images.dtype != torch.float32 or torch.compiler.is_compiling():
            return self.body
        now = fingerprint(self.body)  # weights may be loaded while frozen
        if self._folded is None or self._folded[0] != now:
            self._folded = (now, fold_batchnorm(self.body))
        return self._folded[1]

"""The network that is trained: a pretrained body, a pool, and the recipe's head."""

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from xray_tui.models.backbones import Backbone
from xray_tui.models.convolutions import replace_convolutions
from xray_tui.models.folding import Fingerprint, fingerprint, fold_batchnorm
from xray_tui.models.groups import cut, groups, layers
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
    """Body, pool and head, of which the lower part, up to the whole body, can be frozen.

    It is built in eval mode and unfrozen. What is frozen takes no gradient and stays in eval mode whatever
    `train()` is called, so its BatchNorm statistics do not move. What it makes of an image stays the same
    for as long: `fixed` computes it, `learned` goes on from there, and `forward` is both.

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
        # In tuples, for modules would be registered, and saved.
        self._parts: tuple[nn.Module | None, nn.Module] = None, backbone.body
        """Of the body: what is frozen, and what learns; the whole of it once frozen."""
        self.body = backbone.body
        self.channels = backbone.channels
        """Of its images."""
        self.pool = ConcatPool()
        with initial_weights(seed):
            self.head = make_head(backbone.width, classes, hidden, dropout)
        self._folded: tuple[Fingerprint, nn.Module] | None = None
        self._compiled: tuple[Callable[[Tensor], Tensor]] | None = None
        """Of the folded part, for batches of a size."""
        self.compile_batch = 0
        """On a CPU, batches of as many images are run through a compiled copy of the frozen part: others
        would each be compiled for. 0 compiles nothing."""
        replace_random_layers(self)
        replace_convolutions(self.body)
        self.eval()

    @property
    def has_fixed(self) -> bool:
        """Whether a part of the body is frozen."""
        return self._parts[0] is not None

    def freeze(self) -> None:
        """Only the head learns from here on."""
        self.frozen = True
        self._take_parts(self.body, nn.Identity())

    def unfreeze(self, *, keep_statistics: bool = False, from_group: str = "") -> None:
        """Everything learns from here on, or the upper groups of the body do.

        Args:
            keep_statistics: the body's BatchNorms learn their scale and shift but go on normalising with
                the statistics the head was trained on. Otherwise they turn to those of each batch, and the
                head meets other features than it knows (see Keras' guide to transfer learning, "important
                notes about the BatchNormalization layer").
            from_group: the lowest group that learns (see `groups`); empty for all.

        Raises:
            UserError: there is no such group.
        """
        lower, upper = cut(self.body, from_group) if from_group else (None, self.body)
        self.frozen = False
        self.keep_statistics = keep_statistics
        self._take_parts(lower, upper)

    def _take_parts(self, lower: nn.Module | None, upper: nn.Module) -> None:
        self._parts, self._folded = (lower, upper), None
        self.body.requires_grad_(True)
        if lower is not None:
            lower.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        lower, upper = self._parts
        if lower is not None:
            lower.eval()
        if self.keep_statistics:
            for module in upper.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def fixed(self, images: Tensor) -> Tensor:
        """What the frozen part makes of normalised float32 images (N, channels, H, W), without a gradient.

        Returns:
            While the body is frozen, pooled features float32 (N, 2 · width); else the feature map of the
            frozen groups, in the arithmetic's dtype; where all learns, the images themselves.
        """
        lower, _ = self._parts
        if lower is None:
            return images
        feature_map = self._run_frozen(lower, images)
        made: Tensor = self.pool(feature_map) if self.frozen else feature_map
        return made

    def learned(self, inputs: Tensor) -> Tensor:
        """What `fixed` gave → log probabilities float32 (N, classes)."""
        return self.classify(self._pooled(inputs))

    def hidden(self, inputs: Tensor) -> Tensor:
        """What `fixed` gave → what the head's last layer is given of each image, float32 (N, hidden).

        A linear layer is all that comes after: here classes lie apart as far as the head can tell them.
        """
        return self._in_float32(self.head[:-2], self._pooled(inputs))

    def feature_map(self, images: Tensor) -> Tensor:
        """Images (N, channels, H, W), float32, normalised → the body's feature map (N, width, h, w).

        While frozen it carries no gradient (and, on a CPU, hooks on the body are not called: a copy of it
        with folded BatchNorms runs). Grad-CAM: `requires_grad_()` on the result, then `pool`, `classify`.
        """
        lower, upper = self._parts
        feature_map: Tensor = upper(images if lower is None else self._run_frozen(lower, images))
        return feature_map

    def classify(self, features: Tensor) -> Tensor:
        """Pooled features float32 (N, 2 · width), as of `features` → log probabilities (N, classes)."""
        return self._in_float32(self.head, features)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, channels, H, W), float32, normalised → log probabilities float32 (N, classes)."""
        return self.learned(self.fixed(images))

    def groups_from(self, lowest: str) -> list[str]:
        """The groups that learning can begin from, of those from ``lowest`` on (empty: all), upwards."""
        names = groups(self.body)
        return names[names.index(lowest) :] if lowest else names

    def layers(self) -> list[list[nn.Parameter]]:
        """The body's parameters by group, from the input upwards."""
        return layers(self.body)

    def trainable_parameters(self) -> list[nn.Parameter]:
        """What an optimiser is to be given now."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def parameter_counts(self) -> tuple[int, int]:
        """Numbers (not tensors) that learn now, and all."""
        trainable = sum(parameter.numel() for parameter in self.trainable_parameters())
        return trainable, sum(parameter.numel() for parameter in self.parameters())

    def _pooled(self, inputs: Tensor) -> Tensor:
        pooled: Tensor = inputs if self.frozen else self.pool(self._parts[1](inputs))
        return pooled

    def _in_float32(self, layers: nn.Sequential, features: Tensor) -> Tensor:
        made: Tensor
        device = features.device.type
        if torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                made = layers(features)
        else:  # without the context, which an export would have to carry
            made = layers(features)
        return made

    def _run_frozen(self, lower: nn.Module, images: Tensor) -> Tensor:
        if any(module.training for module in lower.modules()):  # someone called train() on a part of it
            lower.eval()
        run: Callable[[Tensor], Tensor] = lower
        if (
            images.device.type == "cpu"
            and images.dtype == torch.float32
            and not torch.compiler.is_compiling()
        ):
            now = fingerprint(lower)  # weights may be loaded while frozen
            if self._folded is None or self._folded[0] != now:
                self._folded, self._compiled = (now, fold_batchnorm(lower, images.shape[1:])), None
            run = self._folded[1]
            if self.compile_batch and len(images) == self.compile_batch:
                if self._compiled is None:
                    # Frozen weights become constants. Worker processes cannot be started under a dashboard.
                    options: dict[str, str | int | bool | Callable[..., Any]] = {
                        "freezing": True,
                        "compile_threads": 1,
                    }
                    self._compiled = (torch.compile(run, dynamic=False, options=options),)
                (run,) = self._compiled
        with torch.no_grad():  # not inference_mode: such tensors cannot feed a layer that trains
            feature_map: Tensor = run(images)
        return feature_map

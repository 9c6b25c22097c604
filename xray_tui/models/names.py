"""The names of the backbones, readable without torch: importing torch takes seconds.

Listed are `efficientnet_lite0`, whose weights come with the installation; every torchvision classifier
that has published `IMAGENET1K_V1` weights and whose body ends in a feature map (N, C, H, W); and the
networks that torchxrayvision trained on radiographs. Of torchvision are left out the ViTs (tokens, no
feature map), MaxViT (its attention windows fit multiples of 224 pixels only) and RegNetY-128GF (no
`IMAGENET1K_V1`). timm's names are its own to tell: over a thousand, which it takes seconds to list.
"""

import difflib
import re
from importlib.util import find_spec

from xray_tui.errors import UserError

OFFLINE = "efficientnet_lite0"
"""The backbone whose ImageNet weights are on the machine already."""

TIMM = "timm:"
"""Before the name of a model of timm's."""

XRV = "torchxrayvision:"
"""Before the name of a network of torchxrayvision's."""

TORCHXRAYVISION: tuple[str, ...] = (
    f"{XRV}densenet121-res224-all",
    f"{XRV}densenet121-res224-chex",
    f"{XRV}densenet121-res224-mimic_ch",
    f"{XRV}densenet121-res224-mimic_nb",
    f"{XRV}densenet121-res224-nih",
    f"{XRV}densenet121-res224-pc",
    f"{XRV}densenet121-res224-rsna",
    f"{XRV}resnet50-res512-all",
)

TORCHVISION: tuple[str, ...] = (
    "alexnet",
    "convnext_base",
    "convnext_large",
    "convnext_small",
    "convnext_tiny",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_s",
    "googlenet",
    "inception_v3",
    "mnasnet0_5",
    "mnasnet0_75",
    "mnasnet1_0",
    "mnasnet1_3",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "regnet_x_16gf",
    "regnet_x_1_6gf",
    "regnet_x_32gf",
    "regnet_x_3_2gf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_x_8gf",
    "regnet_y_16gf",
    "regnet_y_1_6gf",
    "regnet_y_32gf",
    "regnet_y_3_2gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
    "regnet_y_8gf",
    "resnet101",
    "resnet152",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
    "squeezenet1_0",
    "squeezenet1_1",
    "swin_b",
    "swin_s",
    "swin_t",
    "swin_v2_b",
    "swin_v2_s",
    "swin_v2_t",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "wide_resnet101_2",
    "wide_resnet50_2",
)


BACKBONES: tuple[str, ...] = (OFFLINE, *TORCHVISION, *TORCHXRAYVISION)
"""Every backbone but timm's."""

_TIMM_NAME = re.compile(r"timm:[A-Za-z0-9_]+(\.[A-Za-z0-9_.-]+)?")


def check_name(name: str) -> None:
    """Raise UserError, with the nearest names, unless `name` is a backbone.

    Whether timm has a model of that name is not asked here.
    """
    if name in BACKBONES:
        return
    if _TIMM_NAME.fullmatch(name):
        if find_spec("timm") is None:
            raise UserError(f"{name} needs timm, which is not installed.", "pip install 'xray-tui[timm]'")
        return
    near = difflib.get_close_matches(name.lower(), BACKBONES, n=3) or difflib.get_close_matches(
        name.lower().replace("-", "_"), BACKBONES, n=3
    )
    hint = f"Did you mean {' or '.join(near)}?" if near else f"For example: resnet50, densenet121, {OFFLINE}."
    raise UserError(f"There is no backbone “{name}”.", hint)

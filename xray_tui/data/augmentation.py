"""The recipe's transforms, with torchvision v2: what happens to an image on its way to the body.

Every random number comes from a generator seeded by (seed, epoch, image), never from the process's
global one: a resumed run repeats them, and nothing else that draws can disturb them.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from xray_tui.config import AugmentationSettings

_RATIO = (3 / 4, 4 / 3)  # aspect ratios of a random resized crop, torchvision's default


@dataclass(frozen=True)
class Draw:
    """What chance decided for one image in one epoch."""

    top: int
    left: int
    height: int
    width: int
    """The random resized crop, in pixels of the cached image."""
    angle: float
    """Degrees."""
    brightness: float
    contrast: float
    contrast_first: bool
    flip: bool


def draw(settings: AugmentationSettings, size: tuple[int, int], seed: int, epoch: int, image: int) -> Draw:
    """Throw the dice for one image.

    Saturation has no dice: these images are grey, where it changes nothing.

    Args:
        size: (height, width) of the cached image, in pixels.
    """
    rng = np.random.default_rng((seed, epoch, image))
    top, left, height, width = _random_crop(rng, size, settings.scale)
    jitter = settings.jitter
    return Draw(
        top,
        left,
        height,
        width,
        angle=rng.uniform(-settings.rotation, settings.rotation),
        brightness=rng.uniform(max(0.0, 1 - jitter), 1 + jitter),
        contrast=rng.uniform(max(0.0, 1 - jitter), 1 + jitter),
        contrast_first=bool(rng.random() < 0.5),
        flip=bool(rng.random() < settings.flip),
    )


def augment(image: Tensor, chance: Draw, resize: int, crop: int) -> Tensor:
    """One train image: random resized crop, rotation, jitter, flip, centre crop.

    Args:
        image: uint8 (1, H, W), on any device.
        resize: side of the resized crop, in pixels.
        crop: side of the centre crop, in pixels.

    Returns:
        uint8 (1, crop, crop).
    """
    image = F.resized_crop(
        image,
        chance.top,
        chance.left,
        chance.height,
        chance.width,
        [resize, resize],
        InterpolationMode.BILINEAR,
        antialias=True,
    )
    image = F.rotate(image, chance.angle)
    if chance.contrast_first:
        image = F.adjust_brightness(F.adjust_contrast(image, chance.contrast), chance.brightness)
    else:
        image = F.adjust_contrast(F.adjust_brightness(image, chance.brightness), chance.contrast)
    if chance.flip:
        image = F.horizontal_flip(image)
    cropped: Tensor = F.center_crop(image, [crop, crop])
    return cropped


def plain(image: Tensor, resize: int, crop: int) -> Tensor:
    """One validation or test image: resize the short side, centre crop.

    Args:
        image: uint8 (1, H, W).

    Returns:
        uint8 (1, crop, crop).
    """
    cropped: Tensor = F.center_crop(F.resize(image, [resize], antialias=True), [crop, crop])
    return cropped


def normalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Grey pixels to what the body expects.

    Args:
        images: uint8 (N, 1, H, W).

    Returns:
        float32 (N, 3, H, W), channels_last.
    """
    scale = torch.tensor(std, device=images.device).view(1, -1, 1, 1)
    shift = torch.tensor(mean, device=images.device).view(1, -1, 1, 1)
    floats = images.float().div_(255).expand(-1, len(mean), -1, -1)
    return floats.sub(shift).div_(scale).contiguous(memory_format=torch.channels_last)


def denormalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Back to pixels, each channel by its own mean and standard deviation.

    Args:
        images: float (N, 3, H, W), normalised.

    Returns:
        uint8 (N, 3, H, W).
    """
    scale = torch.tensor(std, device=images.device).view(1, -1, 1, 1)
    shift = torch.tensor(mean, device=images.device).view(1, -1, 1, 1)
    return images.mul(scale).add_(shift).mul_(255).round_().clamp_(0, 255).to(torch.uint8)


def _random_crop(
    rng: np.random.Generator, size: tuple[int, int], smallest: float
) -> tuple[int, int, int, int]:
    """(top, left, height, width) of torchvision's RandomResizedCrop: part of the area, then aspect ratio.

    Where ten throws do not fit into the image, the largest centre crop within the ratios is taken.
    """
    height, width = size
    for _ in range(10):
        area = height * width * rng.uniform(smallest, 1.0)
        ratio = math.exp(rng.uniform(math.log(_RATIO[0]), math.log(_RATIO[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    w = min(width, round(height * _RATIO[1]))
    h = min(height, round(width / _RATIO[0]))
    return (height - h) // 2, (width - w) // 2, h, w

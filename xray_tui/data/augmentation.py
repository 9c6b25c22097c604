"""The recipe's transforms, with torchvision v2: what happens to an image on its way to the body.

Every random number comes from a generator seeded by (seed, epoch, image), never from the process's
global one: a resumed run repeats them, and nothing else that draws can disturb them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding, grid_sample
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from xray_tui.data.batched import jittered, resized_crops
from xray_tui.data.letters import Letters, burn, thrown
from xray_tui.data.moving import move
from xray_tui.settings import AugmentationSettings

_RATIO = (3 / 4, 4 / 3)  # aspect ratios of a random resized crop, torchvision's default
_BLUR = (0.1, 2.0)  # pixels, torchvision's default
_ERASED, _ERASED_RATIO = (0.02, 0.33), (0.3, 3.3)  # of the area, and aspect ratios: RandomErasing's defaults


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
    gamma: float = 1.0
    blur: float = 0.0
    """Standard deviation, in pixels of the resized image."""
    noise: float = 0.0
    """Standard deviation, in grey levels."""
    noise_seed: int = 0
    erased: tuple[float, float, float, float] | None = None
    """(top, left, height, width), as parts of the crop's side."""
    grey: int = 0
    """That the rectangle is filled with."""
    letters: tuple[Letters, ...] = ()


def draw(settings: AugmentationSettings, size: tuple[int, int], seed: int, epoch: int, image: int) -> Draw:
    """Throw the dice for one image.

    Saturation has no dice: these images are grey, where it changes nothing.

    Args:
        size: (height, width) of the cached image, in pixels.
    """
    rng = np.random.default_rng((seed, epoch, image))
    box = _random_crop(rng, size, settings.scale)
    jitter = settings.jitter
    # In this order: what the recipe throws comes first, so that its images do not depend on the rest. An
    # image costs a GPU less than its dice cost the host, so nothing is thrown that is not looked at.
    published = Draw(
        *box,
        angle=rng.uniform(-settings.rotation, settings.rotation),
        brightness=rng.uniform(max(0.0, 1 - jitter), 1 + jitter),
        contrast=rng.uniform(max(0.0, 1 - jitter), 1 + jitter),
        contrast_first=bool(rng.random() < 0.5),
        flip=bool(rng.random() < settings.flip),
    )
    if not (settings.gamma or settings.blur or settings.noise or settings.erase or settings.letters):
        return published
    blurs, noise, erases = rng.random() < settings.blur, rng.random() * settings.noise, rng.random()
    strong = replace(
        published,
        gamma=math.exp(rng.uniform(-settings.gamma, settings.gamma)),
        blur=rng.uniform(*_BLUR) if blurs else 0.0,
        noise=255 * noise,
        noise_seed=int(rng.integers(1 << 62)),
        erased=_rectangle(rng) if erases < settings.erase else None,
        grey=int(rng.integers(256)),
    )
    return replace(strong, letters=thrown(rng)) if rng.random() < settings.letters else strong


def augment(images: Sequence[Tensor], chances: Sequence[Draw], resize: int, crop: int) -> Tensor:
    """Train images: random resized crop, rotation, gamma, jitter, blur, noise, flip, centre crop, letters,
    erasing.

    On a GPU nothing here waits for it: what chance drew is known to the host, and nothing is read back.

    Args:
        images: uint8 (1, H, W) each, of any sizes, on one device.
        chances: a draw for each.
        resize: side of the resized crop, in pixels.
        crop: side of the centre crop, in pixels.

    Returns:
        uint8 (N, 1, crop, crop), on that device.
    """
    boxes = [(c.top, c.left, c.height, c.width) for c in chances]
    angles = [c.angle for c in chances]
    if images[0].is_cuda:
        return _finish_together(rotate(resized_crops(images, boxes, resize), angles), chances, crop)
    square = [resize, resize]
    cropped = [
        F.resized_crop(image, *box, square, InterpolationMode.BILINEAR, antialias=True)
        for image, box in zip(images, boxes, strict=True)
    ]
    turned = rotate(torch.stack(cropped), angles)
    return torch.stack([_finish(image, c, crop) for image, c in zip(turned, chances, strict=True)])


def rotate(images: Tensor, angles: Sequence[float]) -> Tensor:
    """Turn each image counter-clockwise about its centre by its own angle; black comes in at the corners.

    The nearest pixel is taken, as torchvision's RandomRotation does. Its own function would turn a whole
    batch by one angle, or copy an angle to the GPU for every image and wait each time.

    Args:
        images: uint8 (N, 1, S, S).
        angles: in degrees.
    """
    radians = move(torch.tensor(angles).deg2rad(), images.device)
    side = images.shape[-1]
    # The grid of affine_grid, which multiplies matrices for it and takes five times as long as the rest.
    places = (torch.arange(side, device=images.device) * 2 + 1 - side) / side
    cos, sin = radians.cos()[:, None] * places, radians.sin()[:, None] * places
    grid = torch.empty(len(images), side, side, 2, device=images.device)
    torch.sub(cos[:, None, :], sin[:, :, None], out=grid[..., 0])
    torch.add(sin[:, None, :], cos[:, :, None], out=grid[..., 1])
    return grid_sample(images.float(), grid, mode="nearest", align_corners=False).to(torch.uint8)


def plain(image: Tensor, resize: int, crop: int) -> Tensor:
    """One validation or test image: resize the short side, centre crop.

    Args:
        image: uint8 (1, H, W).

    Returns:
        uint8 (1, crop, crop).
    """
    cropped: Tensor = F.center_crop(F.resize(image, [resize], antialias=True), [crop, crop])
    return cropped


class Normalisation:
    """What the body expects of pixels, and the way back; each channel by its own mean and deviation.

    Args:
        mean, std: of pixels in 0 to 1, per channel.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        # On the device from the start: a copy from the host for every batch would wait for it.
        self._mean = torch.tensor(mean, device=device).view(1, -1, 1, 1)
        self._std = torch.tensor(std, device=device).view(1, -1, 1, 1)
        grey = torch.arange(256, device=device).view(1, 1, 256, 1).float() / 255
        self._values = ((grey - self._mean) / self._std)[0, :, :, 0].t().contiguous()
        """float32 (256, C): a pixel's channels by its grey; looked up, they lie as wanted at once."""

    def __call__(self, images: Tensor) -> Tensor:
        """Grey uint8 (N, 1, H, W) to float32 (N, C, H, W), channels_last."""
        return embedding(images[:, 0].int(), self._values).permute(0, 3, 1, 2)

    def inverse(self, images: Tensor) -> Tensor:
        """Float (N, C, H, W) back to uint8 (N, C, H, W)."""
        return images.mul(self._std).add_(self._mean).mul_(255).round_().clamp_(0, 255).to(torch.uint8)


def _finish(image: Tensor, chance: Draw, crop: int) -> Tensor:
    image = _bent(image, chance)
    if chance.contrast_first:
        image = F.adjust_brightness(F.adjust_contrast(image, chance.contrast), chance.brightness)
    else:
        image = F.adjust_contrast(F.adjust_brightness(image, chance.brightness), chance.contrast)
    image = _grained(image, chance)
    if chance.flip:
        image = F.horizontal_flip(image)
    return _marked(F.center_crop(image, [crop, crop]), chance, crop)


def _finish_together(images: Tensor, chances: Sequence[Draw], crop: int) -> Tensor:
    """What few images have, or none, is done to those by themselves."""
    images = _where(lambda c: c.gamma != 1, _bent, images, chances)
    images = jittered(
        images,
        [c.brightness for c in chances],
        [c.contrast for c in chances],
        [c.contrast_first for c in chances],
    )
    images = _where(lambda c: bool(c.blur or c.noise), _grained, images, chances)
    flips = move(torch.tensor([c.flip for c in chances]), images.device)
    images = F.center_crop(torch.where(flips[:, None, None, None], images.flip(-1), images), [crop, crop])
    return _where(lambda c: bool(c.letters or c.erased), partial(_marked, crop=crop), images, chances)


def _where(
    wanted: Callable[[Draw], bool],
    change: Callable[[Tensor, Draw], Tensor],
    images: Tensor,
    chances: Sequence[Draw],
) -> Tensor:
    """The images, those changed that chance wants to be."""
    if not any(map(wanted, chances)):
        return images
    pairs = zip(images, chances, strict=True)
    return torch.stack([change(image, c) if wanted(c) else image for image, c in pairs])


def _bent(image: Tensor, chance: Draw) -> Tensor:
    return F.adjust_gamma(image, chance.gamma) if chance.gamma != 1 else image


def _grained(image: Tensor, chance: Draw) -> Tensor:
    if chance.blur:
        side = 2 * math.ceil(2 * chance.blur) + 1  # beyond two deviations there is next to nothing
        image = F.gaussian_blur(image, [side, side], [chance.blur, chance.blur])
    if chance.noise:
        generator = torch.Generator(image.device).manual_seed(chance.noise_seed)
        noise = torch.empty(image.shape, device=image.device).normal_(0, chance.noise, generator=generator)
        image = noise.add_(image).round_().clamp_(0, 255).to(torch.uint8)
    return image


def _marked(image: Tensor, chance: Draw, crop: int) -> Tensor:
    if chance.letters:
        image = burn(image.clone(), chance.letters, mirrored=chance.flip)
    if chance.erased:
        top, left, height, width = (round(part * crop) for part in chance.erased)
        image = image.clone()
        image[:, top : top + height, left : left + width] = chance.grey
    return image


def _random_crop(
    rng: np.random.Generator, size: tuple[int, int], smallest: float
) -> tuple[int, int, int, int]:
    """(top, left, height, width) of torchvision's RandomResizedCrop: part of the area, then aspect ratio.

    Where ten throws do not fit into the image, the largest centre crop within the ratios is taken.
    """
    height, width = size
    narrowest, widest = (math.log(ratio) for ratio in _RATIO)
    for _ in range(10):
        # As rng.uniform, which takes twice the time.
        area = height * width * (smallest + (1.0 - smallest) * rng.random())
        ratio = math.exp(narrowest + (widest - narrowest) * rng.random())
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    w = min(width, round(height * _RATIO[1]))
    h = min(height, round(width / _RATIO[0]))
    return (height - h) // 2, (width - w) // 2, h, w


def _rectangle(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """(top, left, height, width) of torchvision's RandomErasing, as parts of a square's side."""
    while True:
        area = rng.uniform(*_ERASED)
        ratio = math.exp(rng.uniform(math.log(_ERASED_RATIO[0]), math.log(_ERASED_RATIO[1])))
        height, width = math.sqrt(area * ratio), math.sqrt(area / ratio)
        if height < 1 and width < 1:
            return rng.random() * (1 - height), rng.random() * (1 - width), height, width

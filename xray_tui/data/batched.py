"""Steps of the augmentation on a whole batch at once, each image by its own numbers: for a GPU.

There an image by itself is two dozen launches that the host has to make, of work that takes no time. What
comes out is what torchvision's functions make of each image, but for the rounding of a grey level.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from xray_tui.data.moving import move

_MOST_PIXELS = 2**26
"""Of images that are cropped together: 256 MB in float32, of which there are a few at a time."""

Box = tuple[int, int, int, int]
"""Top, left, height and width, in pixels."""


def resized_crops(images: Sequence[Tensor], boxes: Sequence[Box], side: int) -> Tensor:
    """A part of each image, resized to a square: bilinear, antialiased where it shrinks.

    Resizing adds up each row's neighbours by weights, then each column's: two products with matrices.

    Args:
        images: uint8 (1, H, W) each, of any sizes, on one device.
        boxes: of the parts.
        side: in pixels.

    Returns:
        uint8 (N, 1, side, side).
    """
    made = [_together(images[at], boxes[at], side) for at in _shares(boxes)]
    return torch.cat(made) if len(made) > 1 else made[0]


def jittered(
    images: Tensor, brightness: Sequence[float], contrast: Sequence[float], contrast_first: Sequence[bool]
) -> Tensor:
    """Brightness and contrast, in either order.

    Args:
        images: uint8 (N, 1, H, W).
        brightness: what greys are multiplied by.
        contrast: what their distance from the image's mean is multiplied by.
        contrast_first: whether the brightness comes second.
    """
    factors = move(torch.tensor([brightness, contrast, contrast_first]), images.device)
    bright, contrasting, first = factors.view(3, -1, 1, 1, 1).unbind()
    for contrasts in (first.bool(), first.logical_not()):
        factor = torch.where(contrasts, contrasting, bright)
        means = images.mean((1, 2, 3), dtype=torch.float32, keepdim=True)
        fixed = torch.where(contrasts, means * (1 - contrasting), 0.0)
        images = (images * factor).add_(fixed).clamp_(0, 255).to(torch.uint8)
    return images


def _shares(boxes: Sequence[Box]) -> Iterator[slice]:
    """Neighbours that have room together: a batch is one share, unless an image has a side like no other."""
    start, rows, columns = 0, 1, 1
    for at, (_, _, height, width) in enumerate(boxes):
        rows, columns = max(rows, height), max(columns, width)
        if at > start and (at + 1 - start) * rows * columns > _MOST_PIXELS:
            yield slice(start, at)
            start, rows, columns = at, height, width
    yield slice(start, len(boxes))


def _together(images: Sequence[Tensor], boxes: Sequence[Box], side: int) -> Tensor:
    device = images[0].device
    top, left, height, width = np.array(boxes, np.int64).T
    rows, columns = int(height.max()), int(width.max())
    row_bytes = np.array([image.shape[2] for image in images], np.int64)
    begins = np.cumsum([0, *(image.numel() for image in images[:-1])])
    # Of each part as many rows as the tallest has, and of each row as many pixels as the widest has. What is
    # too much counts nothing: the last row again, and whatever comes after a row.
    down = top[:, None] + np.minimum(np.arange(rows), height[:, None] - 1)
    starts = move(torch.from_numpy(begins[:, None] + down * row_bytes[:, None] + left[:, None]), device)
    flat = torch.cat([*(image.flatten() for image in images), images[0].new_zeros(columns)])
    parts = flat.unfold(0, columns, 1)[starts].float()
    heights, widths = move(torch.tensor(np.stack([height, width]), dtype=torch.float32), device)
    resized = _weights(heights, rows, side) @ parts @ _weights(widths, columns, side).mT
    return resized.round_().to(torch.uint8)[:, None]


def _weights(lengths: Tensor, longest: int, side: int) -> Tensor:
    """How much each pixel of a row or column counts in each pixel of the resized one.

    A triangle about the place that it comes from, which is as wide as two pixels of the larger kind: that of
    `torch.nn.functional.interpolate` with ``antialias``.

    Args:
        lengths: of the rows or columns, float32 (N,).
        longest: pixels of those.

    Returns:
        float32 (N, side, longest)
    """
    device = lengths.device
    scale = (lengths / side)[:, None, None]
    centre = (torch.arange(side, device=device)[:, None] + 0.5) * scale
    pixel = torch.arange(longest, device=device) + 0.5
    weights = (1 - (pixel - centre).abs() / scale.clamp(min=1)).clamp_(min=0)
    weights *= pixel < lengths[:, None, None]
    return weights / weights.sum(-1, keepdim=True)

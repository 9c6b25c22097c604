"""Steps of the augmentation on a whole batch at once, each image by its own numbers: for a GPU.

There an image by itself is two dozen launches that the host has to make, of work that takes no time. What
comes out is what torchvision's functions make of each image, but for the rounding of a grey level.
"""

from collections.abc import Iterator, Sequence

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
    one = _brightened(_contrasted(images, contrasting), bright)
    other = _contrasted(_brightened(images, bright), contrasting)
    return torch.where(first.bool(), one, other)


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
    rows, columns = max(box[2] for box in boxes), max(box[3] for box in boxes)
    padded = images[0].new_zeros(len(images), rows, columns)
    for place, image, (top, left, height, width) in zip(padded, images, boxes, strict=True):
        place[:height, :width] = image[0, top : top + height, left : left + width]
    heights, widths = move(torch.tensor([box[2:] for box in boxes]).t().float(), padded.device)
    resized = _weights(heights, rows, side) @ padded.float() @ _weights(widths, columns, side).mT
    return resized.round_().clamp_(0, 255).to(torch.uint8)[:, None]


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


def _brightened(images: Tensor, factors: Tensor) -> Tensor:
    return (images * factors).clamp_(0, 255).to(torch.uint8)


def _contrasted(images: Tensor, factors: Tensor) -> Tensor:
    means = images.mean((1, 2, 3), dtype=torch.float32, keepdim=True)
    return (images * factors).add_(means * (1 - factors)).clamp_(0, 255).to(torch.uint8)

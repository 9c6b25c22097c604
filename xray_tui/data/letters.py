"""Letters as devices burn them into a radiograph: the side, the projection, a time, kilovolts.

Where one device made the images of one class, its letters tell the class, and a network reads them instead of
the lungs (Zech et al. 2018; DeGrave, Janizek & Lee 2021). Letters on images of any class tell nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from xray_tui.data.moving import move

_MOST = 3
"""Texts on an image."""
_HEIGHT = (0.03, 0.12)
"""Of a text, as part of the image's side."""
_MARGIN = 0.25
"""How far from a side of the image its middle may be, likewise."""
_GREY = (160, 256)
_LEAST_PX = 6


@dataclass(frozen=True)
class Letters:
    """One text on an image; places and sizes are parts of the image's side."""

    text: str
    height: float
    down: float
    right: float
    """Where its middle is."""
    grey: int
    on_black: bool
    """Whether what was around the letters is gone."""


def thrown(rng: np.random.Generator) -> tuple[Letters, ...]:
    """One text to three, each near a side of the image."""
    return tuple(_text(rng) for _ in range(int(rng.integers(1, _MOST + 1))))


def burn(image: Tensor, texts: tuple[Letters, ...], *, mirrored: bool = False) -> Tensor:
    """The image with its letters; it may itself be changed.

    Args:
        image: uint8 (1, S, S).
        mirrored: with the image, which is mirrored already.
    """
    side = image.shape[-1]
    for letters in texts:
        shape = glyphs(letters.text, max(_LEAST_PX, round(letters.height * side)))
        height, width = (min(side, length) for length in shape.shape)
        top = min(max(0, round(letters.down * side - height / 2)), side - height)
        left = min(max(0, round(letters.right * side - width / 2)), side - width)
        if mirrored:
            shape, left = shape.flip(-1), side - left - width
        ink = move(shape[:height, :width], image.device)
        place = image[0, top : top + height, left : left + width]
        under = torch.zeros_like(place) if letters.on_black else place
        place.copy_(torch.where(ink, letters.grey, under))
    return image


@lru_cache(maxsize=1024)
def glyphs(text: str, height: int) -> Tensor:
    """Where the ink is: bool (H, W), H some three quarters of the height of a line."""
    font = ImageFont.load_default(height)
    left, top, right, bottom = font.getbbox(text)
    canvas = Image.new("L", (max(1, int(right - left)), max(1, int(bottom - top))))
    ImageDraw.Draw(canvas).text((-left, -top), text, fill=255, font=font)
    return torch.from_numpy(np.array(canvas)) > 127


def _text(rng: np.random.Generator) -> Letters:
    near, along = rng.uniform(0, _MARGIN), rng.random()
    near = 1 - near if rng.random() < 0.5 else near
    down, right = (near, along) if rng.random() < 0.5 else (along, near)
    return Letters(
        text=str(rng.choice(list(_words(rng)))),
        height=rng.uniform(*_HEIGHT),
        down=down,
        right=right,
        grey=int(rng.integers(*_GREY)),
        on_black=bool(rng.random() < 0.5),
    )


def _words(rng: np.random.Generator) -> Iterator[str]:
    yield from ("R", "R", "L", "L", "AP", "PA")
    hour, minute, second = rng.integers(24), rng.integers(60), rng.integers(60)
    yield f"{hour:02}:{minute:02}:{second:02}"
    yield f"KV{rng.integers(50, 100)}"

"""An image as half blocks: two pixels a cell, drawn in a quarter of the time textual-image takes."""

import sys
from functools import lru_cache
from typing import Any

from PIL import Image
from rich.color import Color
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

_UPPER_HALF = "▀"


class HalfBlocks(Widget):
    """Takes the place of textual-image's widget of half blocks, whose every page would miss a frame.

    An image that is as many pixels wide as the widget has cells, and twice as many high as it has
    rows, is shown as it is; others are scaled to that.
    """

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._image: Image.Image | None = None
        self._strips: list[Strip] = []
        self._drawn: tuple[int, int] | None = None
        """The size in cells that the strips are for."""

    @property
    def image(self) -> Image.Image | None:
        return self._image

    @image.setter
    def image(self, image: Image.Image | None) -> None:
        self._image = image
        self._drawn = None
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width, height = self.content_size
        if self._image is None or not width or not height:
            return Strip.blank(width, self.rich_style)
        if self._drawn != (width, height):
            self._strips, self._drawn = half_blocks(self._image, width, height), (width, height)
        return self._strips[y] if y < height else Strip.blank(width, self.rich_style)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        return self._image.width if self._image else 0

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return -(-self._image.height // 2) if self._image else 0


def half_blocks(image: Image.Image, width: int, height: int) -> list[Strip]:
    """The image in ``height`` rows of ``width`` cells."""
    image = image.convert("RGB")
    if image.size != (width, 2 * height):
        image = image.resize((width, 2 * height))
    pixels = memoryview(image.convert("RGBX").tobytes()).cast("I").tolist()
    rows = [pixels[start : start + width] for start in range(0, len(pixels), width)]
    return [
        Strip(map(_cell, upper, lower), width) for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]


# Radiographs are grey: there are 65,536 pairs of greys, and colours seldom. Making a cell costs ten
# times what drawing it again does.
@lru_cache(maxsize=1 << 16)
def _cell(upper: int, lower: int) -> Segment:
    """Two pixels, each four bytes as they lie in memory."""
    return Segment(_UPPER_HALF, Style.from_color(_colour(upper), _colour(lower)))


@lru_cache(maxsize=1 << 12)
def _colour(pixel: int) -> Color:
    red, green, blue, _ = pixel.to_bytes(4, sys.byteorder)
    return Color.from_triplet(ColorTriplet(red, green, blue))

"""A raster of cells to draw on: characters, and lines of braille dots, two by four to a cell."""

from functools import lru_cache

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

DOTS_ACROSS, DOTS_DOWN = 2, 4

_BRAILLE = 0x2800
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Of a cell's dots, by row and column; the order is Unicode's."""
_RUNS = [
    [[sum(row[across] for row in _BITS[first : last + 1]) for last in range(4)] for first in range(4)]
    for across in range(2)
]
"""Of several dots below each other, by column, first and last row."""


class Raster:
    """Cells from the top left. What lies outside is left out.

    Lines of dots share the cells where they meet, in the colour of the later one; a faint line
    gives its cells up to any other.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._characters = [[" "] * width for _ in range(height)]
        self._colours: list[list[str]] = [[""] * width for _ in range(height)]
        self._dots = [[0] * width for _ in range(height)]
        self._faint = [[False] * width for _ in range(height)]

    def put(self, x: int, y: int, character: str, colour: str) -> None:
        """A character of one cell; it covers what was there."""
        if 0 <= x < self.width and 0 <= y < self.height:
            self._characters[y][x], self._colours[y][x], self._dots[y][x] = character, colour, 0

    def write(self, x: int, y: int, words: str, colour: str) -> None:
        for place, character in enumerate(words):
            self.put(x + place, y, character, colour)

    def paste(self, other: "Raster", x: int, y: int) -> None:
        """Another raster's cells, its top left there; they cover what was there."""
        for row, (characters, colours) in enumerate(zip(other._characters, other._colours, strict=True)):
            for column, (character, colour) in enumerate(zip(characters, colours, strict=True)):
                self.put(x + column, y + row, character, colour)

    def line(self, x: int, y: int, to_x: int, to_y: int, colour: str, *, faint: bool = False) -> None:
        """A line between two dots, both drawn (Bresenham)."""
        across, down = abs(to_x - x), -abs(to_y - y)
        step_x, step_y = (1 if x < to_x else -1), (1 if y < to_y else -1)
        error = across + down
        while True:
            self._dot(x, y, colour, faint)
            if x == to_x and y == to_y:
                return
            twice = 2 * error
            if twice >= down:
                error += down
                x += step_x
            if twice <= across:
                error += across
                y += step_y

    def upright(self, x: int, top: int, bottom: int, colour: str, *, faint: bool = False) -> None:
        """A line of dots straight down."""
        column, across = divmod(x, DOTS_ACROSS)
        for row in range(top // DOTS_DOWN, bottom // DOTS_DOWN + 1):
            first, last = max(0, top - row * DOTS_DOWN), min(DOTS_DOWN - 1, bottom - row * DOTS_DOWN)
            self._add(column, row, _RUNS[across][first][last], colour, faint)

    def _dot(self, x: int, y: int, colour: str, faint: bool) -> None:
        self._add(x // DOTS_ACROSS, y // DOTS_DOWN, _BITS[y % DOTS_DOWN][x % DOTS_ACROSS], colour, faint)

    def _add(self, column: int, row: int, bits: int, colour: str, faint: bool) -> None:
        """Dots to a cell, as Unicode numbers them."""
        if not (0 <= column < self.width and 0 <= row < self.height):
            return
        dots = self._dots[row]
        if dots[column] and faint and not self._faint[row][column]:
            return
        if dots[column] == 0 or (self._faint[row][column] and not faint):
            dots[column] = 0
            self._faint[row][column] = faint
        dots[column] |= bits
        self._characters[row][column] = chr(_BRAILLE + dots[column])
        self._colours[row][column] = colour

    def rows(self, base: Style) -> list[list[Segment]]:
        """From the top. Every segment has a style: the toolkit's NO_COLOR filter needs one."""
        return [
            _segments(characters, colours, base)
            for characters, colours in zip(self._characters, self._colours, strict=True)
        ]


def _segments(characters: list[str], colours: list[str], base: Style) -> list[Segment]:
    """Neighbours of one colour in one piece: fewer bytes for the terminal."""
    segments: list[Segment] = []
    start = 0
    for end in range(1, len(characters) + 1):
        if end == len(characters) or colours[end] != colours[start]:
            words = "".join(characters[start:end])
            segments.append(Segment(words, base + _style(colours[start]) if colours[start] else base))
            start = end
    return segments


@lru_cache(maxsize=256)
def _style(colour: str) -> Style:
    return Style.from_color(Color.parse(colour))

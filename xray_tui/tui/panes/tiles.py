"""Small pictures of radiographs, side by side in one image a row: many widgets would each cost a frame."""

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from PIL import Image

LABEL_ROWS, _GAP_ROWS = 2, 1
_LEAST_CELLS, _MOST_CELLS, _TINY_CELLS = 16, 24, 6
_MOST_GAP = 4
_MOST_TILES, MOST_ROWS = 24, 6
_KEPT_BYTES = 24_000_000
HALF_BLOCKS = 1, 2
"""The pixels of a cell that is drawn as half blocks."""
_COARSE = [value & 0xFC | value >> 6 for value in range(256)] * 3
"""64 levels: nobody sees that, and a page needs a third of the different cells, which is what costs."""


class Grid(NamedTuple):
    """Where the tiles of a page lie, in cells."""

    columns: int
    rows: int
    width: int
    """Of a tile's picture."""
    height: int
    pitch: int
    """From one tile's left edge to the next one's."""
    row_height: int
    """From one row's top to the next one's, labels included."""

    @property
    def tiles(self) -> int:
        """On a page."""
        return self.columns * self.rows

    @property
    def span(self) -> int:
        """Width of a row of tiles."""
        return (self.columns - 1) * self.pitch + self.width


def lay_out(width: int, height: int, cell_aspect: float, wanted: int) -> Grid:
    """The grid of square tiles that fills a pane best; where few are wanted, they are larger.

    Args:
        width: of the pane, in cells; ``height`` likewise.
        cell_aspect: how many times as high as wide a cell is.
        wanted: tiles there are to show.
    """
    grids = list(_grids(width, height, cell_aspect, _MOST_CELLS))
    if not grids:  # no room for a small tile: one that is cut
        return Grid(1, 1, max(1, width), max(1, height - LABEL_ROWS), max(1, width), max(1, height))
    usual = [grid for grid in grids if grid.width >= _LEAST_CELLS] or grids
    best = max(usual, key=lambda grid: (grid.tiles * grid.width * grid.height, grid.tiles))
    if wanted < best.tiles:
        enough = [grid for grid in _grids(width, height, cell_aspect, width) if grid.tiles >= wanted]
        best = max([best, *enough], key=lambda grid: (grid.width, -grid.tiles))
    return best


def _grids(width: int, height: int, cell_aspect: float, most: int) -> Iterator[Grid]:
    """All grids that fit, of tiles at most that many cells wide."""
    for rows in range(1, MOST_ROWS + 1):
        room = (height + _GAP_ROWS) // rows
        high = room - _GAP_ROWS - LABEL_ROWS
        for columns in range(1, _MOST_TILES // rows + 1):
            pitch = (width + 1) // columns
            wide = min(most, pitch - 1, math.floor(high * cell_aspect))
            if wide >= _TINY_CELLS:
                tall = max(1, min(high, round(wide / cell_aspect)))
                row_height = min(room, tall + LABEL_ROWS + 2 * _GAP_ROWS)
                yield Grid(columns, rows, wide, tall, min(pitch, wide + _MOST_GAP), row_height)


class Tiles:
    """The small pictures made last, kept. May be used by several threads."""

    def __init__(self, read: Callable[[str], Image.Image]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int, int], Image.Image | None] = OrderedDict()

    def forget(self) -> None:
        with self._lock:
            self._kept.clear()

    def tile(self, path: str, width: int, height: int) -> Image.Image | None:
        """The radiograph fitted into so many pixels; ``None`` where it cannot be read."""
        key = path, width, height
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        try:
            made = self._read(path)
        except Exception:  # whatever a broken file makes a decoder do; the label below it says so
            small = None
        else:
            scale = min(width / made.width, height / made.height)
            size = max(1, round(made.width * scale)), max(1, round(made.height * scale))
            small = made.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
        with self._lock:
            self._kept[key] = small
            while len(self._kept) * width * height > _KEPT_BYTES:
                self._kept.popitem(last=False)
        return small

    def row(
        self,
        paths: Sequence[str],
        grid: Grid,
        cell_px: tuple[int, int],
        background: str,
        frame: str,
        stopped: Callable[[], bool],
    ) -> tuple[Image.Image, list[bool]] | None:
        """Some tiles side by side, and which of them can be read; ``None`` where no longer wanted.

        Args:
            cell_px: width and height of a cell in pixels; ``HALF_BLOCKS`` for those.
            background: behind the tiles; ``frame`` stands in for one that cannot be read.
        """
        across, down = cell_px
        width, height = grid.width * across, grid.height * down
        strip = Image.new("RGB", (grid.span * across, height), background)
        readable = []
        for place, path in enumerate(paths):
            if stopped():
                return None
            tile = self.tile(path, width, height)
            readable.append(tile is not None)
            shown = tile if tile is not None else Image.new("RGB", (width, height), frame)
            left = place * grid.pitch * across
            strip.paste(
                shown.convert("RGB"), (left + (width - shown.width) // 2, (height - shown.height) // 2)
            )
        return strip.point(_COARSE) if cell_px == HALF_BLOCKS else strip, readable

"""A chart whose both axes go from 0 to 1: curves through points, in braille."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xray_tui.drawing.axes import draw_axes
from xray_tui.drawing.raster import DOTS_ACROSS, DOTS_DOWN, Raster
from xray_tui.drawing.ticks import nice_ticks, tick_labels
from xray_tui.tui.themes import Palette

_LABELS = 4
"""Columns before the axis: ``0.5`` and a space."""
_ROWS_BELOW = 2
"""The axis and its labels."""
_LEAST_COLUMNS, _LEAST_ROWS = 8, 3


class Path(NamedTuple):
    """One curve."""

    x: NDArray[np.float64]
    """(K,), 0 to 1."""
    y: NDArray[np.float64]
    colour: str
    letter: str
    """Stands on it where colours cannot be told apart."""
    steps: bool = False
    """Between two points the later one's value holds; else a straight line leads from one to the other."""
    dotted: bool = False
    """Its points are seen."""


class Spot(NamedTuple):
    """A character at a place."""

    x: float
    y: float
    character: str
    colour: str


@dataclass(frozen=True)
class UnitDrawing:
    x_name: str
    paths: Sequence[Path] = ()
    spots: Sequence[Spot] = ()
    """The later ones cover the earlier."""
    reference: tuple[tuple[float, float], tuple[float, float]] | None = None
    """A straight line to compare with, from one place to another."""
    upright: float | None = None
    """Where a line stands from bottom to top."""


class UnitFrame:
    """One drawing on a raster of its own."""

    def __init__(self, raster: Raster, drawing: UnitDrawing) -> None:
        self.raster, self._drawing = raster, drawing
        self._width, self._height = raster.width - _LABELS - 1, raster.height - _ROWS_BELOW

    def draw(self, palette: Palette) -> None:
        if self._width < _LEAST_COLUMNS or self._height < _LEAST_ROWS:
            return
        drawing = self._drawing
        self._draw_axes(palette)
        if drawing.reference is not None:
            start, end = drawing.reference
            self.raster.line(*self._dot(*start), *self._dot(*end), palette.faint, faint=True)
        if drawing.upright is not None:
            column = self._cell(drawing.upright, 0)[0]
            for row in range(self._height):
                self.raster.put(column, row, "┊", palette.primary)
        for path in drawing.paths:
            self._draw_path(path, told_apart=palette.told_apart)
        for spot in drawing.spots:
            self.raster.put(*self._cell(spot.x, spot.y), spot.character, spot.colour)

    def place_at(self, column: int, row: int) -> tuple[float, float]:
        """The place next to the middle of a cell of the raster."""
        x = (column - _LABELS - 0.5) / max(1, self._width)
        y = 1 - (row + 0.5) / max(1, self._height)
        return min(1.0, max(0.0, x)), min(1.0, max(0.0, y))

    def _draw_axes(self, palette: Palette) -> None:
        ticks = nice_ticks(0.0, 1.0, max(2, min(5, self._height // 2)))
        rows = (self._cell(0, tick)[1] if tick else self._height for tick in ticks)
        draw_axes(
            self.raster,
            _LABELS,
            zip(rows, tick_labels(ticks), strict=True),
            [(self._cell(end, 0)[0], str(end)) for end in (0, 1)],
            line=palette.hairline,
            words=palette.muted,
        )
        name = f"{self._drawing.x_name} →"
        if len(name) + 6 <= self._width:
            start = _LABELS + 1 + (self._width - len(name)) // 2
            self.raster.write(start, self.raster.height - 1, name, palette.muted)

    def _draw_path(self, path: Path, *, told_apart: bool) -> None:
        columns, rows = self._dots(path.x, path.y)
        if path.steps:  # up or down first, then across
            columns, rows = np.repeat(columns, 2)[:-1], np.repeat(rows, 2)[1:]
        here = np.stack([columns, rows], 1)
        kept = np.append(True, (here[1:] != here[:-1]).any(1))  # many points fall on one dot
        places: list[tuple[int, int]] = [(x, y) for x, y in here[kept].tolist()]
        for start, end in zip(places, places[1:] or places, strict=False):
            self.raster.line(*start, *end, path.colour)
        if path.dotted:
            for x, y in zip(path.x.tolist(), path.y.tolist(), strict=True):
                self.raster.put(*self._cell(x, y), "•" if told_apart else path.letter, path.colour)
        elif not told_apart:
            column, row = places[len(places) // 2]
            self.raster.put(column // DOTS_ACROSS, row // DOTS_DOWN, path.letter, path.colour)

    def _dots(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Columns and rows of dots."""
        x, y = np.clip(x, 0, 1), np.clip(y, 0, 1)  # a damaged file may hold any number
        across, down = self._width * DOTS_ACROSS - 1, self._height * DOTS_DOWN - 1
        columns = (_LABELS + 1) * DOTS_ACROSS + np.rint(x * across).astype(np.int64)
        return columns, np.rint((1 - y) * down).astype(np.int64)

    def _dot(self, x: float, y: float) -> tuple[int, int]:
        columns, rows = self._dots(np.array([x]), np.array([y]))
        return int(columns[0]), int(rows[0])

    def _cell(self, x: float, y: float) -> tuple[int, int]:
        column, row = self._dot(x, y)
        return column // DOTS_ACROSS, row // DOTS_DOWN

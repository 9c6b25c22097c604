"""A line chart in braille: thin axes, round ticks, curves over epochs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from rich.segment import Segment
from textual.geometry import Size
from textual.strip import Strip
from textual_hires_canvas import Canvas, HiResMode

from xray_tui.tui.themes import Palette


class Curve(NamedTuple):
    label: str
    short: str
    """The label where there is little room."""
    colour: str
    points: Sequence[tuple[int, float | None]]
    """Epoch and value; ``None`` breaks the line."""


class Mark(NamedTuple):
    """Something on an epoch that is no curve: an upright, or a single character at a value."""

    epoch: float
    character: str
    colour: str
    value: float | None = None
    """``None`` draws from bottom to top."""


@dataclass(frozen=True)
class Drawing:
    """All that a chart shows."""

    curves: Sequence[Curve] = ()
    marks: Sequence[Mark] = ()
    last_epoch: int = 1
    low: float = 0.0
    high: float = 1.0
    ticks: Sequence[float] = field(default_factory=list)


class Chart(Canvas, can_focus=False):
    """Draws a :class:`Drawing` anew whenever that or its size changes."""

    def __init__(self, **named: Any) -> None:
        super().__init__(1, 1, **named)
        self._drawing = Drawing()

    def draw(self, drawing: Drawing) -> None:
        self._drawing = drawing
        self._redraw()

    def on_resize(self) -> None:
        self._redraw()

    def render_line(self, y: int) -> Strip:
        """The canvas leaves segments without a style, which Textual's filter for NO_COLOR cannot take."""
        base = self.rich_style
        segments = [Segment(text, style or base) for text, style, _ in super().render_line(y) if text]
        return Strip(segments)

    def _redraw(self) -> None:
        size = self.size
        if not size.area:
            return
        with self.batch_refresh():
            self.reset(size=Size(size.width, size.height), refresh=False)
            _Frame(self, self._drawing, Palette.of(self.app)).draw()


class _Frame:
    """One drawing on a canvas of one size.

    The value axis takes the columns up to ``left``; the epoch axis the last two rows.
    """

    def __init__(self, canvas: Canvas, drawing: Drawing, palette: Palette) -> None:
        self.canvas, self.drawing, self.palette = canvas, drawing, palette
        self.labels = _labels(drawing.ticks)
        self.left = max((len(label) for label in self.labels), default=0) + 1
        self.width = canvas.size.width - self.left - 1
        self.height = canvas.size.height - 2

    def draw(self) -> None:
        if self.width < 2 or self.height < 2:
            return
        self._draw_axes()
        for mark in self.drawing.marks:
            if mark.value is None:
                self._upright(mark)
        for curve in self.drawing.curves:
            self._curve(curve)
        for mark in self.drawing.marks:
            if mark.value is not None:
                x, y = self._place(mark.epoch, mark.value)
                self.canvas.set_pixel(int(x), int(y), mark.character, mark.colour)

    def _place(self, epoch: float, value: float) -> tuple[float, float]:
        """Canvas coordinates, in cells; epochs lie in the middle of equal slots."""
        drawing = self.drawing
        share = (epoch + 0.5) / (drawing.last_epoch + 1)
        x = self.left + 1 + share * self.width
        rise = (value - drawing.low) / (drawing.high - drawing.low)
        y = (1 - min(1.0, max(0.0, rise))) * self.height
        return min(x, self.left + self.width + 0.99), min(y, self.height - 0.01)

    def _draw_axes(self) -> None:
        canvas, line, words = self.canvas, self.palette.hairline, self.palette.muted
        bottom = self.height
        for y in range(bottom):
            canvas.set_pixel(self.left, y, "│", line)
        for x in range(self.left + 1, self.left + 1 + self.width):
            canvas.set_pixel(x, bottom, "─", line)
        canvas.set_pixel(self.left, bottom, "└", line)
        for tick, label in zip(self.drawing.ticks, self.labels, strict=True):
            if tick <= self.drawing.low:
                canvas.set_pixel(self.left, bottom, "┴", line)
                self._write(self.left - 1 - len(label), bottom, label, words)
                continue
            y = int(self._place(0, tick)[1] + 1e-6)
            for x in range(self.left + 1, self.left + 1 + self.width):
                canvas.set_pixel(x, y, "┈", line)
            canvas.set_pixel(self.left, y, "┤", line)
            self._write(self.left - 1 - len(label), y, label, words)
        for epoch in whole_ticks(self.drawing.last_epoch, max(2, self.width // 5)):
            x = int(self._place(epoch, 0)[0])
            canvas.set_pixel(x, bottom, "┴", line)
            label = str(epoch)
            self._write(
                min(x - (len(label) - 1) // 2, canvas.size.width - len(label)), bottom + 1, label, words
            )

    def _write(self, x: int, y: int, words: str, colour: str) -> None:
        for place, character in enumerate(words):
            self.canvas.set_pixel(x + place, y, character, colour)

    def _upright(self, mark: Mark) -> None:
        x = int(self._place(mark.epoch, 0)[0])
        for y in range(self.height):
            self.canvas.set_pixel(x, y, mark.character, mark.colour)

    def _curve(self, curve: Curve) -> None:
        for piece in unbroken(curve.points):
            places = [self._place(epoch, value) for epoch, value in piece]
            if len(places) == 1:
                x, y = places[0]
                self.canvas.set_pixel(int(x), int(y), "•", curve.colour)
            lines = [(*start, *end) for start, end in pairwise(places)]
            self.canvas.draw_hires_lines(lines, HiResMode.BRAILLE, curve.colour)


def _labels(ticks: Sequence[float]) -> list[str]:
    """The ticks with as many digits as tell them apart."""
    step = min((b - a for a, b in pairwise(ticks)), default=1.0)
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    return [f"{tick:.{digits}f}" for tick in ticks]


def nice_step(span: float, steps: int) -> float:
    """A round step (1, 2 or 5 times a power of ten) that cuts the span into at most that many."""
    rough = span / max(1, steps)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * 0.999)


def nice_ticks(low: float, high: float, most: int) -> list[float]:
    """Round values from ``low`` to ``high``, at most ``most`` and one."""
    step = nice_step(high - low, most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def whole_ticks(last: int, most: int) -> list[int]:
    """Epoch numbers from 0 on, evenly spread, at most ``most`` and one."""
    step = max(1, math.ceil(nice_step(max(1, last), most)))
    return list(range(0, last + 1, step))


def unbroken(points: Sequence[tuple[int, float | None]]) -> list[list[tuple[int, float]]]:
    """The stretches of a curve between its gaps."""
    pieces: list[list[tuple[int, float]]] = [[]]
    for epoch, value in points:
        if value is not None:
            pieces[-1].append((epoch, value))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]

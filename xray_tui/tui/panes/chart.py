"""A line chart in braille: thin axes, round ticks, curves over epochs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from textual import events
from textual.message import Message
from textual.strip import Strip

from xray_tui.drawing.axes import draw_axes
from xray_tui.drawing.raster import DOTS_ACROSS, DOTS_DOWN, Raster
from xray_tui.drawing.ticks import log_labels, tick_labels, whole_ticks
from xray_tui.tui.panes.bare import Bare
from xray_tui.tui.panes.dragged import Dragged
from xray_tui.tui.panes.sized import Sized
from xray_tui.tui.themes import Palette

Points = Sequence[tuple[int, float | None]]
"""Epoch and value, in the order of epochs; ``None`` breaks the line."""
Thinned = Sequence[Sequence[tuple[int, float, float, float, float]]]
"""Stretches of columns of dots: each column, and the first, lowest, highest and last value on it."""


class Curve(NamedTuple):
    label: str
    short: str
    """The label where there is little room."""
    colour: str
    points: Points
    faint: bool = False
    """Lies behind the others: where they meet only the others are seen."""


class Mark(NamedTuple):
    """Something on an epoch that is no curve: an upright, or a single character at a value."""

    epoch: float
    character: str
    colour: str
    value: float | None = None
    """``None`` draws from bottom to top."""


class Notch(NamedTuple):
    """A character on the epoch axis: something happened there."""

    epoch: float
    character: str
    colour: str


@dataclass(frozen=True)
class Drawing:
    """All that a chart shows."""

    curves: Sequence[Curve] = ()
    marks: Sequence[Mark] = ()
    last_epoch: int = 1
    low: float = 0.0
    high: float = 1.0
    ticks: Sequence[float] = field(default_factory=list)
    log: bool = False
    """Whether the value axis is logarithmic: ``low`` is then above 0, and what is not is left out."""
    notches: Sequence[Notch] = ()


_Kept = dict[tuple[int, int, float, float, bool], tuple[Points, Thinned]]
"""What was thinned, by its points' identity, their number and where they lie; it keeps the points alive."""


class Chart(Sized, Dragged, Bare, can_focus=False):
    """Draws a :class:`Drawing` anew whenever that or its size changes.

    Curves whose points are the same list as before, and as long, are not thinned again: such a list may
    be appended to, but not changed.
    """

    class Picked(Message):
        """The person has clicked on the chart, or drags over it."""

        def __init__(self, chart: "Chart", epoch: float) -> None:
            super().__init__()
            self.chart = chart
            self.epoch = epoch
            """Where on the epoch axis; whole numbers are the epochs themselves."""

        @property
        def control(self) -> "Chart":
            return self.chart

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._drawing = Drawing()
        self._strips: list[Strip] | None = None
        self._thinned: _Kept = {}

    def draw(self, drawing: Drawing) -> None:
        self._drawing = drawing
        wanted = {(id(curve.points), len(curve.points)) for curve in drawing.curves}
        self._thinned = {key: kept for key, kept in self._thinned.items() if key[:2] in wanted}
        # Now and not when it is painted: an epoch may end while the chart is out of sight.
        self._strips = self._drawn() if self.size else None
        self.refresh()

    def resized(self) -> None:
        self._strips = None

    def notify_style_update(self) -> None:
        """The colours may have changed."""
        super().notify_style_update()
        self._strips = None

    def render_line(self, y: int) -> Strip:
        if self._strips is None:
            self._strips = self._drawn()
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width, self.rich_style)

    def _drawn(self) -> list[Strip]:
        width, height = self.size
        raster = Raster(width, height)
        _Frame(raster, self._drawing, Palette.of(self.app), self._thinned).draw()
        return [Strip(row, width) for row in raster.rows(self.rich_style)]

    def go_to(self, event: events.MouseEvent) -> None:
        frame = _Frame(Raster(*self.size), self._drawing, Palette.of(self.app), {})
        x = event.get_content_offset_capture(self).x
        if frame.width > 0 and frame.left < x:
            self.post_message(self.Picked(self, frame.epoch_at(x)))


class _Frame:
    """One drawing on a raster of one size.

    The value axis takes the columns up to ``left``; the epoch axis the last two rows. Epochs lie in
    the middle of equal slots.
    """

    def __init__(self, raster: Raster, drawing: Drawing, palette: Palette, thinned: _Kept) -> None:
        self.raster, self.drawing, self.palette, self.thinned = raster, drawing, palette, thinned
        self.labels = log_labels(drawing.ticks) if drawing.log else tick_labels(drawing.ticks)
        self.left = max((len(label) for label in self.labels), default=0) + 1
        self.width = raster.width - self.left - 1
        self.height = raster.height - 2
        self.scale: Callable[[float], float] = math.log10 if drawing.log else float
        self._low, self._high = self.scale(drawing.low), self.scale(drawing.high)

    def draw(self) -> None:
        if self.width < 2 or self.height < 2:
            return
        self._draw_axes()
        self._draw_notches()
        for mark in self.drawing.marks:
            if mark.value is None:
                for y in range(self.height):
                    self.raster.put(int(self._x(mark.epoch)), y, mark.character, mark.colour)
        for curve in sorted(self.drawing.curves, key=lambda curve: not curve.faint):
            self._curve(curve)
        if not self.palette.told_apart:
            self._letter_curves()
        for mark in self.drawing.marks:
            if mark.value is not None and not (self.drawing.log and mark.value <= 0):
                place = int(self._x(mark.epoch)), int(self._y(mark.value))
                self.raster.put(*place, mark.character, mark.colour)

    def epoch_at(self, x: int) -> float:
        """The place on the epoch axis in the middle of that column of cells."""
        return (x + 0.5 - self.left - 1) / self.width * (self.drawing.last_epoch + 1) - 0.5

    def _x(self, epoch: float) -> float:
        share = (epoch + 0.5) / (self.drawing.last_epoch + 1)
        return min(self.left + 1 + share * self.width, self.left + self.width + 0.99)

    def _y(self, value: float) -> float:
        rise = (self.scale(value) - self._low) / (self._high - self._low)
        return min((1 - min(1.0, max(0.0, rise))) * self.height, self.height - 0.01)

    def _draw_axes(self) -> None:
        drawing, last = self.drawing, self.drawing.last_epoch
        rows = (self.height if tick <= drawing.low else int(self._y(tick) + 1e-6) for tick in drawing.ticks)
        epochs = whole_ticks(last, max(2, self.width // max(5, len(str(last)) + 3)))
        draw_axes(
            self.raster,
            self.left,
            zip(rows, self.labels, strict=True),
            [(int(self._x(epoch)), str(epoch)) for epoch in epochs],
            line=self.palette.hairline,
            words=self.palette.muted,
        )

    def _draw_notches(self) -> None:
        notches = sorted(self.drawing.notches, key=lambda notch: notch.epoch)
        wanted = [int(self._x(notch.epoch)) for notch in notches]
        places = side_by_side(wanted, self.left + 1, self.left + self.width)
        for place, notch in zip(places, notches, strict=True):
            if place > self.left:
                self.raster.put(place, self.height, notch.character, notch.colour)

    def _curve(self, curve: Curve) -> None:
        """Straight from column of dots to column of dots; within one, from the highest to the lowest."""
        raster, colour, faint = self.raster, curve.colour, curve.faint
        dots_down, scale = self.height * DOTS_DOWN, self.scale
        rise = dots_down / (self._high - self._low)
        zero = dots_down + self._low * rise

        def row(value: float) -> int:
            return min(dots_down - 1, max(0, int(zero - rise * scale(value))))

        for piece in self._thinned(curve.points):
            if len(piece) == 1 and not faint:
                column, value = piece[0][:2]
                raster.put(column // DOTS_ACROSS, int(self._y(value)), "•", colour)
                continue
            before: tuple[int, int] | None = None
            for column, first, low, high, last in piece:
                y = row(first)
                if before is not None:
                    raster.line(*before, column, y, colour, faint=faint)
                if low < high:
                    raster.upright(column, row(high), row(low), colour, faint=faint)
                    before = column, row(last)
                else:
                    raster.upright(column, y, y, colour, faint=faint)
                    before = column, y

    def _letter_curves(self) -> None:
        """Without colours: each curve's first letter beside its end."""
        for curve in self.drawing.curves:
            end = next(((epoch, value) for epoch, value in reversed(curve.points) if value is not None), None)
            if end is not None and not curve.faint and not (self.drawing.log and end[1] <= 0):
                x, y = int(self._x(end[0])) + 1, int(self._y(end[1]))
                self.raster.put(min(x, self.raster.width - 1), y, curve.short[:1], curve.colour)

    def _thinned(self, points: Points) -> "Thinned":
        slope = self.width * DOTS_ACROSS / (self.drawing.last_epoch + 1)
        start = (self.left + 1) * DOTS_ACROSS + slope / 2
        key = (id(points), len(points), start, slope, self.drawing.log)
        if key not in self.thinned:
            self.thinned[key] = points, thin(points, start, slope, 0.0 if self.drawing.log else -math.inf)
        return self.thinned[key][1]


def side_by_side(wanted: Sequence[int], first: int, last: int) -> list[int]:
    """Places in the same order, each where it is wanted or as near behind it as there is room.

    Args:
        wanted: rising.
        first: the first place there is.
        last: the last one; what does not fit goes before the first.
    """
    places: list[int] = []
    for place in wanted:
        places.append(max(place, places[-1] + 1 if places else first))
    return [min(place, last - after) for after, place in enumerate(reversed(places))][::-1]


def thin(points: Points, start: float, slope: float, above: float = -math.inf) -> Thinned:
    """The stretches of a curve between its gaps, each as what falls on one column of dots after the other.

    Ten thousand epochs come to a few hundred columns, and none of their peaks is lost.

    Args:
        start: the column of epoch 0.
        slope: columns from one epoch to the next.
        above: what is not above that is a gap, as ``None`` is.
    """
    pieces: list[list[tuple[int, float, float, float, float]]] = []
    piece: list[tuple[int, float, float, float, float]] = []
    column, first, low, high, last = -1, 0.0, 0.0, 0.0, 0.0
    for epoch, value in points:
        if value is None or value <= above:
            if column >= 0:
                piece.append((column, first, low, high, last))
                pieces.append(piece)
                piece, column = [], -1
            continue
        x = int(start + epoch * slope)
        if x == column:
            last = value
            if value < low:
                low = value
            elif value > high:
                high = value
        else:
            if column >= 0:
                piece.append((column, first, low, high, last))
            column, first, low, high, last = x, value, value, value, value
    if column >= 0:
        piece.append((column, first, low, high, last))
        pieces.append(piece)
    return pieces

"""The learning-rate range test in a terminal: a curve for each stage, and what it suggests."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.segment import Segment, Segments
from rich.style import Style
from rich.table import Table
from rich.text import Text

from xray_tui.drawing.ascii import in_ascii
from xray_tui.drawing.axes import draw_axes
from xray_tui.drawing.raster import DOTS_ACROSS, DOTS_DOWN, Raster
from xray_tui.drawing.ticks import log_ticks, nice_step, nice_ticks, tick_labels
from xray_tui.json_text import json_text
from xray_tui.words import ABSENT

if TYPE_CHECKING:
    from xray_tui.engine.rate_curve import RateCurve

_SUGGESTIONS = {"valley": "valley", "minimum_tenth": "minimum/10", "steepest": "steepest"}
"""What they are called, the one to try first before the others."""
_COLOURS = {"valley": "green", "minimum_tenth": "yellow", "steepest": "magenta"}
_CURVE, _BATCH, _LINE, _WORDS = "cyan", "bright_black", "bright_black", "default"
_LEAST_WIDTH, _LEAST_ROWS, _MOST_ROWS = 40, 12, 24
_OTHER_ROWS = 8
"""What the table, the words around it and the shell's prompt take."""
_HEADROOM = 4.0
"""The axis reaches to that many times the best loss, or to the first one: what diverges further would make
all else flat."""


def print_json(curves: Sequence["RateCurve"], about: Mapping[str, Any]) -> None:
    """One object: what was tested, and what each stage gave."""
    stages = {
        curve.stage: {
            "rates": curve.rates,
            "losses": curve.losses,
            "smoothed": curve.smoothed,
            "ending": curve.ending,
            "suggestions": curve.suggestions,
        }
        for curve in curves
    }
    print(json_text({**about, "stages": stages}))


def print_curves(curves: Sequence["RateCurve"], as_set: Mapping[str, float], *, ascii_only: bool) -> None:
    """As large as the terminal allows, then the suggestions in a table.

    Args:
        as_set: the settings' learning rate of each stage.
    """
    out = Console(highlight=False)  # as wide as is said: it is drawn
    rows = min(_MOST_ROWS, max(_LEAST_ROWS, (out.height - _OTHER_ROWS) // len(curves)))
    for curve in curves:
        out.print(_title(curve), soft_wrap=True)
        if len(curve.rates) > 1 and out.width >= _LEAST_WIDTH:
            raster = Raster(out.width, rows - 1)
            _Plot(raster, curve, with_batches=not ascii_only).draw()
            for row in raster.rows(Style()):
                drawn = [Segment(in_ascii(text), style) for text, style, _ in row] if ascii_only else row
                out.print(Segments([*drawn, Segment.line()]))
        out.print()
    out.print(_table(curves, as_set, in_ascii if ascii_only else str))
    for curve in curves:
        if note := _note(curve):
            out.print(f"{curve.stage}: {note}", soft_wrap=True)
    if options := " ".join(
        f"--{curve.stage}-lr {in_words(curve.suggestions.valley)}"
        for curve in curves
        if curve.suggestions.valley is not None
    ):
        out.print(f"to train with the valley's: {options}", soft_wrap=True)


def in_words(rate: float | None) -> str:
    """Two digits, as an option takes them: ``5.6e-4``, ``0.0017``, ``0.32``."""
    if rate is None:
        return ABSENT
    return f"{rate:.2g}" if rate >= 1e-3 else f"{rate:.1e}".replace("e-0", "e-").replace(".0e", "e")


def _title(curve: "RateCurve") -> Text:
    words = f"  loss by learning rate, {len(curve.rates)} batches"
    if curve.ending == "diverged":
        words += f", diverged at {in_words(curve.rates[-1])}"
    elif curve.ending == "not_finite":
        words += (
            f", no number above {in_words(curve.rates[-1])}"
            if curve.rates
            else ", no number from the first batch on"
        )
    return Text.assemble((curve.stage, "bold"), (words, "dim"))


def _table(
    curves: Sequence["RateCurve"], as_set: Mapping[str, float], written: Callable[[str], str]
) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 1))
    table.add_column("", overflow="fold")
    for name, words in _SUGGESTIONS.items():
        table.add_column(Text(words, _COLOURS[name]), justify="right", overflow="fold")
    table.add_column("as set", justify="right", overflow="fold")
    for curve in curves:
        rates = [getattr(curve.suggestions, name) for name in _SUGGESTIONS]
        table.add_row(curve.stage, *(written(in_words(rate)) for rate in (*rates, as_set[curve.stage])))
    return table


def _note(curve: "RateCurve") -> str:
    """What a missing suggestion means."""
    found = curve.suggestions
    if found.valley is None and found.steepest is None:
        return "the loss falls nowhere further than batches differ anyway"
    if curve.ending == "range" and curve.smoothed[-1] == min(curve.smoothed):
        return f"the loss is still at its lowest at {in_words(curve.rates[-1])}: a higher --to may show more"
    return ""


class _Plot:
    """A curve on a raster: the loss upwards from 0, the learning rate along, on a logarithmic axis."""

    def __init__(self, raster: Raster, curve: "RateCurve", *, with_batches: bool) -> None:
        self._raster = raster
        self._curve = curve
        self._with_batches = with_batches
        self._height = raster.height - 2
        smoothed = curve.smoothed
        top = max(smoothed[0], min(max(smoothed), _HEADROOM * min(smoothed)), 1e-3)
        step = nice_step(top, 5)
        self._high = step * math.ceil(top / step + 0.1)
        self._ticks = nice_ticks(0.0, self._high, max(2, self._height // 3))
        self._labels = tick_labels(self._ticks)
        self._left = max(map(len, self._labels)) + 1
        self._width = raster.width - self._left - 1

    def draw(self) -> None:
        curve, raster = self._curve, self._raster
        self._draw_axes()
        if self._with_batches:
            for rate, loss in zip(curve.rates, curve.losses, strict=True):
                if loss <= self._high:
                    x, y = self._column(rate), self._row(loss)
                    raster.upright(x, y, y, _BATCH, faint=True)
        found = [(getattr(curve.suggestions, name), name) for name in _SUGGESTIONS]
        # Each has a row for its words, which end before the uprights of the next ones begin.
        marks = [
            (self._column(rate) // DOTS_ACROSS, row, rate, name)
            for row, (rate, name) in enumerate(sorted(mark for mark in found if mark[0] is not None))
        ]
        for x, row, _, name in marks:
            for y in range(row, self._height):
                raster.put(x, y, "┊", _COLOURS[name])
        points = zip(map(self._column, curve.rates), map(self._row, curve.smoothed), strict=True)
        for begin, end in pairwise(points):
            raster.line(*begin, *end, _CURVE)
        for x, row, rate, name in marks:
            raster.put(x, self._row(self._loss_at(rate)) // DOTS_DOWN, "●", _COLOURS[name])
            words = f"{_SUGGESTIONS[name]} {in_words(rate)}"
            fits = x + 1 + len(words) <= raster.width
            raster.write(x + 1 if fits else x - len(words), row, words, _COLOURS[name])

    def _draw_axes(self) -> None:
        rates = log_ticks(self._curve.rates[0], self._curve.rates[-1], max(2, self._width // 8))
        upwards = [self._row(tick) // DOTS_DOWN if tick else self._height for tick in self._ticks]
        draw_axes(
            self._raster,
            self._left,
            zip(upwards, self._labels, strict=True),
            [(self._column(rate) // DOTS_ACROSS, in_words(rate)) for rate in rates],
            line=_LINE,
            words=_WORDS,
        )

    def _loss_at(self, rate: float) -> float:
        """Smoothed, of the batch whose rate is the nearest."""
        rates = self._curve.rates
        return self._curve.smoothed[min(range(len(rates)), key=lambda at: abs(math.log(rates[at] / rate)))]

    def _column(self, rate: float) -> int:
        """Of dots."""
        first, last = self._curve.rates[0], self._curve.rates[-1]
        share = math.log(rate / first) / math.log(last / first)
        return (self._left + 1) * DOTS_ACROSS + round(share * (self._width * DOTS_ACROSS - 1))

    def _row(self, loss: float) -> int:
        """Of dots; what is above the axis lies on its upper end."""
        dots = self._height * DOTS_DOWN
        return min(dots - 1, max(0, int((1 - loss / self._high) * dots)))

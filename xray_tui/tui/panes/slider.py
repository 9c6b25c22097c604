"""The threshold as a slider under what it divides: how probable the positive class is, image by image."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.text import Text
from textual import events
from textual.message import Message

from xray_tui.tui.panes.dragged import Dragged
from xray_tui.tui.panes.printed import Printed
from xray_tui.tui.text import fit, shorten
from xray_tui.tui.themes import Palette
from xray_tui.words import harmless, probability

STEP = 0.01
_FASTER = 4
"""Steps at once, while a key is held."""
_HELD_SECONDS, _HELD_PRESSES = 0.15, 6
"""So many presses no further apart than that are a key held down."""
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_LABEL = 11
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)

Scores = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Division:
    """What the slider shows."""

    threshold: float | None
    """``None``: the run's own rule."""
    names: tuple[str, str]
    """Of the images that are not positive, and of those that are."""
    scores: tuple[Scores, Scores] = field(
        default_factory=lambda: (np.zeros(0, np.float32), np.zeros(0, np.float32))
    )
    """Their probabilities of the positive class, 0 to 1."""
    best: float | None = None
    """Youden's threshold."""


class Slider(Dragged, Printed):
    """Two histograms over a track; clicks and drags move the knob."""

    class Moved(Message):
        """The person has moved the knob."""

        def __init__(self, threshold: float) -> None:
            super().__init__()
            self.threshold = threshold

    def __init__(self, clock: Callable[[], float] = time.monotonic, **named: Any) -> None:
        super().__init__(**named)
        self._clock = clock
        self._division: Division | None = None
        self._counted: tuple[object, int, list[list[float]]] = (None, 0, [])
        self._pressed, self._presses = -1.0, 0

    def show(self, division: Division | None) -> None:
        self._division = division
        self.renew()

    def stepped(self, direction: int) -> float:
        """Where a press on a key brings the knob; faster where the key is held down."""
        now = self._clock()
        held = now - self._pressed <= _HELD_SECONDS
        self._presses = self._presses + 1 if held else 0
        self._pressed = now
        steps = _FASTER if self._presses >= _HELD_PRESSES else 1
        at = self._threshold + direction * steps * STEP
        return min(1.0, max(0.0, round(at / STEP) * STEP))

    @property
    def _threshold(self) -> float:
        threshold = self._division.threshold if self._division else None
        return 0.5 if threshold is None else threshold

    @property
    def _label(self) -> int:
        """Cells before the track."""
        names = self._division.names if self._division else ()
        return 1 + min(_LABEL - 1, max((len(name) for name in names), default=0)) if self._wide else 0

    @property
    def _wide(self) -> bool:
        return self.size.width >= 40

    @property
    def _track(self) -> int:
        """Cells of the track."""
        return max(1, self.size.width - self._label)

    def _cell(self, value: float) -> int:
        return min(self._track - 1, max(0, round(value * (self._track - 1))))

    def words(self) -> Text:
        division, palette, height = self._division, Palette.of(self.app), self.size.height
        if division is None:
            return Text()
        rows = 2 if height >= 6 else 1
        lines = []
        if height >= 4:
            for which, heights in enumerate(self._heights(division)):
                lines += self._histogram(division, which, heights, rows, palette)
        lines.append(self._line(palette))
        lines.append(self._ticks(division, palette))
        return Text("\n", no_wrap=True).join(lines[-height:])

    def _heights(self, division: Division) -> list[list[float]]:
        """Of both histograms' bars, 0 to 1; the square root, for most images lie at the ends."""
        key, track = division.scores, self._track
        if self._counted[0] is not key or self._counted[1] != track:
            found = []
            for scores in division.scores:
                cells = np.rint(scores[np.isfinite(scores)] * (track - 1)).astype(np.int64)
                counts = np.bincount(cells, minlength=track)
                found.append(np.sqrt(counts / max(1, counts.max())).tolist())
            self._counted = (key, track, found)
        return self._counted[2]

    def _histogram(
        self, division: Division, which: int, heights: Sequence[float], rows: int, palette: Palette
    ) -> list[Text]:
        """Bars of one class, in the colour of errors on the side where it is called wrong."""
        knob, positive = self._cell(self._threshold), which == 1
        plain = palette.validation if positive else palette.train
        lines = []
        for row in range(rows):
            name = shorten(harmless(division.names[which]), self._label - 1) if row == rows - 1 else ""
            line = fit(Text(name, palette.muted), self._label) if self._label else Text()
            bars = ""
            for share in heights:
                eighths = max(1, round(share * 8 * rows)) if share else 0
                bars += _EIGHTHS[min(8, max(0, eighths - 8 * (rows - 1 - row)))]
            # Two pieces and not a piece a cell, which would take ten times as long to paint.
            line.append(bars[:knob], palette.error if positive else plain)
            lines.append(line.append(bars[knob:], plain if positive else palette.error))
        return lines

    def _line(self, palette: Palette) -> Text:
        knob, track = self._cell(self._threshold), self._track
        line = Text(" " * self._label, no_wrap=True)
        line.append("─" * knob, palette.hairline)
        line.append("●", f"bold {palette.primary}")
        return line.append("━" * (track - knob - 1), palette.primary)

    def _ticks(self, division: Division, palette: Palette) -> Text:
        """The scale below the track; Youden's threshold goes before a tick that it would touch."""
        track = self._track
        cells: list[tuple[str, str]] = [(" ", "")] * track
        taken = [False] * track

        def write(at: int, words: str, style: str) -> None:
            start = min(max(0, at - len(words) // 2), track - len(words))
            around = range(max(0, start - 1), min(track, start + len(words) + 1))
            if start < 0 or any(taken[cell] for cell in around):
                return
            for place, character in enumerate(words):
                cells[start + place] = (character, style)
                taken[start + place] = True

        if division.best is not None:
            at, words = self._cell(division.best), f"{probability(division.best, 2)} best"
            start = min(max(0, at), track - len(words) - 2)
            if start >= 0:
                write(
                    start + (len(words) + 2) // 2, f"▲ {words}" if start == at else f"{words} ▲", palette.best
                )
        for tick in _TICKS:
            write(self._cell(tick), f"{tick:g}", palette.faint)
        line = Text(" " * self._label, no_wrap=True)
        for style, piece in groupby(cells, key=itemgetter(1)):
            line.append("".join(character for character, _ in piece), style)
        return line

    def go_to(self, event: events.MouseEvent) -> None:
        if self._division is None:
            return
        at = event.get_content_offset_capture(self).x - self._label
        best = self._division.best
        share = min(1.0, max(0.0, at / max(1, self._track - 1)))
        # Which cell was meant is known, a hundredth is not: on its mark, Youden's threshold is meant.
        on_best = best is not None and self._cell(best) == at
        self.post_message(self.Moved(best if on_best and best is not None else round(share, 2)))

"""What the network says about one radiograph, and how that came about."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from xray_tui.runs.predictions import Fate
from xray_tui.tui.panes.frame import Framed
from xray_tui.tui.panes.printed import Printed
from xray_tui.tui.panes.strip import in_words, strip
from xray_tui.tui.text import clean, fit, shorten
from xray_tui.tui.themes import Palette
from xray_tui.words import count, harmless, number, percent

_NAME = 12
"""Cells of a class's name at most."""
_PERCENT = 8

_ROWS, _LEAST_ROWS = 10, 6
"""Inside the border, with room to breathe and without; beside them a row a class."""
_MOST_BARS = 6
"""Classes that room is made for."""
_BORDER = 2
_BESIDE_BARS = 4
"""Rows that are never left out: the sentence, the strip of epochs with its marks, its words."""


@dataclass(frozen=True)
class Verdict:
    """All that is known of one image."""

    path: str
    patient: str
    classes: Sequence[str]
    actual: int
    predicted: int
    probabilities: Sequence[float]
    loss: float
    fates: Sequence[Fate]
    note: str
    """About the epochs: whether more are being read, or only some of them."""
    pixels: tuple[int, int] | None
    """Width and height of the file, where known."""
    boundary: int | None
    best: int | None
    epoch: int


class VerdictPane(Framed, Printed):
    """The probabilities as bars, the strip of epochs below."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._verdict: Verdict | None = None

    def on_mount(self) -> None:
        self.border_title = "verdict"

    def show(self, verdict: Verdict | None) -> None:
        if verdict == self._verdict:
            return
        self._verdict = verdict
        patient = f"patient {verdict.patient.removeprefix('patient-')}" if verdict else ""
        self.inscribe(subtitle=clean(patient))
        self.renew()

    def words(self) -> Text:
        verdict, palette, size = self._verdict, Palette.of(self.app), self.size
        if verdict is None:
            return Text("Nothing is listed.", palette.faint)
        spare = size.height - (len(verdict.classes) + 5)
        head = [_sentence(verdict, palette, size.width)]
        bars = _bars(verdict, palette, size.width, size.height - _BESIDE_BARS)
        fates = strip(
            verdict.fates,
            size.width,
            palette,
            rows=2 if spare >= 0 else 1,
            boundary=verdict.boundary,
            best=verdict.best,
            current=verdict.epoch,
        )
        words = Text(in_words(verdict.fates, size.width - len(verdict.note) - 2), palette.muted)
        if verdict.note:
            words.append(f"  {verdict.note}", palette.faint)
        facts = _file(verdict, palette, size.width) if spare >= 1 else []
        blank = [Text()]
        lines = [
            *head,
            *(blank if spare >= 3 else []),
            *bars,
            *(blank if spare >= 2 else []),
            *fates,
            words,
            *(blank if spare >= 4 else []),
            *facts,
        ]
        return Text("\n", no_wrap=True).join(lines[: size.height])


def rows_wanted(classes: int, room: int) -> int:
    """Rows of the pane, of that many at most unless it cannot do with them."""
    bars = min(_MOST_BARS, classes) + _BORDER
    return min(_ROWS + bars, max(_LEAST_ROWS + bars, room))


def _sentence(verdict: Verdict, palette: Palette, width: int) -> Text:
    """``PNEUMONIA called NORMAL      loss 3.91``."""
    actual, said = (harmless(verdict.classes[number]) for number in (verdict.actual, verdict.predicted))
    right = verdict.actual == verdict.predicted
    loss = Text.assemble(("loss ", palette.muted), (number(_finite(verdict.loss), 2), palette.text))
    room = width - loss.cell_len - 1
    if right:
        line = Text(shorten(actual, max(4, room - 13)), f"bold {palette.text}", no_wrap=True)
        return fit(line.append(" called right", palette.success), room + 1).append_text(loss)
    way = " called " if len(actual) + len(said) + 8 <= room else " → "
    each = max(4, (room - len(way)) // 2)
    spared = max(0, each - min(len(actual), len(said)))  # by the shorter name, for the longer
    line = Text(shorten(actual, each + spared), f"bold {palette.text}", no_wrap=True)
    line.append(way, palette.muted).append(shorten(said, each + spared), f"bold {palette.error}")
    return fit(line, room + 1).append_text(loss)


def _bars(verdict: Verdict, palette: Palette, width: int, most: int) -> list[Text]:
    """The classes in their order; where there is no room for all, what it is, what it was called, and the
    likeliest of the others."""
    shown, left_out = list(range(len(verdict.classes))), 0
    if len(shown) > most:
        named = (verdict.actual, verdict.predicted)
        shown.sort(key=lambda index: (index not in named, -verdict.probabilities[index]))
        left_out = len(shown) - max(2, most - 1)
        shown = sorted(shown[: max(2, most - 1)])
    names = {index: harmless(verdict.classes[index]) for index in shown}
    label = min(_NAME, max(len(name) for name in names.values()))
    cells = max(3, width - label - _PERCENT - 3)
    lines = []
    for index in shown:
        probability = _finite(verdict.probabilities[index])
        if index == verdict.actual:
            colour = palette.success
        else:
            colour = palette.error if index == verdict.predicted else palette.muted
        line = Text("✓ " if index == verdict.actual else "  ", palette.success, no_wrap=True)
        line.append_text(fit(Text(shorten(names[index], label), palette.text), label + 1))
        filled = round((probability or 0.0) * cells)
        line.append("━" * filled, colour).append("─" * (cells - filled), palette.hairline)
        line.append(percent(probability).rjust(_PERCENT), palette.text)
        lines.append(line)
    if left_out > 0:
        lines.append(Text(f"  and {left_out} more", palette.faint))
    return lines


def _file(verdict: Verdict, palette: Palette, width: int) -> list[Text]:
    """Where the radiograph lies and how large it is; in two lines where one is too short."""
    path, size = harmless(verdict.path), ""
    if verdict.pixels is not None:
        across, down = verdict.pixels
        size = f"{count(across)} × {count(down)} px"
    if len(path) + len(size) + 2 <= width or not size:
        return [Text.assemble((shorten(path, width), palette.muted), (f"  {size}", palette.faint))]
    return [Text(shorten(path, width), palette.muted), Text(size, palette.faint)]


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None  # nor is NaN less than that

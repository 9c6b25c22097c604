"""Sensitivity, specificity, accuracy and the confusion matrix at a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from xray_tui.metrics import Rates
from xray_tui.tui.panes.confusion import matrix
from xray_tui.tui.panes.printed import Printed
from xray_tui.tui.text import fit
from xray_tui.tui.themes import Palette
from xray_tui.words import count, percent

_WORDS = 31
"""Cells of the rates, with what they changed by and what they are of."""
_GAP = 3
_LEAST_ROWS = 3
_SMALLEST_BOX = 7
_LABEL = 13


@dataclass(frozen=True)
class RatesShown:
    rates: Rates
    own: Rates
    """Of the run's own rule."""
    classes: Sequence[str]
    positive: int


class RatesPane(Printed, can_focus=False):
    """The rates, each with how it differs from the run's own; the matrix beside them where there is room."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._shown: RatesShown | None = None

    def show(self, shown: RatesShown | None) -> None:
        self._shown = shown
        self.renew()

    def words(self) -> Text:
        shown, palette, size = self._shown, Palette.of(self.app), self.size
        if shown is None or not shown.rates.confusion:
            return Text()
        if size.height < _LEAST_ROWS:
            return _in_a_line(shown.rates, palette)
        lines = _rates(shown, palette, size.width)
        table, classes = _table(shown, size.width - _WORDS - _GAP)
        room = size.width - _WORDS - _GAP
        if room >= _width(classes):
            beside = matrix("", table, classes, room, size.height, palette)
            height = max(len(lines), len(beside))
            lines += [Text()] * (height - len(lines))
            beside += [Text()] * (height - len(beside))
            lines = [
                fit(left, _WORDS + _GAP).append_text(right) for left, right in zip(lines, beside, strict=True)
            ]
        elif size.height >= len(lines) + 1 + len(table) and size.width >= _width(classes):
            lines += matrix("", table, classes, size.width, size.height - len(lines), palette)
        return Text("\n", no_wrap=True).join(lines[: size.height])


def _in_a_line(rates: Rates, palette: Palette) -> Text:
    line = Text(no_wrap=True)
    for name, now in (("sens", rates.sensitivity), ("spec", rates.specificity), ("acc", rates.accuracy)):
        line.append(f"{name} ", palette.muted).append(f"{percent(now)}  ", palette.text)
    return line


def _rates(shown: RatesShown, palette: Palette, width: int) -> list[Text]:
    table, positive = shown.rates.confusion, shown.positive
    of_positive, total = sum(table[positive]), sum(map(sum, table))
    hit = table[positive][positive]
    cleared = total - of_positive - sum(row[positive] for row in table) + hit
    right = sum(table[index][index] for index in range(len(table)))
    rows = (
        ("sensitivity", shown.rates.sensitivity, shown.own.sensitivity, hit, of_positive),
        ("specificity", shown.rates.specificity, shown.own.specificity, cleared, total - of_positive),
        ("accuracy", shown.rates.accuracy, shown.own.accuracy, right, total),
    )
    lines = []
    for name, now, own, part, whole in rows:
        line = Text(f"{name:<12}", palette.muted, no_wrap=True)
        line.append(f"{percent(now):>7}", f"bold {palette.text}")
        difference = 0.0 if now is None or own is None else round(100 * (now - own), 1)
        if difference:
            colour = palette.success if difference > 0 else palette.error
            line.append(f"  {difference:+.1f}", colour)
        elif width >= _WORDS:
            line.append(f"  {count(part)}/{count(whole)}", palette.faint)
        lines.append(line)
    return lines


def _table(shown: RatesShown, room: int) -> tuple[list[list[int]], list[str]]:
    """The whole matrix, or the positive class against the rest where it is too wide."""
    table, classes, positive = shown.rates.confusion, list(shown.classes), shown.positive
    if len(classes) == 2 or _width(classes) <= room:
        return table, classes
    total, of_positive = sum(map(sum, table)), sum(table[positive])
    called, hit = sum(row[positive] for row in table), table[positive][positive]
    small = [[total - of_positive - called + hit, called - hit], [of_positive - hit, hit]]
    return small, ["rest", classes[positive]]


def _width(classes: Sequence[str]) -> int:
    return _LABEL + (_SMALLEST_BOX + 1) * len(classes)

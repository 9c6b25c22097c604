"""What a comparison says beside its curves: the metrics, the settings, the tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from xray_tui.events import EpochEnded
from xray_tui.runs.compare import ComparedRun, Comparison, letter
from xray_tui.tui.text import clean, fit, shorten_all
from xray_tui.tui.themes import Palette
from xray_tui.words import ABSENT, harmless, number, percent

TAG_CELLS = 5
_NAME_CELLS, _LEAST_NAME_CELLS = 40, 14
"""With the tag before it."""
_GAP = 2
_LEAST_BAR, _MOST_BAR = 8, 24
_SETTING_CELLS = 18
"""What a run's value of a setting may take where runs are columns."""
_LOSS = "validation_loss"


class Rate(NamedTuple):
    """A metric with an interval."""

    field: str
    title: str
    value: Callable[[float | None], str]
    bound: Callable[[float], str]
    cells: int
    """That the value takes."""
    interval_cells: int


def _hundredths(bound: float) -> str:
    return f"{100 * bound:.1f}"


RATES = (
    Rate("accuracy", "accuracy", percent, _hundredths, 7, 10),
    Rate("auc", "AUC", number, number, 5, 11),
    Rate("sensitivity", "sensitivity", percent, _hundredths, 7, 10),
    Rate("specificity", "specificity", percent, _hundredths, 7, 10),
)


@dataclass(frozen=True)
class Look:
    """How the runs of a comparison are drawn."""

    colours: Sequence[str]
    """A run each."""
    palette: Palette
    width: int
    """In cells."""

    def tag(self, place: int) -> Text:
        """A run's dot and letter."""
        tag = Text.assemble(("● ", self.colours[place]), (f"{letter(place)}  ", self.palette.text))
        tag.no_wrap = True
        return tag

    def names(self, runs: Sequence[ComparedRun], cells: int) -> list[Text]:
        """Each run's dot, letter and name."""
        names = shorten_all([harmless(run.name) for run in runs], cells - TAG_CELLS)
        text = self.palette.text
        return [fit(self.tag(place).append(name, text), cells) for place, name in enumerate(names)]


def metrics(comparison: Comparison, look: Look) -> Table:
    """The metrics at each run's best epoch, with 95 % intervals, drawn as bars where there is room."""
    fixed = sum(rate.cells + 1 + rate.interval_cells + _GAP for rate in RATES) + 5 + _GAP + 5 + _GAP
    longest = max(cell_len(run.name) for run in comparison.runs) + TAG_CELLS
    if look.width - fixed < min(longest, _LEAST_NAME_CELLS):
        return _metrics_below_each_other(comparison, look)
    name_cells = min(longest, _NAME_CELLS, look.width - fixed)
    bar = _bar_cells((look.width - fixed - name_cells) // len(RATES) - _GAP)
    head = look.palette.muted
    table = Table.grid(padding=(0, _GAP, 0, 0))
    titles = [Text(f"{rate.title:>{rate.cells}}", head) for rate in RATES]
    table.add_row(Text(), Text("epoch", head), *titles, Text(" loss", head))
    names = look.names(comparison.runs, name_cells)
    for place, (run, name) in enumerate(zip(comparison.runs, names, strict=True)):
        best = run.best
        rates = [_rate(comparison, place, rate, look, bar) for rate in RATES]
        loss = Text(number(_value(best, _LOSS)), _strength(comparison, place, _LOSS, look))
        epoch = Text(f"{best.epoch if best else ABSENT:>5}", head)
        table.add_row(name, epoch, *rates, loss)
    return table


def _metrics_below_each_other(comparison: Comparison, look: Look) -> Table:
    """One metric after the other, where it is narrow."""
    fixed = _GAP + max(rate.cells + 1 + rate.interval_cells for rate in RATES)
    longest = max(cell_len(run.name) for run in comparison.runs) + TAG_CELLS
    name_cells = max(TAG_CELLS, min(longest, look.width - fixed, _NAME_CELLS))
    bar = _bar_cells(look.width - fixed - name_cells - _GAP)
    table = Table.grid(padding=(0, _GAP, 0, 0))
    names = look.names(comparison.runs, name_cells)
    for rate in RATES:
        table.add_row(Text(rate.title, look.palette.muted))
        for place, name in enumerate(names):
            table.add_row(name, _rate(comparison, place, rate, look, bar))
    table.add_row(Text("loss", look.palette.muted))
    for place, (run, name) in enumerate(zip(comparison.runs, names, strict=True)):
        loss = f"{number(_value(run.best, _LOSS)):>7}"
        epoch = f" epoch {run.best.epoch}" if run.best else ""
        words = Text.assemble((loss, _strength(comparison, place, _LOSS, look)), (epoch, look.palette.faint))
        table.add_row(name, words)
    return table


def _bar_cells(room: int) -> int:
    return min(_MOST_BAR, room) if room >= _LEAST_BAR else 0


def _rate(comparison: Comparison, place: int, rate: Rate, look: Look, bar: int) -> Text:
    """A run's rate, its interval in figures, and as a bar of that many cells on the axis of all the runs."""
    run = comparison.runs[place]
    value, interval = _value(run.best, rate.field), run.intervals.get(rate.field)
    strength = _strength(comparison, place, rate.field, look)
    text = Text.assemble((f"{rate.value(value):>{rate.cells}}", strength))
    if interval is None or value is None:
        return text
    low, high = interval
    figures = f"{rate.bound(low)}–{rate.bound(high)}"
    text.append(f" {figures:<{rate.interval_cells}}", look.palette.muted)
    if bar:
        known = [found for other in comparison.runs if (found := other.intervals.get(rate.field))]
        span = min(low for low, _ in known), max(high for _, high in known)
        text.append(" " * _GAP).append(_interval_bar(low, value, high, span, bar), look.colours[place])
    return text


def _interval_bar(low: float, value: float, high: float, span: tuple[float, float], cells: int) -> str:
    width = span[1] - span[0]

    def cell(at: float) -> int:
        share = (at - span[0]) / width if width > 0 else 0.0
        return round(min(1.0, max(0.0, share)) * (cells - 1))

    first, last = cell(low), cell(high)
    line = [" "] * cells
    line[first : last + 1] = "─" * (last + 1 - first)
    line[first], line[last] = "╶", "╴"
    line[cell(value)] = "●"
    return "".join(line)


def _strength(comparison: Comparison, place: int, field: str, look: Look) -> str:
    """The best of several is bold; that is all."""
    values = [_value(run.best, field) for run in comparison.runs]
    known = [value for value in values if value is not None]
    if len(set(known)) < 2:
        return look.palette.text
    best = min(known) if field == _LOSS else max(known)
    return f"bold {look.palette.text}" if values[place] == best else look.palette.muted


def _value(best: EpochEnded | None, field: str) -> float | None:
    value: float | None = getattr(best, field) if best else None
    return value


def differences(comparison: Comparison, look: Look) -> Table | Text:
    """The settings in which the runs differ: a column a run, or below each other where it is narrow."""
    found, palette = comparison.differences, look.palette
    if not found:
        return Text("None: the runs have the same settings.", palette.muted)
    runs = range(len(comparison.runs))
    values = [[clean(value, palette.text) for value in difference.values] for difference in found]
    cells = [min(_SETTING_CELLS, max(3, *(row[run].cell_len for row in values))) for run in runs]
    paths = max(cell_len(difference.path) for difference in found)
    rest = look.width - paths - sum(width + _GAP for width in cells) - _GAP
    table = Table.grid(padding=(0, _GAP, 0, 0))
    if rest < 0:
        for difference, row in zip(found, values, strict=True):
            table.add_row(fit(clean(difference.path, palette.muted), min(look.width, paths)))
            for run, value in enumerate(row):
                line = look.tag(run).append_text(value)
                table.add_row(fit(line, min(look.width, line.cell_len)))
        return table
    tags = [look.tag(run) for run in runs]
    for tag in tags:
        tag.rstrip()
    table.add_row(Text(), *tags)
    for difference, row in zip(found, values, strict=True):
        shown = [fit(value, width) for value, width in zip(row, cells, strict=True)]
        about = clean(difference.description if rest >= _NAME_CELLS else "", palette.faint)
        about.truncate(rest, overflow="ellipsis")
        table.add_row(clean(difference.path, palette.muted), *shown, about)
    return table


def in_words(comparison: Comparison, palette: Palette) -> Table:
    """The paired tests, then what to keep in mind, a paragraph each."""
    table = Table.grid(padding=(0, 1, 0, 0), expand=True)
    table.add_column(width=1)
    table.add_column(ratio=1)
    paragraphs = [("·", test.words, palette.text) for test in comparison.tests]
    paragraphs += [("!", note, palette.muted) for note in comparison.notes]
    for sign, words, colour in paragraphs:
        text = clean(words, colour)
        text.no_wrap = False
        table.add_row(Text(sign, palette.muted if sign == "·" else palette.warning), text)
    return table


def section(title: str, body: Table | Text, palette: Palette) -> Table:
    """A titled part of the comparison."""
    table = Table.grid(expand=True)
    table.add_row(Text(title, f"bold {palette.text}"))
    table.add_row(Padding(body, (0, 0, 1, 0)))
    return table

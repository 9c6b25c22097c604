"""Runs beside each other: their curves over each other, their metrics, settings and tests."""

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

from rich.console import Group
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, Vertical, VerticalScroll
from textual.widgets import Static

from xray_tui.drawing.ticks import log_limits, log_ticks, nice_step, nice_ticks
from xray_tui.events import EpochEnded
from xray_tui.runs.compare import Comparison, letter
from xray_tui.tui.actions import BY_ID, Action
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.panes.chart import Chart, Curve, Drawing, Mark
from xray_tui.tui.panes.charts import View, smooth
from xray_tui.tui.panes.comparison_words import TAG_CELLS, Look, differences, in_words, metrics, section
from xray_tui.tui.panes.lines import SpotLine
from xray_tui.tui.run_colours import run_colours
from xray_tui.tui.text import clean, shorten_all
from xray_tui.tui.themes import Palette
from xray_tui.words import harmless, number, percent

MOST_RUNS = 12
"""As many as there are colours."""
_WIDE, _MIDDLE = 160, 76
"""From that many cells on all charts stand in one row, and two in a row."""
_BEHIND = 0.3
"""How far behind its last point, in epochs, a curve has its letter."""
_BETWEEN = "   "
_FAINT = 0.3
"""How much of its colour a raw curve keeps behind its smoothed one."""


class Quantity(NamedTuple):
    """What one chart shows of each run."""

    title: str
    of: Callable[[EpochEnded], float | None]
    words: Callable[[float | None], str]
    loss: bool = False
    starred: bool = True
    """Whether the best epoch is marked on it."""


QUANTITIES = (
    Quantity("validation loss", lambda epoch: epoch.validation_loss, number, loss=True),
    Quantity("accuracy", lambda epoch: epoch.accuracy, percent),
    Quantity("AUC", lambda epoch: epoch.auc, number),
    Quantity("train loss", lambda epoch: epoch.train_loss, number, loss=True, starred=False),
)


class LegendLine(SpotLine):
    """The way back; the runs by colour, letter and name; and what can be done with the curves."""

    def __init__(self) -> None:
        super().__init__()
        self._names: Sequence[tuple[Text, str]] = ()

    def show(self, names: Sequence[tuple[Text, str]]) -> None:
        """
        Args:
            names: of the runs, each with what stands before it.
        """
        self._names = names
        self.renew()

    def words(self) -> Text:
        palette, keymap, line = Palette.of(self.app), KeyMap.of(self.app), self.start_line()

        def spot(action: Action, title: str) -> Text:
            return Text.assemble(
                (keymap.shown(action), f"bold {palette.primary}"), (f" {title}", palette.muted)
            )

        self.add_spot(line, spot(BY_ID["back"], "runs"), "app.perform('back')")
        width = self.size.width
        room = (width - line.cell_len) // max(1, len(self._names)) - len(_BETWEEN)
        names = shorten_all([harmless(name) for _, name in self._names], room - TAG_CELLS)
        for (tag, _), name in zip(self._names, names, strict=True):
            shown = tag + Text(name, palette.text)
            shown.truncate(max(3, room), overflow="ellipsis")
            line.append(_BETWEEN).append_text(shown)
        actions = [BY_ID[name] for name in ("log_axis", "smoother", "rougher", "export")]
        spots = [(action.id, spot(action, action.title)) for action in actions] if self._names else []
        taken = sum(words.cell_len + len(_BETWEEN) for _, words in spots)
        if line.cell_len + taken <= width:
            line.append(" " * (width - line.cell_len - taken))
            for action, words in spots:
                line.append(_BETWEEN)
                self.add_spot(line, words, f"app.perform('{action}')")
        return line


class ComparedCurves(Vertical):
    """One quantity of all runs over the epochs."""

    def __init__(self, quantity: Quantity) -> None:
        super().__init__(classes="pane compared")
        self._quantity = quantity
        self._shown: tuple[Comparison, Look, View, int | None] | None = None

    def compose(self) -> ComposeResult:
        yield Chart()

    def on_resize(self) -> None:
        if self._shown is not None:
            self.show(*self._shown)

    def show(self, comparison: Comparison, look: Look, view: View, epoch: int | None) -> None:
        """
        Args:
            epoch: where the values are read off, if anywhere.
        """
        self._shown = comparison, look, view, epoch
        self.border_title = self._title(view, look.palette)
        self.border_subtitle = self._reading(comparison, look, epoch)
        self.query_one(Chart).draw(self._drawing(comparison, look, view, epoch))

    def _title(self, view: View, palette: Palette) -> Text:
        how = [f"smoothed {view.smoothing:g}"] if view.smoothing else []
        how += ["log"] if view.log and self._quantity.loss else []
        return Text.assemble(self._quantity.title, (f"  {' · '.join(how)}" if how else "", palette.primary))

    def _reading(self, comparison: Comparison, look: Look, epoch: int | None) -> Text:
        if epoch is None:
            return Text()
        reading = Text(f"epoch {epoch}", look.palette.muted)
        for place, (colour, run) in enumerate(zip(look.colours, comparison.runs, strict=True)):
            ended = run.record.epoch(epoch)
            words = self._quantity.words(self._quantity.of(ended) if ended else None)
            reading.append(f"  {letter(place)} {words}", colour)
        reading.truncate(max(0, self.size.width - 4), overflow="ellipsis")
        return reading

    def _drawing(self, comparison: Comparison, look: Look, view: View, epoch: int | None) -> Drawing:
        quantity, log = self._quantity, view.log and self._quantity.loss
        curves: list[Curve] = []
        values: list[float] = []
        marks = self._boundaries(comparison, look)
        if epoch is not None:
            marks.append(Mark(epoch, "│", look.palette.muted))
        for place, (colour, run) in enumerate(zip(look.colours, comparison.runs, strict=True)):
            points = [(ended.epoch, quantity.of(ended)) for ended in run.record.epochs]
            values += [value for _, value in points if value is not None]
            if view.smoothing:
                faint = look.palette.faded(colour, _FAINT)
                curves.append(Curve(run.name, letter(place), faint, points, faint=True))
            smoothed = smooth(points, view.smoothing, run.record.boundary)
            curves.append(Curve(run.name, letter(place), colour, smoothed))
            ends = [(at, value) for at, value in smoothed if value is not None]
            if ends:  # its letter, for where colours cannot be told apart
                marks.append(Mark(ends[-1][0] + _BEHIND, letter(place), colour, ends[-1][1]))
            starred = quantity.of(run.best) if run.best and quantity.starred else None
            if run.best and starred is not None:
                marks.append(Mark(run.best.epoch, "★", colour, starred))
        low, high = log_limits(values) if log else _limits(values, None if quantity.loss else 1.0)
        most = max(2, min(5, round(max(2, self.content_size.height - 2) / 1.7)))
        return Drawing(
            curves=curves,
            marks=marks,
            last_epoch=max(1, 1, *(epoch for curve in curves for epoch, _ in curve.points)),
            low=low,
            high=high,
            ticks=log_ticks(low, high, most) if log else nice_ticks(low, high, most),
            log=log,
        )

    def _boundaries(self, comparison: Comparison, look: Look) -> list[Mark]:
        """Where unfrozen begins: in that stage's colour where it is the same for all, else in each run's."""
        found = [
            (run.record.boundary, colour)
            for run, colour in zip(comparison.runs, look.colours, strict=True)
            if run.record.boundary is not None
        ]
        alike = len({boundary for boundary, _ in found}) == 1
        return [
            Mark(boundary - 0.5, "┊", look.palette.unfrozen if alike else colour)
            for boundary, colour in found
        ]


def _limits(values: Sequence[float], most: float | None) -> tuple[float, float]:
    """Round values around all of them, at most ``most``."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    step = nice_step(max(high - low, 0.02), 4)
    top = step * math.ceil(high / step + 0.1)
    return max(0.0, step * math.floor(low / step - 0.1)), top if most is None else min(most, top)


class ComparisonPane(VerticalScroll):
    """Shows one :class:`Comparison`; before that, that it is being made."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "read_off(-1)", "epoch before", show=False),
        Binding("right", "read_off(1)", "epoch after", show=False),
    ]

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.comparison: Comparison | None = None
        """None while it is being made."""
        self.view = View()
        self._epoch: int | None = None
        self._names: Sequence[str] = ()

    def compose(self) -> ComposeResult:
        yield LegendLine()
        with Grid(classes="curves"):
            for quantity in QUANTITIES:
                yield ComparedCurves(quantity)
        yield Static(classes="words")

    def wait_for(self, names: Sequence[str]) -> None:
        """Say that these runs are being compared."""
        self.comparison, self._names, self._epoch = None, names, None
        self.redraw()

    def show(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self._names = [run.name for run in comparison.runs]
        self.scroll_home(animate=False)
        self.redraw()

    def look(self, view: View) -> None:
        """Look at the curves in another way."""
        self.view = view
        self.redraw()

    def on_resize(self) -> None:
        self.redraw()

    def redraw(self) -> None:
        """All of it: the runs, the colours or the room have changed."""
        palette, comparison = Palette.of(self.app), self.comparison
        curves, words = self.query_one(".curves"), self.query_one(".words", Static)
        width = self.scrollable_content_region.width
        curves.display = comparison is not None
        curves.set_class(width >= _WIDE, "-wide")
        curves.set_class(width < _MIDDLE, "-narrow")
        if comparison is None:
            self.query_one(LegendLine).show(())
            words.update(clean(f"Comparing {', '.join(self._names)} …", palette.muted))
            return
        look = self._look(comparison, palette, width)
        tags = [look.tag(run) for run in range(len(comparison.runs))]
        self.query_one(LegendLine).show(list(zip(tags, self._names, strict=True)))
        for pane in self.query(ComparedCurves):
            pane.show(comparison, look, self.view, self._epoch)
        parts = [
            section("metrics, each run at its best epoch", metrics(comparison, look), palette),
            section("settings that differ", differences(comparison, look), palette),
        ]
        if comparison.tests or comparison.notes:
            parts.append(section("in words", in_words(comparison, palette), palette))
        words.update(Group(*parts))

    def _look(self, comparison: Comparison, palette: Palette, width: int) -> Look:
        names = [run.directory.name for run in comparison.runs]
        given = run_colours(names, palette)
        return Look([given[name] for name in names], palette, width)

    def action_read_off(self, step: int) -> None:
        """Read the values off an epoch earlier or later; past the newest, off none."""
        numbers = self._numbers
        at = numbers.index(self._epoch) if self._epoch in numbers else len(numbers)
        to = max(0, at + step)
        self._read_off(numbers[to] if to < len(numbers) else None)

    @on(Chart.Picked)
    def _picked(self, event: Chart.Picked) -> None:
        event.stop()
        if self._numbers:
            self._read_off(min(self._numbers, key=lambda epoch: abs(epoch - event.epoch)))

    @property
    def _numbers(self) -> list[int]:
        """The epochs that any of the runs has ended."""
        runs = self.comparison.runs if self.comparison else []
        return sorted({ended.epoch for run in runs for ended in run.record.epochs})

    def _read_off(self, epoch: int | None) -> None:
        if self.comparison is None or epoch == self._epoch:
            return
        self._epoch = epoch
        look = self._look(self.comparison, Palette.of(self.app), self.scrollable_content_region.width)
        for pane in self.query(ComparedCurves):
            pane.show(self.comparison, look, self.view, epoch)

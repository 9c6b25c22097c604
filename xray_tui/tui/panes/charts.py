"""Curves over the epochs: losses, and accuracy with AUC."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from xray_tui.drawing.ticks import log_limits, log_ticks, nice_step, nice_ticks
from xray_tui.events import EpochEnded
from xray_tui.runs.record import RunRecord
from xray_tui.tui.panes.chart import Chart, Curve, Drawing, Mark, Points
from xray_tui.tui.panes.frame import Framed
from xray_tui.tui.panes.notches import explained, notches
from xray_tui.tui.panes.sized import Sized
from xray_tui.tui.panes.sparks import Spark, Sparks
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.themes import Palette
from xray_tui.words import number, percent

SMOOTHINGS = (0.0, 0.3, 0.6, 0.8, 0.9, 0.95)
"""What ``+`` and ``-`` step through."""
_LEAST_ROWS, _LEAST_COLUMNS = 5, 20
"""Below that (in cells, inside the border) a chart has no room for its axes."""
_FAINT = 0.38
"""How much of its colour a raw curve keeps behind its smoothed one."""


class EpochPicked(Message):
    """The person wants to look at an epoch."""

    def __init__(self, epoch: int | None) -> None:
        super().__init__()
        self.epoch = epoch
        """``None`` follows the newest."""


@dataclass(frozen=True)
class View:
    """How the curves are looked at."""

    smoothing: float = 0.0
    """Of an exponential moving average, 0 for none, below 1."""
    log: bool = False
    """Losses on a logarithmic axis."""

    def smoother(self, step: int) -> "View":
        at = SMOOTHINGS.index(self.smoothing) + step
        return replace(self, smoothing=SMOOTHINGS[min(len(SMOOTHINGS) - 1, max(0, at))])


@dataclass(frozen=True)
class CurveSpec:
    """One curve: what it is called, and what it takes from an epoch."""

    label: str
    short: str
    """The label where there is little room."""
    colour: Callable[[Palette], str]
    value: Callable[[EpochEnded], float | None]
    words: Callable[[float | None], str]
    """The value as it is read."""


@dataclass(frozen=True)
class ChartSpec:
    """What one chart shows."""

    title: str
    curves: tuple[CurveSpec, ...]
    limits: Callable[[Sequence[float]], tuple[float, float]]
    """Where the value axis begins and ends, from the lowest and the highest value."""
    starred: int
    """The curve that carries the star at the best epoch."""
    can_log: bool = False
    """Whether a logarithmic axis says anything here."""


def loss_limits(values: Sequence[float]) -> tuple[float, float]:
    """From 0 to the next round value: as the losses fall, the axis stays."""
    highest = max(max(values), 1e-3)
    step = nice_step(highest, 5)
    return 0.0, step * math.ceil(highest / step + 0.1)


def rate_limits(values: Sequence[float]) -> tuple[float, float]:
    """From the round value below the lowest, to 1."""
    lowest = min(values)
    step = nice_step(max(1.0 - lowest, 0.02), 4)
    return max(0.0, step * math.floor(lowest / step - 0.1)), 1.0


LOSS = ChartSpec(
    "loss",
    (
        CurveSpec("train", "train", lambda p: p.train, attrgetter("train_loss"), number),
        CurveSpec("validation", "val", lambda p: p.validation, attrgetter("validation_loss"), number),
    ),
    loss_limits,
    starred=1,
    can_log=True,
)
QUALITY = ChartSpec(
    "accuracy · AUC",
    (
        CurveSpec("accuracy", "acc", lambda p: p.accuracy, attrgetter("accuracy"), percent),
        CurveSpec("AUC", "AUC", lambda p: p.auc, attrgetter("auc"), number),
    ),
    rate_limits,
    starred=0,
)


class CurvePane(Sized, Vertical, Framed):
    """One chart with its legend in the title; too small for axes, it shows sparklines."""

    HELP = (
        "Its title names the curves, the line below reads their values at the newest epoch or at the one "
        "looked at. The star is the best epoch. Where training goes on falling and validation rises, the "
        "network learns its images by heart. A click reads the values at its epoch.\n"
        "{smoother} smooths the curves, with the raw ones faint behind them, {rougher} less and {raw} not at "
        "all; {log_axis} draws the losses on a logarithmic axis.\n"
        "On the epoch axis stands what was asked of the run: ‖ pause, u unfreeze now, l learning rate, "
        "d detach, x stop, r resume.\n"
    )

    def __init__(self, spec: ChartSpec, **named: Any) -> None:
        super().__init__(**named)
        self._spec = spec
        self._run: ShownRun | None = None
        self._view = View()
        self._kept = _Kept(spec)

    def compose(self) -> ComposeResult:
        yield Chart()
        yield Sparks()

    def on_mount(self) -> None:
        self.border_title = self._spec.title

    def resized(self) -> None:
        size = self.size
        self.set_class(size.height < _LEAST_ROWS or size.width < _LEAST_COLUMNS, "-sparks")
        if self._run:
            self.show(self._run, self._view)

    def show(self, run: ShownRun, view: View) -> None:
        self._run, self._view = run, view
        palette = Palette.of(self.app)
        self._kept.take(run.record, view.smoothing)
        self.inscribe(self._title(run, palette), self._subtitle(run, palette))
        if self.has_class("-sparks"):
            self._show_sparks(run, palette)
        else:
            self.query_one(Chart).draw(self._drawing(run, palette))

    @on(Chart.Picked)
    def _picked(self, event: Chart.Picked) -> None:
        """The epoch nearest to where the person clicked."""
        event.stop()
        if self._run is not None and self._run.record.epochs:
            nearest = min(self._run.record.epochs, key=lambda ended: abs(ended.epoch - event.epoch))
            self.post_message(EpochPicked(nearest.epoch))

    @property
    def _log(self) -> bool:
        return self._view.log and self._spec.can_log

    def _title(self, run: ShownRun, palette: Palette) -> Text:
        """The legend, as much of it as there is room for."""
        room = self.size.width - 6
        how = " · ".join(
            words
            for words in (
                f"smoothed {self._view.smoothing:g}" if self._view.smoothing else "",
                "log" if self._log else "",
            )
            if words
        )
        for short, boundary in ((False, True), (True, True), (True, False)):
            legend = Text() if short else Text(f"{self._spec.title}  ")
            for curve in self._spec.curves:
                legend.append("━ ", curve.colour(palette))
                legend.append(f"{curve.short if short else curve.label} ", palette.muted)
            if boundary and run.record.boundary is not None:
                legend.append("┊ ", palette.unfrozen).append("unfrozen ", palette.muted)
            if how:
                legend.append(f" {how}", palette.primary)
            legend.rstrip()
            if legend.cell_len <= room:
                break
        return legend

    def _subtitle(self, run: ShownRun, palette: Palette) -> Text:
        """What was asked of the run, and what the curves say at the epoch that is looked at."""
        epoch = run.looked_at
        if epoch is None:
            return Text()
        reading = Text(f"epoch {epoch.epoch}", palette.muted)
        for curve in self._spec.curves:
            reading.append(f"  {curve.words(curve.value(epoch))}", curve.colour(palette))
        marked = explained(run.record, palette, run.epoch, self.size.width - 9 - reading.cell_len)
        return Text.assemble(marked, "   ", reading) if marked.cell_len else reading

    def _show_sparks(self, run: ShownRun, palette: Palette) -> None:
        epoch = run.looked_at
        self.query_one(Sparks).show(
            [
                Spark(
                    Text(
                        f"{curve.short:<5} {curve.words(curve.value(epoch)) if epoch else '':>7}",
                        curve.colour(palette),
                    ),
                    curve.colour(palette),
                    [value for _, value in points if value is not None],
                )
                for curve, points in zip(self._spec.curves, self._kept.smoothed, strict=True)
            ]
        )

    def _drawing(self, run: ShownRun, palette: Palette) -> Drawing:
        spec, kept, record = self._spec, self._kept, run.record
        if self._log:
            low, high = log_limits([kept.least_positive, kept.highest] if kept.highest > 0 else [])
        else:
            low, high = (
                spec.limits([kept.lowest, kept.highest]) if kept.lowest <= kept.highest else (0.0, 1.0)
            )
        curves: list[Curve] = []
        for curve, raw, smoothed in zip(spec.curves, kept.raw, kept.smoothed, strict=True):
            colour = curve.colour(palette)
            if self._view.smoothing:
                faint = palette.faded(colour, _FAINT)
                curves.append(Curve(curve.label, curve.short, faint, raw, faint=True))
            curves.append(Curve(curve.label, curve.short, colour, smoothed))
        rows = max(2, self.size.height - 2)
        most = max(2, min(5, round(rows / 1.7)))
        return Drawing(
            curves=curves,
            marks=self._marks(run, palette),
            last_epoch=max(1, run.planned_epochs - 1),
            low=low,
            high=high,
            ticks=log_ticks(low, high, most) if self._log else nice_ticks(low, high, most),
            log=self._log,
            notches=notches(record, palette),
        )

    def _marks(self, run: ShownRun, palette: Palette) -> list[Mark]:
        marks = []
        if run.record.boundary is not None:
            marks.append(Mark(run.record.boundary - 0.5, "┊", palette.unfrozen))
        best = run.record.best_epoch
        starred = self._spec.curves[self._spec.starred].value(best) if best else None
        if run.epoch is not None:
            marks.append(Mark(run.epoch, "│", palette.muted))
            at = run.record.epoch(run.epoch)
            for curve in self._spec.curves:
                value = curve.value(at) if at else None
                if value is not None:
                    marks.append(Mark(run.epoch, "●", curve.colour(palette), value))
        if best and starred is not None:
            marks.append(Mark(best.epoch, "★", palette.best, starred))
        return marks


class _Kept:
    """The points of a chart's curves: scrubbing draws them as they are, and an epoch that ends adds one."""

    def __init__(self, spec: ChartSpec) -> None:
        self._spec = spec
        self._epochs: list[EpochEnded] = []
        self._smoothing = 0.0
        self.raw: list[list[tuple[int, float | None]]] = []
        self.smoothed: list[list[tuple[int, float | None]]] = []
        self._averages: list[_Average] = []
        self.lowest = self.least_positive = math.inf
        self.highest = -math.inf
        """Of all raw values; where there is none yet, below the lowest."""
        self._begin([], 0.0)

    def take(self, record: RunRecord, smoothing: float) -> None:
        # A record only ever appends to its list of epochs, or takes another one.
        if record.epochs is not self._epochs or smoothing != self._smoothing:
            self._begin(record.epochs, smoothing)
        new = record.epochs[len(self.raw[0]) :]
        numbers = [ended.epoch for ended in new]
        for place, curve in enumerate(self._spec.curves):
            points = list(zip(numbers, map(curve.value, new), strict=True))
            self.raw[place] += points
            if smoothing:
                self.smoothed[place] += self._averages[place].go_on(points, record.boundary)
            known = [value for _, value in points if value is not None]
            if known:
                self.lowest, self.highest = min(self.lowest, *known), max(self.highest, *known)
                positive = [value for value in known if value > 0]
                self.least_positive = min(self.least_positive, *positive) if positive else self.least_positive

    def _begin(self, epochs: list[EpochEnded], smoothing: float) -> None:
        self._epochs, self._smoothing = epochs, smoothing
        self.raw = [[] for _ in self._spec.curves]
        self.smoothed = [[] for _ in self._spec.curves] if smoothing else self.raw
        self._averages = [_Average(smoothing) for _ in self._spec.curves]
        self.lowest = self.least_positive = math.inf
        self.highest = -math.inf


class _Average:
    """An exponential moving average without the pull towards its start."""

    def __init__(self, weight: float) -> None:
        self._weight = weight
        self._average, self._pull = 0.0, 1.0

    def go_on(self, points: Points, again_at: int | None) -> list[tuple[int, float | None]]:
        weight, rest = self._weight, 1 - self._weight
        average, pull = self._average, self._pull
        smoothed: list[tuple[int, float | None]] = []
        for point in points:
            epoch, value = point
            if epoch == again_at:
                average, pull = 0.0, 1.0
            if value is None:
                smoothed.append(point)
            else:
                average = weight * average + rest * value
                pull *= weight
                smoothed.append((epoch, average / (1 - pull)))
        self._average, self._pull = average, pull
        return smoothed


def smooth(points: Points, weight: float, again_at: int | None = None) -> Points:
    """The points as TensorBoard smooths them.

    Args:
        weight: what remains of the average from epoch to epoch, 0 to below 1.
        again_at: the epoch where it begins anew; TensorBoard has the two stages as two runs.
    """
    return _Average(weight).go_on(points, again_at) if weight else points

"""Curves over the epochs: losses, and accuracy with AUC."""

import math
from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical

from xray_tui.events import EpochEnded
from xray_tui.tui.panes.chart import Chart, Curve, Drawing, Mark, nice_step, nice_ticks
from xray_tui.tui.panes.sparks import Spark, Sparks
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.themes import Palette
from xray_tui.words import number, percent

_LEAST_ROWS, _LEAST_COLUMNS = 5, 20
"""Below that (in cells, inside the border) a chart has no room for its axes."""


class CurvePane(Vertical):
    """One chart with its legend in the title; too small for axes, it shows sparklines."""

    TITLE = ""

    def compose(self) -> ComposeResult:
        yield Chart()
        yield Sparks()

    def on_mount(self) -> None:
        self._run: ShownRun | None = None
        self.border_title = self.TITLE

    def on_resize(self) -> None:
        size = self.content_size
        self.set_class(size.height < _LEAST_ROWS or size.width < _LEAST_COLUMNS, "-sparks")
        if self._run:
            self.show(self._run)

    def curves(self, run: ShownRun, palette: Palette) -> list[Curve]:
        raise NotImplementedError

    def limits(self, values: Sequence[float]) -> tuple[float, float]:
        """Where the value axis begins and ends."""
        raise NotImplementedError

    def starred(self, epoch: EpochEnded) -> float | None:
        """The value that carries the star at the best epoch."""
        raise NotImplementedError

    def reading(self, epoch: EpochEnded) -> list[str]:
        """What the curves say at an epoch, in words."""
        raise NotImplementedError

    def show(self, run: ShownRun) -> None:
        self._run = run
        palette = Palette.of(self.app)
        curves = self.curves(run, palette)
        self._show_titles(run, curves, palette)
        if self.has_class("-sparks"):
            self._show_sparks(run, curves)
        else:
            self.query_one(Chart).draw(self._drawing(run, curves, palette))

    def _show_titles(self, run: ShownRun, curves: list[Curve], palette: Palette) -> None:
        title = self._legend(run, curves, palette, short=False)
        if title.cell_len > self.size.width - 6:
            title = self._legend(run, curves, palette, short=True)
        self.border_title = title
        epoch = run.looked_at
        values = zip(curves, self.reading(epoch), strict=True) if epoch else ()
        parts = [Text(words, curve.colour) for curve, words in values]
        if epoch is not None:
            parts.insert(0, Text(f"epoch {epoch.epoch}", palette.muted))
        reading = Text("  ").join(parts)
        self.border_subtitle = reading

    def _legend(self, run: ShownRun, curves: list[Curve], palette: Palette, *, short: bool) -> Text:
        legend = Text() if short else Text(f"{self.TITLE}  ")
        for curve in curves:
            legend.append("━ ", curve.colour)
            legend.append(f"{curve.short if short else curve.label} ", palette.muted)
        if run.record.boundary is not None:
            legend.append("┊ ", palette.unfrozen).append("unfrozen", palette.muted)
        return legend

    def _show_sparks(self, run: ShownRun, curves: list[Curve]) -> None:
        reading = self.reading(run.looked_at) if run.looked_at else [""] * len(curves)
        self.query_one(Sparks).show(
            [
                Spark(
                    Text(f"{curve.short:<5} {words:>7}", curve.colour),
                    curve.colour,
                    [value for _, value in curve.points if value is not None],
                )
                for curve, words in zip(curves, reading, strict=True)
            ]
        )

    def _drawing(self, run: ShownRun, curves: list[Curve], palette: Palette) -> Drawing:
        values = [value for curve in curves for _, value in curve.points if value is not None]
        low, high = self.limits(values) if values else (0.0, 1.0)
        marks = []
        if run.epoch is not None:
            marks.append(Mark(run.epoch, "│", palette.muted))
        if run.record.boundary is not None:
            marks.append(Mark(run.record.boundary - 0.5, "┊", palette.unfrozen))
        best = run.record.best_epoch
        starred = self.starred(best) if best else None
        if best and starred is not None:
            marks.append(Mark(best.epoch, "★", palette.best, starred))
        rows = max(2, self.content_size.height - 2)
        return Drawing(
            curves=curves,
            marks=marks,
            last_epoch=max(1, run.planned_epochs - 1),
            low=low,
            high=high,
            ticks=nice_ticks(low, high, max(2, min(5, round(rows / 1.7)))),
        )


class LossPane(CurvePane):
    TITLE = "loss"

    def curves(self, run: ShownRun, palette: Palette) -> list[Curve]:
        epochs = run.record.epochs
        return [
            Curve("train", "train", palette.train, [(e.epoch, e.train_loss) for e in epochs]),
            Curve("validation", "val", palette.validation, [(e.epoch, e.validation_loss) for e in epochs]),
        ]

    def limits(self, values: Sequence[float]) -> tuple[float, float]:
        """From 0 to the next round value: as the losses fall, the axis stays."""
        highest = max(max(values), 1e-3)
        step = nice_step(highest, 5)
        return 0.0, step * math.ceil(highest / step + 0.1)

    def starred(self, epoch: EpochEnded) -> float | None:
        return epoch.validation_loss

    def reading(self, epoch: EpochEnded) -> list[str]:
        return [number(epoch.train_loss), number(epoch.validation_loss)]


class QualityPane(CurvePane):
    TITLE = "accuracy · AUC"

    def curves(self, run: ShownRun, palette: Palette) -> list[Curve]:
        epochs = run.record.epochs
        return [
            Curve("accuracy", "acc", palette.accuracy, [(e.epoch, e.accuracy) for e in epochs]),
            Curve("AUC", "AUC", palette.auc, [(e.epoch, e.auc) for e in epochs]),
        ]

    def limits(self, values: Sequence[float]) -> tuple[float, float]:
        """From the round value below the lowest, to 1."""
        lowest = min(values)
        step = nice_step(max(1.0 - lowest, 0.02), 4)
        return max(0.0, step * math.floor(lowest / step - 0.1)), 1.0

    def starred(self, epoch: EpochEnded) -> float | None:
        return epoch.accuracy

    def reading(self, epoch: EpochEnded) -> list[str]:
        return [percent(epoch.accuracy), number(epoch.auc)]

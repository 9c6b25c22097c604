"""The epochs as a table, the one under way as its last row."""

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from xray_tui.events import EpochEnded, Progress
from xray_tui.tui.panes.rows import Column, Row, RowList
from xray_tui.tui.panes.sparks import Spark, Sparks
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.text import bar
from xray_tui.tui.themes import Palette
from xray_tui.words import ABSENT, count, number, percent

COLUMNS = (
    Column("epoch", 5, right=True),
    Column("stage", 8),
    Column("train", 5, right=True),
    Column("val", 5, right=True),
    Column("acc", 7, right=True),
    Column("", 1),
    Column("AUC", 5, right=True, rank=1),
    Column("sens", 7, right=True, rank=2),
    Column("spec", 7, right=True, rank=3),
    Column("img/s", 6, right=True, rank=4),
)


class EpochsPane(Vertical):
    """Every epoch, the best with its star; small screens get the losses as sparklines below."""

    def compose(self) -> ComposeResult:
        yield RowList(COLUMNS, id="epochs")
        yield Static(id="test-result")
        yield Sparks(classes="below")

    def on_mount(self) -> None:
        self.border_title = "epochs"

    def show(self, run: ShownRun) -> None:
        record = run.record
        self._show_rows(run)
        best = record.best
        self.border_subtitle = f"★ best: epoch {best.epoch}" if best else ""
        result = self.query_one("#test-result", Static)
        result.display = record.test is not None
        if record.test is not None:
            result.update(self._test_line(run))
        palette = Palette.of(self.app)
        curves = (
            ("train", palette.train, [epoch.train_loss for epoch in record.epochs]),
            ("val", palette.validation, [epoch.validation_loss for epoch in record.epochs]),
            ("acc", palette.accuracy, [epoch.accuracy for epoch in record.epochs]),
        )
        self.query_one(Sparks).show(
            [
                Spark(Text(name, colour), colour, [value for value in values if value is not None])
                for name, colour, values in curves
            ]
        )

    def tick(self, run: ShownRun) -> None:
        """Only the row of the epoch under way has changed."""
        self._show_rows(run)

    def _show_rows(self, run: ShownRun) -> None:
        palette = Palette.of(self.app)
        ended, best = run.record.epochs, run.record.best
        progress = run.record.progress if run.live else None
        under_way = progress is not None and progress.epoch is not None and progress.stage is not None

        def row(index: int) -> Row:
            if index < len(ended):
                epoch = ended[index]
                return _row(epoch, palette, best=best is not None and best.epoch == epoch.epoch)
            assert progress is not None
            return _live_row(progress, palette, paused=run.paused)

        total = len(ended) + under_way
        numbers = [epoch.epoch for epoch in ended]
        cursor = numbers.index(run.epoch) if run.epoch in numbers else None
        self.query_one("#epochs", RowList).show_rows(
            total, row, cursor=cursor, follow=total - 1 if total else None, selectable=len(ended)
        )

    def _test_line(self, run: ShownRun) -> Text:
        palette, test = Palette.of(self.app), run.record.test
        assert test is not None
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(" test ", f"bold {palette.background} on {palette.success}")
        if test.skipped:
            return line.append(f" skipped: {test.skipped}", palette.muted)
        for name, shown in (
            ("images", count(test.images)),
            ("acc", percent(test.accuracy)),
            ("AUC", number(test.auc)),
            ("sens", percent(test.sensitivity)),
            ("spec", percent(test.specificity)),
            ("loss", number(test.loss)),
        ):
            line.append(f"  {name} ", palette.muted).append(shown, f"bold {palette.text}")
        return line


def _row(epoch: EpochEnded, palette: Palette, *, best: bool) -> Row:
    strong = f"bold {palette.text}" if best else palette.text
    return (
        Text(str(epoch.epoch), palette.muted),
        Text(epoch.stage, palette.stage(epoch.stage)),
        Text(number(epoch.train_loss), palette.train),
        Text(number(epoch.validation_loss), f"bold {palette.validation}" if best else palette.validation),
        Text(percent(epoch.accuracy), strong),
        Text("★" if best else "", palette.best),
        Text(number(epoch.auc), strong),
        Text(percent(epoch.sensitivity), palette.muted),
        Text(percent(epoch.specificity), palette.muted),
        Text(f"{epoch.images_per_second:.0f}", palette.muted),
    )


def _live_row(progress: Progress, palette: Palette, *, paused: bool) -> Row:
    colour = palette.warning if paused else palette.stage(progress.stage)
    fraction = progress.done / progress.total if progress.total else 0.0
    validating = progress.phase == "validation"
    words = "paused" if paused else "validation" if validating else ""
    speed = f"{progress.images_per_second:.0f}/s" if progress.images_per_second and not words else words

    def fill(cells: int) -> Text:
        tail = f" {percent(fraction, 0):>5}  {speed}"
        line = Text(bar(fraction, max(4, cells - len(tail))), f"{colour} on {palette.hairline}")
        return line.append(tail, palette.text)

    epoch = str(progress.epoch) if progress.epoch is not None else ABSENT
    return (Text(f"▸{epoch:>4}", f"bold {colour}"), Text(progress.stage or "", colour), fill)

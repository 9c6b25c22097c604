"""The epochs as a table, the one under way as its last row."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from xray_tui.events import EpochEnded, Progress
from xray_tui.tui.panes.charts import EpochPicked
from xray_tui.tui.panes.frame import Framed
from xray_tui.tui.panes.rows import Column, Row, RowList
from xray_tui.tui.panes.sized import Sized
from xray_tui.tui.panes.sparks import Spark, Sparks
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.text import bar
from xray_tui.tui.themes import Palette
from xray_tui.words import ABSENT, SELECTED_ON_TEST, count, harmless, looked_at, number, percent, probability

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
_BY_EPOCH = 0
_VALUES: dict[int, Callable[[EpochEnded], float | None]] = {
    1: lambda epoch: epoch.stage == "unfrozen",
    2: lambda epoch: epoch.train_loss,
    3: lambda epoch: epoch.validation_loss,
    4: lambda epoch: epoch.accuracy,
    6: lambda epoch: epoch.auc,
    7: lambda epoch: epoch.sensitivity,
    8: lambda epoch: epoch.specificity,
    9: lambda epoch: epoch.images_per_second,
}
"""What the columns sort by; epochs come in their own order."""
_BEST_IS_HIGH = range(4, 10)
"""Columns that begin with their highest value, so that the best comes first."""


class Order(NamedTuple):
    """How the table is sorted."""

    column: int = _BY_EPOCH
    descending: bool = False


class EpochsPane(Sized, Vertical, Framed):
    """Every epoch, the best with its star; small screens get the losses as sparklines below."""

    HELP = (
        "One line an epoch: losses (means over the images), accuracy, AUC, sensitivity and specificity on "
        "validation, images a second. A line under the cursor shows every pane as it was then. "
        "After the end the line below has the test images. {sort} sorts by the next column, {reverse} the "
        "other way round; a click on a column's head does the same."
    )

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._run: ShownRun | None = None
        self._order = Order()
        self._places: list[int] = []
        """By row, the place of its epoch among those that have ended."""
        self._of: tuple[list[EpochEnded], int, Order] = ([], -1, Order())
        self._drawn: tuple[tuple[object, ...], int, int] = (), 0, 0
        """What the rows were drawn from, how many epochs had ended, and the place of the best."""

    def compose(self) -> ComposeResult:
        yield RowList(COLUMNS, id="epochs")
        yield Static(id="test-result")
        yield Sparks(classes="below")

    def on_mount(self) -> None:
        self.border_title = "epochs"

    def resized(self) -> None:
        if self._run is not None:
            self._show_test(self._run)

    def show(self, run: ShownRun, *, sparks: bool) -> None:
        self._run = run
        self._show_rows(run)
        best = run.record.best
        chosen = f", {SELECTED_ON_TEST}" if run.record.selected_on_test else ""
        self.inscribe(subtitle=f"★ best: epoch {best.epoch}{chosen}" if best else "")
        self._show_test(run)
        if sparks:
            self._show_sparks(run)

    def _show_sparks(self, run: ShownRun) -> None:
        palette, epochs = Palette.of(self.app), run.record.epochs
        curves = (
            ("train", palette.train, [epoch.train_loss for epoch in epochs]),
            ("val", palette.validation, [epoch.validation_loss for epoch in epochs]),
            ("acc", palette.accuracy, [epoch.accuracy for epoch in epochs]),
        )
        self.query_one(Sparks).show(
            [
                Spark(Text(name, colour), colour, [value for value in values if value is not None])
                for name, colour, values in curves
            ]
        )

    def tick(self, run: ShownRun) -> None:
        """Only the row of the epoch under way has changed."""
        rows = self.query_one("#epochs", RowList)
        total = len(run.record.epochs) + (_under_way(run) is not None)
        if run is self._run and rows.count == total:
            rows.refresh_row(total - 1)
        else:
            self._run = run
            self._show_rows(run)

    def sort_by_next(self) -> None:
        """By the next column that is seen."""
        column = self.query_one("#epochs", RowList).next_column(self._order.column)
        if column is not None:
            self._sort(column)

    def reverse(self) -> None:
        self._take_order(self._order._replace(descending=not self._order.descending))

    @on(RowList.HeadClicked, "#epochs")
    def _head_clicked(self, event: RowList.HeadClicked) -> None:
        event.stop()
        if event.column == self._order.column:
            self.reverse()
        else:
            self._sort(event.column)

    def _sort(self, column: int) -> None:
        self._take_order(Order(column, column in _BEST_IS_HIGH))

    def _take_order(self, order: Order) -> None:
        self._order = order
        rows = self.query_one("#epochs", RowList)
        # The order that a run has by itself needs no mark.
        rows.show_sort(None if order == Order() else order.column, descending=order.descending)
        if self._run is not None:
            self._show_rows(self._run)
            if self._run.epoch is None and order != Order():
                rows.scroll_to(y=0, animate=False)

    @on(RowList.Moved, "#epochs")
    def _moved(self, event: RowList.Moved) -> None:
        """The row of the epoch under way follows the run."""
        event.stop()
        if self._run is not None:
            ended, at = self._run.record.epochs, event.index
            self.post_message(EpochPicked(ended[self._places[at]].epoch if at < len(self._places) else None))

    def _show_rows(self, run: ShownRun) -> None:
        ended = run.record.epochs
        self._put_in_order(ended)
        total = len(ended) + (_under_way(run) is not None)
        cursor = None
        if run.epoch is not None:
            cursor = next((row for row, at in enumerate(self._places) if ended[at].epoch == run.epoch), None)
        rows = self.query_one("#epochs", RowList)
        rows.show_rows(
            total,
            self._row,
            cursor=cursor,
            follow=total - 1 if total and self._order == Order() else None,
            selectable=len(ended),
            fresh=self._fresh(run, total),
        )

    def _fresh(self, run: ShownRun, total: int) -> Iterable[int] | None:
        """The rows that show something else than they did: a record appends to its list of epochs, or takes
        another one."""
        ended, best = run.record.epochs, run.record.best
        basis = run, id(ended), self._order, Palette.of(self.app)
        before, reached, starred = self._drawn
        if basis == before and reached == len(ended):
            return range(reached, total)
        star = next((at for at, epoch in enumerate(ended) if best and epoch.epoch == best.epoch), 0)
        self._drawn = basis, len(ended), star
        if basis != before or self._order != Order():
            return None
        return {*range(reached, total), star, starred}

    def _put_in_order(self, ended: list[EpochEnded]) -> None:
        # A record only ever appends to its list of epochs, or takes another one.
        now = ended, len(ended), self._order
        if self._of[0] is now[0] and self._of[1:] == now[1:]:
            return
        column, descending = self._order
        places = list(range(len(ended)))
        if column == _BY_EPOCH:
            self._places = places[::-1] if descending else places
        else:
            values = [_VALUES[column](epoch) for epoch in ended]
            known = [at for at in places if values[at] is not None]
            known.sort(key=lambda at: values[at] or 0.0, reverse=descending)
            self._places = known + [at for at in places if values[at] is None]
        self._of = now

    def _row(self, index: int) -> Row:
        run, palette = self._run, Palette.of(self.app)
        assert run is not None
        if index < len(self._places):
            epoch, best = run.record.epochs[self._places[index]], run.record.best
            return _row(epoch, palette, best=best is not None and best.epoch == epoch.epoch)
        progress = _under_way(run)
        return _live_row(progress, palette, paused=run.paused) if progress else ()

    def _show_test(self, run: ShownRun) -> None:
        result = self.query_one("#test-result", Static)
        result.display = run.record.test is not None
        if run.record.test is not None:
            result.update(self._test_line(run, self.size.width))

    def _test_line(self, run: ShownRun, width: int) -> Text:
        palette, test = Palette.of(self.app), run.record.test
        assert test is not None
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(" test ", palette.badge(palette.success))
        if test.skipped:
            return line.append(f" skipped: {harmless(test.skipped)}", palette.muted)
        for name, shown in (
            ("images", count(test.images)),
            ("acc", percent(test.accuracy)),
            ("AUC", number(test.auc)),
            ("sens", percent(test.sensitivity)),
            ("spec", percent(test.specificity)),
            ("loss", number(test.loss)),
            *_called_from(run),
        ):
            entry = Text.assemble((f"  {name} ", palette.muted), (shown, f"bold {palette.text}"))
            if line.cell_len + entry.cell_len > width:  # a name without its number would say nothing
                break
            line.append_text(entry)
        unsealed = run.record.unsealed
        looked = f"  {looked_at(unsealed.times)}" if unsealed else ""
        return line.append(looked, palette.muted) if line.cell_len + len(looked) <= width else line


def _called_from(run: ShownRun) -> list[tuple[str, str]]:
    """Where test was called positive, which the epochs above it are not."""
    point = run.record.point
    return [] if point is None or point.threshold is None else [("p ≥", probability(point.threshold))]


def _under_way(run: ShownRun) -> Progress | None:
    """Where the epoch under way stands, while there is one; the next one's beginning where one has ended."""
    progress = run.record.progress if run.live else None
    if progress is None or progress.epoch is None or progress.stage is None:
        return None
    if run.record.epoch(progress.epoch) is None:
        return progress
    stage, following = run.record.stages.get(progress.stage), progress.epoch + 1
    if stage is None or following >= stage.first_epoch + stage.epochs:
        return None
    return Progress(t=progress.t, phase="train", stage=progress.stage, epoch=following)


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
    words = "paused" if paused else "validation" if progress.phase == "validation" else ""
    speed = f"{progress.images_per_second:.0f}/s" if progress.images_per_second and not words else words

    def fill(cells: int) -> Text:
        tail = f" {percent(fraction, 0):>5}  {speed}"
        line = Text(bar(fraction, max(4, cells - len(tail))), palette.bar(colour))
        return line.append(tail, palette.text)

    epoch = str(progress.epoch) if progress.epoch is not None else ABSENT
    return (Text(f"▸{epoch:>4}", f"bold {colour}"), Text(progress.stage or "", colour), fill)

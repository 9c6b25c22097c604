"""A run without a screen: progress on standard error, results on standard output."""

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from xray_tui import events
from xray_tui.events import (
    ControlUsed,
    EpochEnded,
    Event,
    RunEnded,
    RunStarted,
    StageStarted,
    TestEvaluated,
    Warning,
)
from xray_tui.runs.index import Summary
from xray_tui.runs.record import RunRecord
from xray_tui.words import duration, harmless, number, percent

_PUBLISHED = ("Epoch", "Training Loss", "Test Loss", "Accuracy")
_FILE_WIDTH = 200
_PHASES = {
    "weights": "loading weights",
    "reading": "reading images",
    "train": "training",
    "validation": "validating",
    "test": "testing",
    "waiting": "waiting for `u` in xray-tui watch",
    "paused": "paused",
}


class ConsoleReporter:
    """An observer that talks on standard error and ends with the published table on standard output."""

    def __init__(self) -> None:
        self._record = RunRecord()
        self._talk = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=self._talk,
            transient=True,
            # Where nobody watches, a bar would only fill a log with lines.
            disable=not self._talk.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None, speed="")

    def __enter__(self) -> "ConsoleReporter":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, event: Event) -> None:
        self._record.apply(event)
        match event:
            case events.Progress():
                self._show(event)
            case RunStarted():
                images = ", ".join(f"{sum(n.values())} {role}" for role, n in event.images.items())
                self._say(f"{event.backbone} ({event.weights}) on {event.device}")
                self._say(f"{images} images; split {event.split_note}")
            case StageStarted():
                learns = f"{event.trainable_parameters / 1e6:.1f} of {event.total_parameters / 1e6:.1f}"
                self._say(
                    f"{event.stage}: {event.epochs} epochs, {learns} M parameters learn, "
                    f"lr {event.learning_rate:g}"
                )
            case EpochEnded():
                self._say(_epoch_line(event))
            case Warning():
                named = f": {', '.join(event.paths[:3])}" if event.paths else ""
                more = f" and {len(event.paths) - 3} more" if len(event.paths) > 3 else ""
                self._talk.print(f"[yellow]warning[/] {escape(harmless(event.message + named + more))}")
            case ControlUsed():
                self._say(f"{event.control} ({event.why})")
            case RunEnded():
                self._say(f"{event.outcome}: {event.why}, after {duration(event.seconds)}")

    def print_results(self) -> None:
        """The published table, then test."""
        out = Console(highlight=False)
        table = Table(*_PUBLISHED, box=None, pad_edge=False)
        best = self._record.best
        for e in self._record.epochs:
            star = " ★" if best and best.epoch == e.epoch else ""
            losses = number(e.train_loss, 4), number(e.validation_loss, 4)
            table.add_row(f"{e.epoch}{star}", *losses, percent(e.accuracy))
        if table.row_count:
            out.print(table)
        test = self._record.test
        if test is not None:
            out.print(escape(test_line(test)))

    def _show(self, progress: events.Progress) -> None:
        what = _PHASES[progress.phase]
        if progress.epoch is not None:
            what = f"epoch {progress.epoch} {progress.stage} {what}"
        speed = f"{progress.images_per_second:.0f} img/s" if progress.images_per_second else ""
        self._bar.update(
            self._task,
            description=what,
            completed=progress.done,
            total=progress.total or None,
            speed=speed,
        )

    def _say(self, text: str) -> None:
        self._talk.print(escape(harmless(text)), soft_wrap=True)


def print_json(event: Event) -> None:
    """An observer that prints each event as a line; progress is no result and stays out."""
    if not isinstance(event, events.Progress):
        sys.stdout.write(events.encode(event).decode() + "\n")
        sys.stdout.flush()


def test_line(test: TestEvaluated) -> str:
    if test.skipped:
        return f"test not evaluated: {test.skipped}"
    return (
        f"test ({test.images} images, epoch {test.epoch}): loss {number(test.loss, 4)}, "
        f"accuracy {percent(test.accuracy)}, AUC {number(test.auc, 4)}, "
        f"sensitivity {percent(test.sensitivity)}, specificity {percent(test.specificity)}"
    )


def print_runs(summaries: Iterable[Summary]) -> None:
    """A table of runs; where no terminal sets a width, as wide as it needs to be."""
    table = Table(box=None, pad_edge=False)
    for title in ("run", "status"):
        table.add_column(title, no_wrap=True)
    for title in ("epochs", "loss", "accuracy", "AUC", "time"):
        table.add_column(title, no_wrap=True, justify="right")
    table.add_column("name", overflow="fold")
    for s in summaries:
        cells = [
            s.directory.name,
            s.status,
            str(s.epochs),
            number(s.loss),
            percent(s.accuracy),
            number(s.auc),
        ]
        cells += [duration(s.seconds), "" if s.name == s.directory.name else s.name]
        table.add_row(*(escape(harmless(cell)) for cell in cells))
    terminal = sys.stdout.isatty()
    Console(highlight=False, width=None if terminal else _FILE_WIDTH).print(table)


def _epoch_line(e: EpochEnded) -> str:
    losses = f"train {number(e.train_loss, 4)}  val {number(e.validation_loss, 4)}"
    return (
        f"epoch {e.epoch:>2} {e.stage:<8}  {losses}  "
        f"acc {percent(e.accuracy)}  AUC {number(e.auc, 4)}  sens {percent(e.sensitivity)}  "
        f"spec {percent(e.specificity)}  {e.images_per_second:.0f} img/s  {duration(e.seconds)}"
    )

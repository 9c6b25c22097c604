"""A run without a screen: progress on standard error, results on standard output."""

import errno
import io
import os
import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import IO

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from xray_tui import event_lines, events
from xray_tui.events import (
    ControlUsed,
    EpochEnded,
    Event,
    OperatingPoint,
    Resumed,
    RunEnded,
    RunStarted,
    StageStarted,
    TestEvaluated,
    TestUnsealed,
    Warning,
)
from xray_tui.printing import results_console
from xray_tui.runs.index import Summary
from xray_tui.runs.record import RunRecord
from xray_tui.talking import NO_ROOM, talk
from xray_tui.words import (
    SELECTED_ON_TEST,
    count,
    duration,
    harmless,
    looked_at,
    number,
    percent,
    positive_of,
    probability,
)

_PUBLISHED = ("Epoch", "Training Loss", "Test Loss", "Accuracy")
_RUN_COLUMNS = ("run", "status", "epochs", "loss", "accuracy", "AUC", "time", "name", "note")
_RIGHT = ("epochs", "loss", "accuracy", "AUC", "time")
_GAP = 2
_PHASES = {
    "weights": "loading weights",
    "reading": "reading images",
    "features": "computing features",
    "train": "training",
    "statistics": "measuring averaged weights",
    "validation": "validating",
    "explaining": "explaining",
    "test": "testing",
    "predicting": "predicting",
    "waiting": "waiting for `u` in xray-tui watch",
    "full": "waiting for room on the disk",
}


class Bar:
    """Where the epoch under way stands, and lines above it.

    Args:
        stderr: they are no results; else both go to standard output.
    """

    def __init__(self, *, stderr: bool = True) -> None:
        self._talk = _Talk(stderr=stderr, highlight=False)
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

    def __enter__(self) -> "Bar":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @property
    def is_shown(self) -> bool:
        return self._talk.is_terminal

    def say(self, text: str) -> None:
        self.print(escape(harmless(text)))

    def print(self, markup: str) -> None:
        try:
            self._talk.print(markup, soft_wrap=True)
        except OSError as error:
            _let_go(self._talk.file, error)

    def show(self, progress: events.Progress, of: str = "") -> None:
        """
        Args:
            of: what goes before the words, such as a trial.
        """
        what = _PHASES[progress.phase]
        if progress.epoch is not None:
            what = f"epoch {progress.epoch} {progress.stage} {what}"
        elif progress.phase == "train":
            what = f"{progress.stage} {what}"
        speed = f"{progress.images_per_second:.0f} img/s" if progress.images_per_second else ""
        self._bar.update(
            self._task,
            description=of + what,
            completed=progress.done,
            total=progress.total or None,
            speed=speed,
        )


class ConsoleReporter:
    """An observer that talks on standard error and ends with the published table on standard output."""

    def __init__(self) -> None:
        self._record = RunRecord()
        self._bar = Bar()

    def __enter__(self) -> "ConsoleReporter":
        self._bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.__exit__()

    def recall(self, past: Iterable[Event]) -> None:
        """Take what a resumed run's journal tells, for the table at the end."""
        for event in past:
            self._record.apply(event)

    def __call__(self, event: Event) -> None:
        self._record.apply(event)
        match event:
            case events.Progress():
                self._bar.show(event)
            case RunStarted():
                images = ", ".join(f"{sum(n.values())} {role}" for role, n in event.images.items())
                self._bar.say(f"{event.backbone} ({event.weights}) on {event.device}")
                self._bar.say(f"{images} images; split {event.split_note}")
                self._say_positive()
            case StageStarted():
                learns = f"{event.trainable_parameters / 1e6:.1f} of {event.total_parameters / 1e6:.1f}"
                self._bar.say(
                    f"{event.stage}: {event.epochs} epochs, {learns} M parameters learn, "
                    f"lr {event.learning_rate:g}"
                )
            case EpochEnded():
                self._bar.say(_epoch_line(event))
            case Warning():
                self._bar.print(warning_line(event))
            case ControlUsed():
                self._bar.say(f"{event.words} ({event.why})")
            case OperatingPoint():
                self._bar.say(point_line(event))
            case TestUnsealed():
                self._bar.say(f"{count(event.images)} test images are unsealed: {looked_at(event.times)}")
            case Resumed():
                self._bar.say(f"resumed in epoch {event.epoch}")
                self._say_positive()
            case RunEnded():
                self._bar.say(f"{event.outcome}: {event.why}, after {duration(event.seconds)}")

    def _say_positive(self) -> None:
        if self._record.classes:
            self._bar.say(f"positive: {positive_of(self._record.positive, self._record.classes)}")

    def print_results(self) -> None:
        """The published table, then test."""
        out = results_console()
        table = Table(*_PUBLISHED, box=None, pad_edge=False)
        best = self._record.best
        for e in self._record.epochs:
            star = " ★" if best and best.epoch == e.epoch else ""
            losses = number(e.train_loss, 4), number(e.validation_loss, 4)
            table.add_row(f"{e.epoch}{star}", *losses, percent(e.accuracy))
        if table.row_count:
            out.print(table)
            if self._record.selected_on_test:
                out.print(f"★ {SELECTED_ON_TEST}: validation is the folder test, as published")
        test, unsealed = self._record.test, self._record.unsealed
        if test is not None:
            looked = f"; {looked_at(unsealed.times)}" if unsealed and not test.skipped else ""
            out.print(escape(test_line(test, self._record.point) + looked), soft_wrap=True)


def warning_line(warning: Warning) -> str:
    """A warning and the images that it names, as rich's markup."""
    told = warning.message
    if warning.paths:
        told = f"{told.removesuffix('.')}: {', '.join(warning.paths[:3])}"
    if (more := len(warning.paths) - 3) > 0:
        told += f" and {more} more"
    return f"[yellow]warning[/] {escape(harmless(told))}"


def print_json(event: Event) -> None:
    """An observer that prints each event as a line; progress is no result and stays out."""
    if not isinstance(event, events.Progress):
        try:
            sys.stdout.write(event_lines.encode(event).decode() + "\n")
            sys.stdout.flush()
        except OSError as error:
            _let_go(sys.stdout, error)
            if error.errno != errno.EIO:
                why = f"nothing more can be printed ({error.strerror})"
                talk(f"warning: {why}: the journal has it, and the run goes on")


def test_line(test: TestEvaluated, point: OperatingPoint | None) -> str:
    if test.skipped:
        return f"test not evaluated: {test.skipped}"
    threshold = point.threshold if point else None
    at = "" if threshold is None else f", at p ≥ {probability(threshold)}"
    return (
        f"test ({test.images} images, epoch {test.epoch}{at}): loss {number(test.loss, 4)}, "
        f"accuracy {percent(test.accuracy)}, AUC {number(test.auc, 4)}, "
        f"sensitivity {percent(test.sensitivity)}, specificity {percent(test.specificity)}"
    )


def point_line(point: OperatingPoint) -> str:
    """Where positive is called, as a person reads it."""
    where = "the likeliest class is called"
    if point.threshold is not None:
        where = f"positive is called from p ≥ {probability(point.threshold)}"
    rates = f"sensitivity {percent(point.sensitivity)}, specificity {percent(point.specificity)}"
    heat = "" if point.temperature is None else f"; temperature {point.temperature:.3f}"
    return f"operating point ({point.rule}): {where}: {rates} on validation{heat}"


def print_runs(summaries: Iterable[Summary]) -> None:
    """A table of runs; only notes are cut, and only where a terminal sets a width."""
    summaries = list(summaries)
    rows = [_RUN_COLUMNS, *(tuple(map(harmless, _run_cells(summary))) for summary in summaries)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns - sum(widths[:-1]) - _GAP * (len(widths) - 1)
        widths[-1] = min(widths[-1], max(room, len(_RUN_COLUMNS[-1])))
    for *cells, note in rows:
        # Not a rich table: with a thousand runs that takes longer than all the rest.
        padded = [
            " " * (width - cell_len(cell)) + cell
            if title in _RIGHT
            else cell + " " * (width - cell_len(cell))
            for title, cell, width in zip(_RUN_COLUMNS, cells, widths, strict=False)
        ]
        shown = note if cell_len(note) <= widths[-1] else set_cell_size(note, widths[-1] - 1) + "…"
        print((" " * _GAP).join([*padded, shown]).rstrip())
    if any(summary.mark for summary in summaries):
        print(f"* {SELECTED_ON_TEST}: validation is the folder test, as published")


def _run_cells(s: Summary) -> tuple[str, ...]:
    name = "" if s.name == s.directory.name else s.name
    return (
        *(
            s.directory.name,
            s.status,
            str(s.epochs),
            number(s.loss),
            percent(s.accuracy) + s.mark,
            number(s.auc),
        ),
        *(duration(s.seconds), " ".join(name.split()), " ".join(s.note.split())),
    )


class _Talk(Console):
    def on_broken_pipe(self) -> None:
        raise  # rich would end the process


def _let_go(stream: IO[str], error: OSError) -> None:
    """A reader who has gone, or a disk without room for what is said, is no reason for a run to end.

    A terminal that has hung up is known by a signal too, a moment later.
    """
    if error.errno not in (errno.EIO, errno.EPIPE, *NO_ROOM):
        raise error
    if error.errno != errno.EIO:
        with suppress(io.UnsupportedOperation):  # else what it still holds would be an error at the end
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _epoch_line(e: EpochEnded) -> str:
    losses = f"train {number(e.train_loss, 4)}  val {number(e.validation_loss, 4)}"
    return (
        f"epoch {e.epoch:>2} {e.stage:<8}  {losses}  "
        f"acc {percent(e.accuracy)}  AUC {number(e.auc, 4)}  sens {percent(e.sensitivity)}  "
        f"spec {percent(e.specificity)}  {e.images_per_second:.0f} img/s  {duration(e.seconds)}"
    )

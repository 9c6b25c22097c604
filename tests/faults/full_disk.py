"""A disk that is full at one kind of write, and has room again a moment later, or never.

It is real: the process's own limit of a file's size (``RLIMIT_FSIZE``) makes the system refuse the write.
"""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.engine.conftest import React, Run, essence, run_recipe
from xray_tui.engine.controls import Controls
from xray_tui.events import CheckpointSaved, EpochEnded, Event, Progress, RunEnded, StageEnded, Warning
from xray_tui.runs import follow
from xray_tui.runs.directory import list_runs

Limit = Callable[[Path], int]
"""Of a file's size in bytes, from what the run directory holds."""


@dataclass(frozen=True)
class Write:
    """A kind of write, and when to keep it from succeeding."""

    name: str
    when: Callable[[Event], bool]
    """The event after which the disk is full."""
    limit: Limit
    where: str
    """What the run must say has no room."""


def _of_journal(run: Path) -> int:
    return (run / "events.jsonl").stat().st_size + 10


def _of_event_file(run: Path) -> int:
    return max(file.stat().st_size for file in run.glob("tensorboard/frozen/*")) + 10


def _ended(event: Event) -> bool:
    return isinstance(event, EpochEnded) and event.epoch == 1


def _saved(event: Event) -> bool:
    return isinstance(event, CheckpointSaved) and event.epoch == 1


def _reads(event: Event) -> bool:
    return isinstance(event, Progress) and event.phase == "reading"


def _begins(event: Event) -> bool:
    return isinstance(event, CheckpointSaved) and event.epoch == 0


def _validates(event: Event) -> bool:
    return isinstance(event, Progress) and (event.phase, event.epoch) == ("validation", 1)


WRITES = [
    Write("pixel cache", _reads, lambda run: 10_000, "/pixels for the pixels of 24 images"),
    Write("features", _begins, lambda run: 100_000, "/features, 197 kB of features"),
    Write("predictions", _validates, lambda run: 100, "/runs/"),
    Write("explanations", lambda event: isinstance(event, StageEnded), lambda run: 100, "/runs/"),
    Write("event file", _ended, _of_event_file, "/tensorboard"),
    Write("journal", _saved, _of_journal, "/runs/"),
    Write("checkpoint", _ended, lambda run: 500_000, "last.safetensors"),
    Write("report", lambda event: isinstance(event, RunEnded), lambda run: 100, "report.md"),
]
CHANGES: dict[str, Any] = {"training.augment_views": "1"}


@contextmanager
def limited(size_bytes: int) -> Iterator[None]:
    _limit(size_bytes)
    try:
        yield
    finally:
        _limit(resource.RLIM_INFINITY)


def fill_up(write: Write, runs: Path, then: Callable[[Controls], None]) -> React:
    """Lets the disk be full at that write, and does something once the run waits."""
    over = False

    def react(event: Event, controls: Controls) -> None:
        nonlocal over
        if isinstance(event, Warning) and event.kind == "disk_full" and "waits" in event.message:
            then(controls)
        elif not over and write.when(event):
            over = True
            _limit(write.limit(list_runs(runs)[0].path))

    return react


def make_room(controls: Controls) -> None:
    _limit(resource.RLIM_INFINITY)


def run_through(write: Write, data: Path, runs: Path) -> Run:
    """A run that meets the full disk once, and goes on when there is room."""
    try:
        return run_recipe(data, runs, CHANGES, fill_up(write, runs, make_room))
    finally:
        make_room(Controls())


def run_and_stop(write: Write, data: Path, runs: Path) -> Run:
    """A run that is stopped while it waits, the disk as full as before."""
    try:
        return run_recipe(data, runs, CHANGES, fill_up(write, runs, Controls.stop))
    finally:
        make_room(Controls())


def results(run: Run) -> list[dict[str, object]]:
    return essence(follow.read(run.directory))


def _limit(size_bytes: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, most))

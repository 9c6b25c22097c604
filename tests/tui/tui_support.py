"""Runs for the dashboard to show, without an engine behind them."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from textual.pilot import Pilot

from xray_tui import config, event_lines, events
from xray_tui.engine.controls import Controls
from xray_tui.errors import UserError
from xray_tui.events import CheckpointSaved, Control, Emit, Event, Progress, RunEnded
from xray_tui.runs.directory import RunDirectory
from xray_tui.settings import Settings
from xray_tui.tui.app import XrayApp
from xray_tui.tui.panes.form import Checks
from xray_tui.tui.panes.lines import HeaderLine, KeyLine
from xray_tui.tui.panes.pages import Pages
from xray_tui.tui.parts import Parts
from xray_tui.tui.sources import Source
from xray_tui.tui.vitals import Vitals

JOURNAL = Path(__file__).parent / "journals" / "whole.jsonl"
WIDE, TALL, SMALL, TINY = (200, 50), (120, 40), (80, 24), (40, 20)


def recorded() -> list[Event]:
    """The events of the recorded run."""
    return [event for line in JOURNAL.read_bytes().splitlines() if (event := event_lines.decode(line))]


def until_epoch(number: int) -> list[Event]:
    """The recorded run, in the middle of that epoch."""
    told: list[Event] = []
    for event in recorded():
        told.append(event)
        if isinstance(event, CheckpointSaved) and event.epoch == number - 1:
            break
    return [*told, training(number)]


def training(epoch: int, done: int = 3200, speed: float = 411.0) -> Progress:
    return Progress(
        t=recorded()[-1].t,
        phase="train",
        stage="frozen" if epoch < 10 else "unfrozen",
        epoch=epoch,
        done=done,
        total=5216,
        images_per_second=speed,
    )


class Script(Source):
    """A run that tells what it is given, and notes what is asked of it."""

    def __init__(self, told: Sequence[Event] = (), *, ended: bool = False, kind: str = "watch") -> None:
        super().__init__()
        self.kind = kind
        self.asked: list[Control] = []
        self.values: list[float] = []
        self._told, self._ended = told, ended

    def request(self, control: Control, value: float | None = None) -> None:
        self.asked.append(control)
        self.values += [] if value is None else [value]

    def _run(self) -> None:
        with self._lock:  # all at once: what a test waits for is then all there, and painted
            self._waiting.extend(self._told)
        self._stirred()
        if not self._ended:
            self._closed.wait(60)


@dataclass
class FakeEngine:
    """Stands in for ``launch.start``: tells its events, then runs until it is stopped or let go."""

    told: Sequence[Event] = ()
    raises: Exception | None = None
    directory: Path | None = None
    settings: Settings | RunDirectory | None = None
    """What it was started with, or the directory it was to resume."""
    used: list[str] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)
    taken_over: Callable[[Emit], bool] = lambda emit: True
    """Asked, when the run is detached, whether another process has it; else it goes on here."""

    def __call__(
        self,
        settings: Settings | RunDirectory,
        emit: Emit,
        controls: Controls,
        *,
        opened: Callable[[RunDirectory], None] | None = None,
    ) -> RunEnded | None:
        from xray_tui.engine.controls import Detach, Stop, UnfreezeNow

        self.settings = settings
        if opened is not None and self.directory is not None:
            opened(RunDirectory(self.directory))
        for event in self.told:
            emit(event)
        if self.raises is not None:
            raise self.raises

        def used(control: Control, why: str, value: float | None = None) -> None:
            self.used.append(control)
            emit(events.ControlUsed(control=control, stage="frozen", epoch=0, why=why, value=value))

        outcome: events.Outcome = "done"
        while not self.let_go.wait(0.01):
            try:
                controls.obey(used, can_unfreeze=True, set_rate=lambda rate: None)
            except UnfreezeNow:
                continue
            except Detach:
                if self.taken_over(emit):
                    return None
                controls.take()
            except Stop:
                outcome = "interrupted"
                break
        ended = RunEnded(outcome=outcome, why="the engine's word", best_epoch=None, seconds=1.0)
        emit(ended)
        return ended


@dataclass(frozen=True)
class FakeListing:
    classes: list[str]
    counts: dict[str, dict[str, int]]


def scan(root: Path, columns: str = "") -> FakeListing:
    """Knows folders by whether they hold ``train``."""
    if not (root / "train").is_dir():
        raise UserError(f"no such folder: {root}", "name the folder that holds train/ and test/")
    return FakeListing(
        ["NORMAL", "PNEUMONIA"],
        {"train": {"NORMAL": 1341, "PNEUMONIA": 3875}, "test": {"NORMAL": 234, "PNEUMONIA": 390}},
    )


def check_backbone(name: str) -> None:
    if name not in ("resnet50", "efficientnet_lite0"):
        raise UserError(f"no backbone {name}", "did you mean resnet50?")


CHECKS = Checks(
    scan=scan, backbones=lambda: ("resnet50", "efficientnet_lite0"), check_backbone=check_backbone
)


def film(path: Path) -> Image.Image:
    """A made-up film: a dark field on a bright ground, the same for every path.

    Flat, for cells of one colour are one piece of a snapshot: a gallery of shades takes most of a megabyte.
    """
    y, x = np.mgrid[0:96, 0:96]
    dark = (x > 28) & (x < 68) & (y > 22) & (y < 78)
    return Image.fromarray(np.where(dark, 60, 210).astype(np.uint8))


def dashboard(source: Source | None = None, *, settings: Settings | None = None, **parts: Any) -> XrayApp:
    """The app with everything that moves held still."""
    end = recorded()[-1].t
    origins = parts.pop("origins", {})
    start = parts.pop("start", False)
    keymap = parts.pop("keymap", None)
    look = {name: parts.pop(name) for name in ("theme", "ascii_only") if name in parts}
    known: dict[str, Any] = {
        "read": film,
        "checks": CHECKS,
        "find_runs": lambda folder: [],
        "clock": lambda: end,
        "vitals": lambda device="", *, ours=False: Vitals(31.0, 2_100_000_000),
    }
    return XrayApp(
        settings or config.load({}),
        source=source,
        origins=origins,
        start=bool(start),
        keymap=keymap,
        **look,
        parts=Parts(**(known | parts)),
    )


async def until(pilot: Pilot[Any], holds: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait until it holds: threads take their own time. A row that is not there yet does not hold."""
    for _ in range(round(seconds / 0.02)):
        await asyncio.sleep(0.02)
        try:
            held = holds()
        except IndexError:
            held = False
        if held:
            await pilot.pause()
            return
    raise AssertionError("it never held")


def in_front(app: XrayApp) -> str:
    return app.query_one(Pages).current


def header(app: XrayApp) -> str:
    return app.screen_stack[0].query_one(HeaderLine).render().plain


def keys(app: XrayApp) -> str:
    return app.screen_stack[0].query_one(KeyLine).render().plain


def toasts(app: XrayApp) -> list[str]:
    return [note.message for note in app._notifications]

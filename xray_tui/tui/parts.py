"""What the dashboard is joined to, in one place: tests put their own parts in."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from xray_tui.engine.controls import Controls
from xray_tui.events import Emit, RunEnded
from xray_tui.runs.directory import RunDirectory
from xray_tui.settings import Settings
from xray_tui.tui.panes.form import Checks
from xray_tui.tui.pictures import PictureClass, half_block_picture, read_radiograph
from xray_tui.tui.sources import Launch, Resume
from xray_tui.tui.vitals import Look, Monitor, Vitals

if TYPE_CHECKING:  # what the first frame does not need is imported where it is first used
    from PIL import Image

    from xray_tui.board.server import Board
    from xray_tui.engine.explanation import Explanation
    from xray_tui.runs.index import Summary
    from xray_tui.tui.keeping import Keeping
    from xray_tui.tui.panes.film import Explain


def launch_engine(
    settings: Settings,
    emit: Emit,
    controls: Controls,
    *,
    opened: Callable[[RunDirectory], None] | None = None,
) -> RunEnded | None:
    """``launch.start``, imported where it is first called: in a run's thread, after the first frame."""
    from xray_tui import launch

    return launch.start(settings, emit, controls, opened=opened)


def resume_engine(
    directory: RunDirectory,
    emit: Emit,
    controls: Controls,
    *,
    opened: Callable[[RunDirectory], None] | None = None,
) -> RunEnded | None:
    """``launch.resume``, likewise."""
    from xray_tui import launch

    return launch.resume(directory, emit, controls, opened=opened)


def make_explainer(directory: RunDirectory, classes: int) -> "Explain":
    """What asks a run's weights where they look; torch is imported when it is first asked, in its thread."""
    explainer: Explain | None = None

    def explain(radiograph: Path, epoch: int | None) -> "Explanation":
        nonlocal explainer
        if explainer is None:
            from xray_tui.engine.explain import Explainer

            explainer = Explainer(directory.config, directory.checkpoints, classes)
        return explainer(radiograph, epoch)

    return explain


def find_runs(folder: Path) -> "Sequence[Summary]":
    from xray_tui.runs.index import summaries

    return summaries(folder)


def make_board(folder: Path, log: Path) -> "Board":
    from xray_tui.board.server import Board

    return Board(folder, log)


_FIRST_LOOK_SECONDS = 0.2


class LateMonitor:
    """A :class:`Monitor` made at the first look, in its thread: the first frame waits for no library."""

    def __init__(self) -> None:
        self._monitor: Monitor | None = None

    def __call__(self, device: str = "", *, ours: bool = False) -> Vitals:
        if self._monitor is None:
            self._monitor = Monitor()
            time.sleep(_FIRST_LOOK_SECONDS)  # it tells how busy the processor was since it was made
        return self._monitor(device, ours=ours)


@dataclass(frozen=True)
class Parts:
    launch: Launch = launch_engine
    resume: Resume = resume_engine
    picture: PictureClass = field(default_factory=half_block_picture)
    """The widget that shows a radiograph in this terminal."""
    read: "Callable[[Path], Image.Image]" = read_radiograph
    explain: Callable[[RunDirectory, int], "Explain"] = make_explainer
    """Makes what explains the radiographs of a run with that many classes."""
    checks: Checks = field(default_factory=Checks)
    find_runs: "Callable[[Path], Sequence[Summary]]" = find_runs
    keeping: "Keeping | None" = None
    """Notes, names, the trash, tables and comparisons of runs; ``None`` is the usual one."""
    make_board: "Callable[[Path, Path], Board]" = make_board
    """From the folder of event files and the log file."""
    clock: Callable[[], float] = time.time
    vitals: Look = field(default_factory=LateMonitor)

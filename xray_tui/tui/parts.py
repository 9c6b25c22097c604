"""What the dashboard is joined to, in one place: tests put their own parts in."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from xray_tui.board.server import Board
from xray_tui.config import Settings
from xray_tui.engine.controls import Controls
from xray_tui.events import Emit, RunEnded
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.index import Summary, summaries
from xray_tui.tui.panes.form import Checks
from xray_tui.tui.panes.picture import PictureClass, half_block_picture, read_radiograph
from xray_tui.tui.sources import Launch
from xray_tui.tui.vitals import Vitals, take_vitals


def launch_engine(
    settings: Settings,
    emit: Emit,
    controls: Controls,
    *,
    opened: Callable[[RunDirectory], None] | None = None,
) -> RunEnded:
    """``launch.start``, imported where it is first called: in a run's thread, after the first frame."""
    from xray_tui import launch

    return launch.start(settings, emit, controls, opened=opened)


@dataclass(frozen=True)
class Parts:
    launch: Launch = launch_engine
    picture: PictureClass = field(default_factory=half_block_picture)
    """The widget that shows a radiograph in this terminal."""
    read: Callable[[Path], Image.Image] = read_radiograph
    checks: Checks = field(default_factory=Checks)
    find_runs: Callable[[Path], Sequence[Summary]] = summaries
    make_board: Callable[[Path, Path], Board] = Board
    """From the folder of event files and the log file."""
    clock: Callable[[], float] = time.time
    vitals: Callable[[], Vitals] = take_vitals

"""Runs for the History tab, as lines with nothing behind them and as directories, and how to look at it."""

import shutil
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Input, Static
from tui_support import JOURNAL, until

from xray_tui import config, event_lines, events
from xray_tui.runs import state
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.index import Summary
from xray_tui.tui.app import XrayApp
from xray_tui.tui.panes.run_rows import RunRows
from xray_tui.tui.panes.runs import RunsPane


def listed(number: int, **changed: Any) -> Summary:
    """The line of a run that is done; the higher the number, the newer."""
    name = f"20261124-10{number:02}00-resnet50"
    known: dict[str, Any] = {
        "directory": RunDirectory(Path(f"runs/{name}")),
        "name": name,
        "note": "",
        "status": "done",
        "started": 1795600000.0 + 3600 * number,
        "seconds": 340.0 + 100 * number,
        "backbone": "resnet50",
        "stage": "unfrozen",
        "epochs": 15,
        "best_epoch": 13,
        "loss": 0.278,
        "accuracy": 0.891,
        "auc": 0.954,
        "data": "chest_xray",
        "settings": {},
    }
    return Summary(**(known | changed))


def several() -> list[Summary]:
    """One of each kind, newest first."""
    return [
        listed(9, status="running", stage="frozen", epochs=3),
        listed(8, name="night run", backbone="efficientnet_lite0", accuracy=0.913, loss=0.251),
        listed(7, status="failed", stage=None, epochs=0, loss=None, accuracy=None, auc=None),
        listed(6, status="interrupted", epochs=11, accuracy=0.874, note="stopped for the night"),
        listed(5, note="the one for the poster"),
    ]


def keep(
    runs: Path, now: float, *, journal: bytes | None = None, status: state.Status = "done"
) -> RunDirectory:
    """A run directory with the recorded journal."""
    settings = config.load({"run.runs_dir": str(runs), "data.root": "/data/chest_xray"})
    directory = RunDirectory.create(settings, now)
    if journal is None:
        shutil.copy(JOURNAL, directory.journal)
    else:
        directory.journal.write_bytes(journal)
    state.write(directory, status)
    return directory


def lines(told: list[events.Event]) -> bytes:
    """The journal of those events."""
    return b"".join(
        event_lines.encode(event, seq) + b"\n"
        for seq, event in enumerate(told)
        if not isinstance(event, events.Progress)
    )


def listed_names(app: XrayApp) -> list[str]:
    """The names of the runs that are shown, from the top."""
    return [run.name for run in app.query_one(RunsPane).shown]


def under_cursor(app: XrayApp) -> str | None:
    """The name of the run that the cursor is on."""
    run = app.query_one(RunsPane).under_cursor
    return run.name if run is not None else None


async def opened(pilot: Pilot[int], app: XrayApp, count: int) -> None:
    """The History tab, with so many runs in it, and keys go to its list."""
    await pilot.press("3")
    await until(pilot, lambda: app.query_one(RunRows).count == count and isinstance(app.focused, RunRows))


async def write(pilot: Pilot[int], words: str) -> None:
    """Put words into the field that has the focus."""
    assert isinstance(pilot.app.focused, Input)
    pilot.app.focused.value = words
    await pilot.pause()


def counted(app: XrayApp) -> str:
    """What the filter line says to be shown."""
    return str(app.query_one(".filter-count", Static).render()).split("●")[0].strip()

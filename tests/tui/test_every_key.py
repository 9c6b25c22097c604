"""Each key of the registry, pressed in each of its places: something shows for it, or it says why not."""

from pathlib import Path

import numpy as np
import pytest
from kept_runs import kept_run
from listed_runs import keep
from textual.pilot import Pilot
from tui_support import FakeEngine, Script, dashboard, in_front, toasts, training, until

from tests.conftest import short
from xray_tui import config
from xray_tui.engine.explanation import Explanation
from xray_tui.events import Event, Warning
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.index import summaries
from xray_tui.tui.actions import ACTIONS, TABS, Action
from xray_tui.tui.app import XrayApp
from xray_tui.tui.panes.film import Explain

FIRST = {"raw": "plus", "rougher": "plus", "reset": "right_square_bracket", "later": "left"}
"""What is pressed before a key that else has nothing to do."""


class Board:
    url, ssh_line, running = "http://localhost:6006/", "ssh -L 6006:localhost:6006 me@there", True

    def start(self) -> str:
        return self.url

    def open_browser(self) -> bool:
        return False

    def stop(self) -> None: ...


def explains(directory: RunDirectory, classes: int) -> Explain:
    def explain(radiograph: Path, epoch: int | None) -> Explanation:
        return Explanation(np.eye(2, dtype=np.float32), (0.1, 0.1, 0.9, 0.9), 1, np.full(2, 0.5), 3)

    return explain


@pytest.fixture
def live(tmp_path: Path, chest: Path) -> Script:
    """A run in the middle of an epoch, with mistakes of its own and something to warn of."""
    kept = kept_run(tmp_path / "live", data=chest, ended=False)
    told: list[Event] = [
        *kept.told,
        Warning(kind="files", message="a file"),
        training(len(kept.probabilities)),
    ]
    source = Script(told)
    source.directory = kept.directory
    return source


def seen(app: XrayApp, source: Script) -> list[object]:
    """All that a key can change for a person: what is painted, said, and asked of the run."""
    painted = [list(strip) for strip in app.screen._compositor.render_strips()]
    return [painted, toasts(app), list(source.asked), app.screen_stack[-1], app.return_value]


async def go_to(place: str, pilot: Pilot[int], app: XrayApp) -> None:
    """Out of whatever the last key has opened."""
    while len(app.screen_stack) > 1:
        app.pop_screen()
        await pilot.pause()
    app.clear_notifications()
    app.screen.set_focus(None)
    if in_front(app) != place:
        app.action_perform("train" if place == "form" else place)
    await pilot.pause()
    assert in_front(app) == place


@pytest.mark.parametrize("place", short([*TABS, "form"]))
async def test_every_key_shows(
    place: str, live: Script, chest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keep(tmp_path / "runs", 0.0)
    settings = config.load({"run.runs_dir": str(tmp_path / "runs"), "data.root": str(chest)})
    source = live if place != "form" else None  # a live run's own page is in front of the form
    app = dashboard(
        source,
        settings=settings,
        find_runs=summaries,
        explain=explains,
        make_board=lambda logdir, log: Board(),
        launch=FakeEngine(),
    )
    idle: list[str] = []

    async def press(action: Action, pilot: Pilot[int]) -> None:
        if action.id != "quit":
            await go_to(place, pilot, app)
        first = FIRST.get(action.id, ("tab" if place == "form" else "left") if action.id == "back" else "")
        if first:
            await pilot.press(first)
            await pilot.pause(0.05)
        before = seen(app, live)
        await pilot.press(action.key.split(",")[0])
        for _ in range(50):
            await pilot.pause(0.02)
            if seen(app, live) != before:
                return
        idle.append(action.id)

    async with app.run_test(size=(120, 30)) as pilot:
        if source is not None:
            await until(pilot, lambda: app.shown is not None and app.shown.record.progress is not None)
        here_already = "train" if place == "form" else place
        last = ("start", "quit")  # they lead away from the place
        here = [action for action in ACTIONS if action.fits(place) and action.id not in (here_already, *last)]
        here += [action for action in ACTIONS if action.id in last]
        for action in here:
            await press(action, pilot)
    assert idle == []

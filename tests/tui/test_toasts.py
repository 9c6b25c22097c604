"""Toasts: each said once while it stands there, and none of them in the way."""

import threading
from pathlib import Path

from listed_runs import opened, several
from textual.widgets import Input
from tui_support import TALL, dashboard, toasts, until

from xray_tui.tui.screens.notice import NoticeScreen


class Board:
    """Starts when it is let go."""

    ssh_line, running, log_file = "ssh there", True, Path("tensorboard.log")

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def start(self) -> str:
        self.let_go.wait(10)
        return "http://localhost:6007/"

    def open_browser(self) -> bool:
        return False

    def stop(self) -> None:
        self.let_go.set()


async def test_what_still_stands_there_is_not_said_again() -> None:
    app = dashboard(find_runs=lambda folder: several())
    async with app.run_test(size=TALL) as pilot:
        await opened(pilot, app, 5)
        await pilot.press(*"ccccc")
        assert toasts(app) == ["Select two or more runs with space."]
        await pilot.press("y")
        assert len(toasts(app)) == 2, "other words are"
        app.clear_notifications()
        await pilot.press("c")
        assert len(toasts(app)) == 1


async def test_tensorboard_does_not_open_over_what_a_person_types_in() -> None:
    board = Board()
    app = dashboard(find_runs=lambda folder: several(), make_board=lambda logdir, log: board)
    async with app.run_test(size=TALL) as pilot:
        await opened(pilot, app, 5)
        await pilot.press("t", "n")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press(*"go")
        board.let_go.set()
        await until(pilot, lambda: "It runs at http://localhost:6007/" in toasts(app))
        await pilot.press(*"od")
        assert isinstance(app.focused, Input)
        assert app.focused.value == "good"
        await pilot.press("escape", "slash", "t")
        assert isinstance(app.focused, Input)
        assert not isinstance(app.screen, NoticeScreen)
        await pilot.press("escape", "t")
        await until(pilot, lambda: isinstance(app.screen, NoticeScreen))

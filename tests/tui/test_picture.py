"""A radiograph takes its time, and what asked for it may be gone by then."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from textual.app import App, ComposeResult
from textual.widgets import Static
from tui_support import until

from xray_tui.tui.panes.picture import RadiographView


class Frame(Static):
    """In place of textual-image's widgets."""

    image: Image.Image | None = None


class One(App[None]):
    def __init__(self, read: Callable[[Path], Image.Image]) -> None:
        super().__init__()
        self._read = read

    def compose(self) -> ComposeResult:
        yield RadiographView(Frame, self._read)


@pytest.mark.parametrize("broken", [False, True])
async def test_one_that_comes_as_its_screen_closes_is_let_go(broken: bool) -> None:
    asked, ready = threading.Event(), threading.Event()

    def read(path: Path) -> Image.Image:
        asked.set()
        ready.wait(10)
        if broken:
            raise ValueError("broken")
        return Image.new("L", (8, 8))

    app = One(read)
    async with app.run_test() as pilot:
        view = app.query_one(RadiographView)
        view.show(Path("a.png"))
        await until(pilot, asked.is_set)
        await view.remove_children()
        ready.set()
        await app.workers.wait_for_complete()
    assert app._exception is None

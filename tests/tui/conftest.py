"""What every test of the dashboard needs."""

import os
import time
from pathlib import Path

import pytest

from xray_tui.engine import process


@pytest.fixture(autouse=True)
def _one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock in one place of the world, and all colours."""
    monkeypatch.setenv("TZ", "UTC")
    for name in ("NO_COLOR", "TEXTUAL_COLOR_SYSTEM"):
        monkeypatch.delenv(name, raising=False)
    time.tzset()


@pytest.fixture
def state() -> Path:
    """Where the dashboard of this test keeps what it remembers."""
    return Path(os.environ["XRAY_TUI_STATE_DIR"])


@pytest.fixture(autouse=True)
def _no_collecting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Garbage waits for the collector itself: many dashboards follow each other here, and none lasts."""
    monkeypatch.setattr(process, "collect_if_due", lambda: None)


@pytest.fixture(autouse=True)
def cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells twice as tall as wide, whatever terminal the tests run in."""
    from textual_image._terminal import CellSize, get_cell_size

    monkeypatch.setattr(get_cell_size, "_result", CellSize(10, 20), raising=False)

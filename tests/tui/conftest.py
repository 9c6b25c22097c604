"""What every test of the dashboard needs."""

import os
import time
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of its own, and a clock in one place of the world."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XRAY_TUI_STATE_DIR", str(folder))
    monkeypatch.setenv("TZ", "UTC")
    for name in ("NO_COLOR", "TEXTUAL_COLOR_SYSTEM"):
        monkeypatch.delenv(name, raising=False)
    time.tzset()
    assert os.environ["TZ"] == "UTC"
    return folder


@pytest.fixture(autouse=True)
def cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells twice as tall as wide, whatever terminal the tests run in."""
    from textual_image._terminal import CellSize, get_cell_size

    monkeypatch.setattr(get_cell_size, "_result", CellSize(10, 20), raising=False)

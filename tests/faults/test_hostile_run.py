"""From end to end: a run that learns beside hostile files, and the dashboard that shows it."""

from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import write_folder
from tests.faults.hostile_images import fill
from tests.forked import run_program
from tests.tui.tui_support import WIDE, dashboard, until
from xray_tui import config
from xray_tui.events import RunEnded, RunStarted, Warning
from xray_tui.runs import follow
from xray_tui.runs.directory import RunDirectory, list_runs
from xray_tui.tui.panes.picture import read_radiograph
from xray_tui.tui.sources import FollowSource

_TRAIN = "--backbone shufflenet_v2_x0_5 --weights none --image-size 32 --batch-size 8 --device cpu"
_SHORT = "--frozen-epochs 1 --unfrozen-epochs 0 --unreadable 0.8"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Thirty good images, and all that is hostile among both classes; what must be named."""
    root = tmp_path_factory.mktemp("data") / "[b]chest[@click=app.quit]\x1b[31m"
    counts = {"NORMAL": 8, "PNEUMONIA": 7}
    write_folder(root, {"train": counts, "test": counts})
    places = ("train/NORMAL", "test/PNEUMONIA")
    return root, [f"{place}/{name}" for place in places for name in fill(root / place)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, folder: tuple[Path, list[str]]) -> tuple[RunDirectory, str]:
    """A run of that folder, done by the command; what it said."""
    home = tmp_path_factory.mktemp("home")
    places = {f"XRAY_TUI_{name}_DIR": str(home / name) for name in ("CACHE", "STATE", "CONFIG")}
    words = ("train", str(folder[0]), *_TRAIN.split(), *_SHORT.split(), "--runs-dir", str(home / "runs"))
    code, told = run_program(*words, folder=home, environment=places)
    assert code == 0, told
    (directory,) = list_runs(home / "runs")
    return directory, told


def test_the_command_names_and_counts_them(
    run: tuple[RunDirectory, str], folder: tuple[Path, list[str]]
) -> None:
    directory, told = run
    assert "Traceback" not in told
    assert [c for c in told if c != "\n" and not c.isprintable()] == []
    events = follow.read(directory)
    started = next(event for event in events if isinstance(event, RunStarted))
    warning = next(event for event in events if isinstance(event, Warning) and event.kind == "unreadable")
    bad = folder[1]
    no_text = 2  # the names that are no UTF-8
    assert started.unreadable == len(warning.paths) == len(bad) + no_text
    assert f"{len(warning.paths)} images cannot be read" in warning.message
    for path in bad:
        assert any(named.startswith(f"{path} (") for named in warning.paths), path
    assert isinstance(events[-1], RunEnded)
    assert events[-1].outcome == "done"
    report = directory.report.read_text()
    assert [c for c in report if c != "\n" and not c.isprintable()] == []


@pytest.mark.long
async def test_the_dashboard_shows_it(run: tuple[RunDirectory, str], folder: tuple[Path, list[str]]) -> None:
    settings = config.load(
        {"data.root": str(folder[0]), "run.runs_dir": str(run[0].path.parent), "data.unreadable": 0.8}
    )
    asked: list[Path] = []

    def read(path: Path) -> Image.Image:
        asked.append(path)
        return read_radiograph(path)

    app = dashboard(FollowSource(run[0]), settings=settings, read=read)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        for tab in "12345":
            await pilot.press(tab)
            for key in ("tab", "down", "down", "end"):
                await pilot.press(key)
            await pilot.pause(0.3)
            assert "\x1b" not in app.export_screenshot(), tab
        await pilot.press("4")
        await until(pilot, lambda: "no regular file" in app.export_screenshot().replace("&#160;", " "))
    assert app.return_code in (0, None)
    assert not any(path.name in ("pipe.png", "zero.png", "socket.png") for path in asked)

"""Radiographs that a run calls by pseudonyms, as the Mistakes tab shows them."""

from pathlib import Path

import pytest
from textual.widgets import Static

from tests.conftest import write_image
from tests.tui.kept_runs import kept_run
from tests.tui.tui_support import WIDE, dashboard, until
from xray_tui.data.pseudonyms import Pseudonyms, key_file, own_key
from xray_tui.runs.directory import RunDirectory
from xray_tui.tui.app import XrayApp
from xray_tui.tui.panes.film import FilmPane
from xray_tui.tui.panes.halfblocks import HalfBlocks
from xray_tui.tui.panes.picture import RadiographView, read_radiograph
from xray_tui.tui.sources import FollowSource


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run that has called its images by pseudonyms, with the radiographs it was on."""
    data = tmp_path / "chest"
    kept = kept_run(tmp_path / "runs", images=12, data=data)
    names, table = Pseudonyms(own_key()), kept.directory.predictions / "images.csv"
    lines = table.read_text().splitlines()
    for number, (path, actual, patient) in enumerate(kept.directory.sources(), 1):
        write_image(data / path, size=(64, 48))
        lines[number] = f"{names.path(path)},{actual},{patient}"
    for split in ("train", "test"):
        for name in ("NORMAL", "PNEUMONIA"):
            write_image(data / split / name / "one_more.png")
    table.write_text("\n".join(lines) + "\n")
    return kept.directory


async def test_the_radiograph_of_a_pseudonym_is_shown_and_measured(run: RunDirectory) -> None:
    app = dashboard(FollowSource(run), read=read_radiograph)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("2")
        view = app.query_one(FilmPane).query_one(RadiographView)
        await until(pilot, lambda: getattr(view.children[0], "image", None) is not None)
        image = view.query_one(HalfBlocks).image
        assert image is not None
        assert image.size == (48, 64)
        await until(pilot, lambda: _shows(app, "48 × 64"))
        assert not _shows(app, "film-0")


async def test_without_its_key_the_tab_says_so_and_the_list_goes_on(run: RunDirectory) -> None:
    key_file().unlink()
    app = dashboard(FollowSource(run), read=read_radiograph)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("2")
        words = app.query_one(FilmPane).query_one("#picture-words", Static)
        await until(pilot, lambda: "the key of the pseudonyms is not on this machine" in str(words.render()))
        await pilot.press("down")
        assert _shows(app, "the key of the pseudonyms")


def _shows(app: XrayApp, words: str) -> bool:
    strips = app.screen._compositor.render_strips()
    return any(words in strip.text for strip in strips)

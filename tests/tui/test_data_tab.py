"""The Data tab on small folders of its own."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from textual.pilot import Pilot
from textual.widgets import Input, Static
from tui_support import (
    SMALL,
    TALL,
    TINY,
    WIDE,
    Script,
    dashboard,
    film,
    in_front,
    keys,
    recorded,
    toasts,
    until,
)

from tests.conftest import short, write_folder, write_image
from xray_tui import config
from xray_tui.data import checks
from xray_tui.events import RunStarted
from xray_tui.tui.app import XrayApp
from xray_tui.tui.panes.bars import CountsPane, SizesPane
from xray_tui.tui.panes.findings import FindingsPane
from xray_tui.tui.panes.gallery import Gallery, GalleryRow
from xray_tui.tui.panes.rows import RowList
from xray_tui.tui.panes.tiles import lay_out
from xray_tui.tui.screens.radiograph import RadiographScreen
from xray_tui.tui.tabs.data import DataTab

COPY = "test/NORMAL/IM-0777-0001.png"


@pytest.fixture
def spoilt(chest: Path) -> Path:
    """A folder with a copy across roles and an unreadable file."""
    shutil.copy(chest / "train" / "NORMAL" / "IM-0003-0001.png", chest / COPY)
    (chest / "train" / "NORMAL" / "IM-0000-empty.jpeg").write_bytes(b"")
    return chest


def looking_at(root: Path | str, **parts: Any) -> XrayApp:
    settings = config.load({"data.root": str(root), "data.split": "recipe", "data.unreadable": 0.5})
    return dashboard(settings=settings, **parts)


def tab(app: XrayApp) -> DataTab:
    return app.screen_stack[0].query_one(DataTab)


async def checked(pilot: Pilot[int]) -> DataTab:
    """Open the tab and wait until the files have been read."""
    app = pilot.app
    assert isinstance(app, XrayApp)
    await pilot.press("4")
    await until(pilot, lambda: "px" in words(app, SizesPane) and reading(app) == "")
    await until(pilot, lambda: strips(app) != [])
    return tab(app)


def words(app: XrayApp, pane: type[CountsPane | SizesPane]) -> str:
    found = app.query(pane)
    if not found:
        return ""
    static = found.first() if isinstance(found.first(), Static) else found.first().query_one(Static)
    return str(static.render())


def reading(app: XrayApp) -> str:
    line = app.query_one("#reading", Static)
    return str(line.render()) if line.display else ""


def rows(app: XrayApp) -> list[str]:
    """The rows of the findings, as they are seen."""
    listed = app.query_one("#findings", RowList)
    return [listed.render_line(y + 1).text.rstrip() for y in range(listed.size.height - 1)]


def names(app: XrayApp) -> list[str]:
    """The files of the gallery, all pages."""
    return [shot.path for shot in app.screen_stack[0].query_one(Gallery).shots]


def strips(app: XrayApp) -> list[Image.Image]:
    pictures: list[Any] = [row.picture for row in app.query(GalleryRow)]
    found = [picture.image for picture in pictures]
    return [image for image in found if image is not None]


async def test_nothing_set_says_what_to_do() -> None:
    app = dashboard()
    async with app.run_test(size=TALL) as pilot:
        await pilot.press("4")
        assert in_front(app) == "data"
        for key in ("f", "right", "r"):
            app.clear_notifications()
            await pilot.press(key)
            assert toasts(app) == ["There are no radiographs to show yet."]
        shown = str(app.query_one("#no-data", Static).render())
        assert shown.startswith("No data folder yet.")
        assert "1 opens the start form" in shown
        assert "look again" not in keys(app)


async def test_counts_sizes_findings_and_gallery(spoilt: Path) -> None:
    app = looking_at(spoilt)
    async with app.run_test(size=WIDE) as pilot:
        await checked(pilot)
        counts = [line.split() for line in words(app, CountsPane).splitlines()]
        assert counts[0] == ["train", "train/", "25", "56.8", "%"]
        assert counts[2][0] == "PNEUMONIA"
        assert counts[2][-3:] == ["14", "56.0", "%"]
        assert "folder test validates" in words(app, CountsPane)
        assert words(app, SizesPane).startswith("40 × 48 px, all of them\n8-bit grey; ")
        seen = rows(app)
        assert seen[0].split() == ["✕", "1", "image", "stands", "in", "more", "than", "one", "role", "2"]
        assert seen[1].startswith("! 1 file cannot be read")
        gallery = app.query_one(Gallery)
        assert str(gallery.border_title) == "gallery: train (25)"
        assert [name.split("/")[1] for name in names(app)[:4]] == [
            "PNEUMONIA",
            "NORMAL",
            "PNEUMONIA",
            "NORMAL",
        ]
        assert "r look again" in keys(app)
        assert "f role" in keys(app)


async def test_counts_come_before_the_files_are_read(spoilt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin, go_on = threading.Event(), threading.Event()
    read = checks.read

    def waiting(survey: Any, *, progress: Callable[[int, int], None], **more: Any) -> Any:
        assert begin.wait(30)
        progress(17, 43)
        assert go_on.wait(30)
        return read(survey, progress=progress, **more)

    monkeypatch.setattr(checks, "read", waiting)
    app = looking_at(spoilt)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: reading(app).startswith("reading 0 of 44"))
        await pilot.pause(0.3)
        begin.set()
        await until(pilot, lambda: reading(app).startswith("reading 17 of 43"))
        assert "1 file cannot be read" not in "\n".join(rows(app)), "that needs the files"
        assert "PNEUMONIA" in words(app, CountsPane)
        assert words(app, SizesPane) == "Known when the files have been read."
        await until(pilot, lambda: strips(app) != [])
        await pilot.press("r")
        assert toasts(app) == ["The folder is being read."]
        await pilot.press("3")
        go_on.set()
        await until(pilot, lambda: reading(app) == "")
        await pilot.press("4")
        assert "! 1 file cannot be read" in "\n".join(rows(app)), "leaving the tab loses nothing"


async def test_a_finding_opens_into_what_it_means_and_its_files(spoilt: Path) -> None:
    app = looking_at(spoilt)
    async with app.run_test(size=WIDE) as pilot:
        await checked(pilot)
        assert app.focused is app.query_one("#findings")
        await pilot.press("enter")
        seen = rows(app)
        assert seen[1].strip().startswith("Byte for byte.")
        assert "→ Keep each image in one role only." in seen[3]
        assert [line.strip() for line in seen[4:7]] == [
            "train and validation",
            "train/NORMAL/IM-0003-0001.png",
            COPY,
        ]
        assert names(app) == ["train/NORMAL/IM-0003-0001.png", COPY], "the gallery shows them"
        assert app.query_one(Gallery).shots[1].words == "validation · NORMAL"
        await pilot.press(*["down"] * 6)
        assert app.query_one(Gallery).at == 1, "the cursor on a file points at its picture"
        await pilot.press("enter")
        assert isinstance(app.screen, RadiographScreen)
        await pilot.press("escape", "escape")
        assert "gallery: train" in str(app.query_one(Gallery).border_title)
        assert app.query_one(FindingsPane).open is None
        assert in_front(app) == "data"
        await pilot.press("escape")
        assert in_front(app) != "data"


async def test_f_goes_through_the_roles(chest: Path) -> None:
    app = looking_at(chest)
    async with app.run_test(size=WIDE) as pilot:
        await checked(pilot)
        titles = []
        for _ in range(3):
            await pilot.press("f")
            titles.append(str(app.query_one(Gallery).border_title))
        assert titles == ["gallery: validation (14)", "gallery: test (4)", "gallery: train (24)"]
        await pilot.press("enter", "f")
        assert titles[-1] == str(app.query_one(Gallery).border_title), "out of a finding, back to the role"


async def test_pages_turn_and_stop_at_the_ends(chest: Path) -> None:
    app = looking_at(chest)
    async with app.run_test(size=TALL) as pilot:
        await checked(pilot)
        gallery = app.query_one(Gallery)
        assert gallery.pages == 3
        first = strips(app)
        await pilot.press("left")
        assert toasts(app) == ["This is the first page."]
        await pilot.press("right")
        assert str(gallery.border_subtitle) == "page 2 of 3"
        await until(pilot, lambda: strips(app) != [] and strips(app)[0] is not first[0])
        await pilot.press("right")
        assert gallery.page == 2
        await pilot.press("right")
        assert toasts(app)[-1] == "This is the last page."
        await pilot.press("left", "left")
        assert gallery.page == 0


@pytest.mark.long
async def test_arrows_walk_in_the_gallery_and_over_its_edges(chest: Path) -> None:
    app = looking_at(chest)
    async with app.run_test(size=TALL) as pilot:
        await checked(pilot)
        gallery = app.query_one(Gallery)
        await pilot.press("tab")
        assert app.focused is gallery
        await pilot.press("right", "down")
        assert gallery.at == 4
        await pilot.press("down", "down")
        assert (gallery.page, gallery.at) == (1, 10), "below the last row comes the next page"
        await pilot.press("left", "left")
        assert (gallery.page, gallery.at) == (0, 8)
        await pilot.press("pagedown")
        assert (gallery.page, gallery.at) == (1, 17), "the cursor stays in its place"
        await pilot.press("end")
        assert (gallery.page, gallery.at) == (2, 23)
        await pilot.press("down", "right")
        assert gallery.at == 23
        await pilot.press("home")
        assert gallery.at == 0


async def test_a_radiograph_opens_large_and_the_next_one(spoilt: Path) -> None:
    app = looking_at(spoilt)
    async with app.run_test(size=TALL) as pilot:
        await checked(pilot)
        await pilot.press("tab", "right", "enter")
        assert isinstance(app.screen, RadiographScreen)

        def about() -> str:
            return str(app.screen.query_one("#about-radiograph", Static).render())

        path = names(app)[1]
        assert str(app.screen.query_one("#radiograph-box").border_title) == path.split("/")[-1]
        assert about().startswith("NORMAL · train · ")
        assert "patient IM-0000" in about()
        at = names(app).index("train/NORMAL/IM-0003-0001.png")
        await pilot.press(*["right"] * (at - 1))
        assert "40 × 48 px L" in about()
        assert f"the same as {COPY}" in about()
        await pilot.press("escape")
        assert app.query_one(Gallery).at == at, "the cursor went along"


async def test_a_click_opens_what_it_hits(chest: Path) -> None:
    app = looking_at(chest)
    async with app.run_test(size=TALL) as pilot:
        await checked(pilot)
        gallery = app.query_one(Gallery)
        row = app.query(GalleryRow)[1].region
        await pilot.click(offset=(row.x + row.width // 2, row.y + 3))
        assert isinstance(app.screen, RadiographScreen)
        assert gallery.at == 4, "second row, second column"
        await pilot.click(offset=(60, 20))
        assert not isinstance(app.screen, RadiographScreen)


async def test_what_cannot_be_read_says_so_below_its_place(spoilt: Path) -> None:
    asked: list[str] = []

    def read(path: Path) -> Image.Image:
        asked.append(path.name)
        if "empty" in path.name:
            raise ValueError("broken")
        return film(path)

    if hasattr(os, "mkfifo"):
        os.mkfifo(spoilt / "train" / "NORMAL" / "IM-0000-a-pipe.jpeg")
    app = looking_at(spoilt, read=read)
    async with app.run_test(size=WIDE) as pilot:
        await checked(pilot)
        await until(pilot, lambda: "IM-0000-empty.jpeg" in asked)
        await until(pilot, lambda: "cannot be read" in str(app.query(GalleryRow).first().labels.render()))
        assert "IM-0000-a-pipe.jpeg" not in asked, "a pipe is never opened"


async def test_strange_names_do_no_harm(chest: Path) -> None:
    write_image(chest / "train" / "NORMAL" / "IM-0000-[red]\x1b[31m.png", seed=9)
    app = looking_at(chest)
    async with app.run_test(size=WIDE) as pilot:
        await checked(pilot)
        shown = app.export_screenshot()
        assert "\x1b" not in shown
        assert "[red]␛[31m" in shown.replace("&#x241b;", "␛")


@pytest.mark.long
async def test_look_again_finds_what_has_changed(chest: Path) -> None:
    app = looking_at(chest)
    async with app.run_test(size=WIDE) as pilot:
        await checked(pilot)
        assert "more than one role" not in "\n".join(rows(app))
        shutil.copy(chest / "train" / "NORMAL" / "IM-0003-0001.png", chest / COPY)
        await pilot.press("r")
        await until(pilot, lambda: "more than one role" in "\n".join(rows(app)))
        assert "43" in str(app.query_one(CountsPane).border_title)
        shutil.rmtree(chest / "test")
        await until(pilot, lambda: reading(app) == "")
        await pilot.press("r")
        await until(pilot, lambda: "has no folder test/" in str(app.query_one("#no-data", Static).render()))
        await pilot.press("f")
        assert toasts(app)[-1] == "There are no radiographs to show yet."


async def test_a_folder_that_is_none_says_why_and_another_one_typed_is_checked(chest: Path) -> None:
    app = looking_at("/nowhere/at [all]")
    async with app.run_test(size=TALL) as pilot:
        await pilot.press("4")
        place = app.query_one("#no-data", Static)
        await until(pilot, lambda: "no such folder: /nowhere/at [all]" in str(place.render()))
        await pilot.press("1")
        app.query_one("#field-data-root", Input).value = str(chest)
        await pilot.pause()
        await checked(pilot)
        assert "24" in words(app, CountsPane)


async def test_the_run_on_the_desk_comes_first(chest: Path, tmp_path: Path) -> None:
    other = write_folder(tmp_path / "other", {split: {"a": 3, "b": 4} for split in ("train", "test")})
    told = []
    for event in recorded():
        if isinstance(event, RunStarted):
            settings = config.load({"data.root": str(other), "data.split": "recipe"})
            event = RunStarted(
                **{name: getattr(event, name) for name in event.__struct_fields__}
                | {"settings": config.to_tree(settings), "split_note": "recipe (auto: val/ is tiny)"}
            )
        told.append(event)
    settings = config.load({"data.root": str(chest)})
    app = dashboard(Script(told), settings=settings)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.started is not None)
        await checked(pilot)
        assert str(app.query_one(CountsPane).border_title) == "images (14)"
        assert str(app.query_one(CountsPane).border_subtitle).endswith("/other")
        assert words(app, CountsPane).endswith("recipe (auto: val/ is tiny)"), "nobody asked for it"


async def test_a_live_run_leaves_it_one_gentle_thread(chest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gentle: list[bool] = []
    read = checks.read

    def noting(survey: Any, **more: Any) -> Any:
        gentle.append(more["gentle"])
        return read(survey, **more)

    monkeypatch.setattr(checks, "read", noting)
    for source in (None, Script()):
        app = dashboard(source, settings=config.load({"data.root": str(chest)}))
        async with app.run_test(size=WIDE) as pilot:
            await checked(pilot)
    assert gentle == [False, True]


@pytest.mark.parametrize("size", short([SMALL, TINY]), ids=["small", "tiny"])
async def test_panes_take_turns_on_a_small_screen(spoilt: Path, size: tuple[int, int]) -> None:
    app = looking_at(spoilt)
    async with app.run_test(size=size) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "px" in words(app, SizesPane) and reading(app) == "")

        def seen() -> list[str]:
            panes = ("counts-pane", "findings-pane", "gallery")
            return [name for name in panes if app.query_one(f"#{name}").region.area]

        assert seen() == ["counts-pane"]
        await pilot.press("tab", "enter")
        assert seen() == ["findings-pane"]
        assert "Byte for byte" in "\n".join(rows(app))
        await pilot.press("tab")
        assert seen() == ["gallery"]
        await until(pilot, lambda: len(strips(app)) == 1)
        assert names(app)[1] == COPY
        await pilot.press("shift+tab", "shift+tab")
        assert seen() == ["counts-pane"]
        await pilot.resize_terminal(*WIDE)
        await pilot.pause()
        assert seen() == ["counts-pane", "findings-pane", "gallery"]


@pytest.mark.long
async def test_another_theme_paints_the_gallery_anew(chest: Path) -> None:
    app = looking_at(chest)
    async with app.run_test(size=WIDE) as pilot:
        await checked(pilot)
        app.query_one(Gallery).turn(1)
        before = strips(app)[0].getpixel((22, 0))
        app.theme = "light-box"
        await until(pilot, lambda: strips(app)[0].getpixel((22, 0)) != before)


async def test_a_terminal_with_pixels_gets_larger_tiles(chest: Path) -> None:
    class Pixels(Static):
        image: Image.Image | None = None

    app = looking_at(chest, picture=Pixels)
    async with app.run_test(size=WIDE) as pilot:
        await checked(pilot)
        grid = lay_out(
            app.query_one(Gallery).content_size.width, app.query_one(Gallery).content_size.height, 2.0, 24
        )
        assert strips(app)[0].size == (10 * grid.span, 20 * grid.height)


@pytest.mark.parametrize(
    ("size", "theme", "pressed"),
    [
        (WIDE, "reading-room", ("tab", "right")),
        (TALL, "light-box", ("enter",)),
        (SMALL, "reading-room", ()),
        (SMALL, "light-box", ("tab", "tab")),
        (TINY, "reading-room", ("tab",)),
    ],
    ids=["wide", "finding", "small", "gallery", "tiny"],
)
def test_data(
    snap_compare: Callable[..., bool],
    spoilt: Path,
    size: tuple[int, int],
    theme: str,
    pressed: tuple[str, ...],
) -> None:
    write_image(spoilt / "train" / "NORMAL" / "IM-0800-0001.png", size=(300, 400))
    app = looking_at(spoilt)

    async def ready(pilot: Pilot[int]) -> None:
        app.theme = theme
        await pilot.press("4")
        await until(pilot, lambda: "px" in words(app, SizesPane) and reading(app) == "")
        await pilot.press(*pressed)
        gallery = app.query_one(Gallery)
        await until(pilot, lambda: not gallery.region.area or strips(app) != [])
        app.query_one(CountsPane).border_subtitle = "~/chest_xray"
        await pilot.pause(0.3)

    assert snap_compare(app, terminal_size=size, run_before=ready)


@pytest.mark.parametrize("width", [10, 36, 58, 118])
@pytest.mark.parametrize("height", [4, 15, 34, 44])
@pytest.mark.parametrize("wanted", [1, 2, 5, 5200])
def test_a_grid_fits_its_pane(width: int, height: int, wanted: int) -> None:
    grid = lay_out(width, height, 2.0, wanted)
    assert grid.span <= width
    assert grid.rows * grid.row_height <= height + 1
    assert grid.height + 2 <= max(grid.row_height, 3)
    usual = lay_out(width, height, 2.0, 10_000)
    assert grid.tiles >= min(wanted, usual.tiles)
    assert grid.width >= usual.width


def test_half_blocks_are_two_pixels_a_cell() -> None:
    from xray_tui.tui.panes.halfblocks import half_blocks

    image = Image.new("RGB", (2, 4))
    image.putdata([(0, 0, 0), (9, 8, 7), (255, 255, 255), (1, 2, 3), *[(5, 5, 5)] * 4])
    strips = half_blocks(image, 2, 2)
    cells: list[Any] = [segment.style for segment in strips[0]]
    assert [strip.text for strip in strips] == ["▀▀", "▀▀"]
    assert [(str(s.color.triplet.hex), str(s.bgcolor.triplet.hex)) for s in cells] == [
        ("#000000", "#ffffff"),
        ("#090807", "#010203"),
    ]

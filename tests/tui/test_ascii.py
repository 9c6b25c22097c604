"""The screen without unicode: ASCII alone, nothing moved, pictures and curves still to be read."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from tui_support import SMALL, TALL, TINY, WIDE, Script, dashboard, recorded, until

from tests.conftest import short
from tests.test_events import operating_point
from xray_tui.drawing.ascii import in_ascii, stand_in, wants_ascii
from xray_tui.drawing.raster import Raster
from xray_tui.tui.actions import BY_ID
from xray_tui.tui.app import XrayApp
from xray_tui.tui.ascii import AsciiFilter
from xray_tui.tui.keymap import KeyMap

TABS = ("1", "2", "3", "4", "5", "s")


@pytest.mark.parametrize(
    ("words", "plain"),
    [
        ("IM-0031.jpeg", "IM-0031.jpeg"),
        ("╭─ epochs ─╮│┊┈", "+- epochs -+|:."),
        ("★ best ● live ▸ 4 ← →", "* best @ live > 4 < >"),
        ("Röntgen Łódź ½", "Rontgen Lodz 1"),
        ("胸部", "????"),
        ("a…b – c · d", "a~b - c . d"),
        ("e\u0301", "e"),
        ("━━▁▂▃▄▅▆▇█", "==_.-=+*%#"),
        ("\u241b[31m \ufffd", "?[31m ?"),
        ("ﬁ", "f"),
        ("p ≥ 0.6869, ≤ 1, ≠ 0", "p >=0.6869, <=1, !=0"),
        ("≥1", ">1"),
    ],
)
def test_what_stands_in_for_what(words: str, plain: str) -> None:
    assert in_ascii(words) == plain


@given(st.text())
def test_any_words_become_ascii_of_the_same_width(words: str) -> None:
    plain = in_ascii(words)
    assert plain.isascii()
    if not any(ord(character) < 0x20 or ord(character) == 0x7F for character in words):
        assert len(plain) == cell_len(words)


def test_curves_keep_their_slope_and_their_height() -> None:
    def drawn(*line: int) -> list[str]:
        raster = Raster(6, 3)
        raster.line(*line, "#ffffff")
        return [in_ascii("".join(segment.text for segment in row)) for row in raster.rows(Style())]

    assert drawn(0, 0, 11, 0) == ['""""""', " " * 6, " " * 6]
    assert drawn(0, 3, 11, 3) == ["______", " " * 6, " " * 6]
    assert drawn(0, 5, 11, 5) == [" " * 6, "------", " " * 6]
    assert all("/" in row and "\\" not in row for row in drawn(0, 11, 11, 0))
    assert all("\\" in row and "/" not in row for row in drawn(0, 0, 11, 11))
    assert drawn(0, 0, 0, 11) == ["|     "] * 3


def test_a_picture_is_as_bright_as_it_was() -> None:
    def cell(grey: int) -> str:
        colour = Color(grey, grey, grey).rich_color
        segment = Segment("▀", Style.from_color(colour, colour))
        (plain,) = AsciiFilter().apply([segment], Color(0, 0, 0))
        assert plain.style is not None
        return plain.text

    ramp = " .:-=+*#%@"
    places = [ramp.index(cell(grey)) for grey in range(0, 256, 5)]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0, 9)
    assert set(places) == set(range(10))


def lines(app: XrayApp) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips()]


@pytest.mark.parametrize("size", short([SMALL, TALL, TINY]), ids=str)
async def test_every_tab_is_ascii_alone_and_as_wide_as_before(size: tuple[int, int]) -> None:
    app = dashboard(Script(recorded(), ended=True), ascii_only=True)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        for keys in (*TABS, "question_mark", "escape,ctrl+o", "escape,ctrl+p"):
            await pilot.press(*keys.split(","))
            await pilot.pause(0.05)
            screen = lines(app)
            assert not [line for line in screen if not line.isascii()], keys
            assert {len(line) for line in screen} == {size[0]}, keys
            assert len(screen) == size[1]


async def test_nothing_moves() -> None:
    """What is ASCII anyway stands where it stood."""

    async def frame(*, ascii_only: bool) -> list[str]:
        app = dashboard(Script(recorded(), ended=True), ascii_only=ascii_only)
        async with app.run_test(size=TALL) as pilot:
            await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
            return lines(app)

    before, after = await frame(ascii_only=False), await frame(ascii_only=True)
    half = TALL[0] // 2  # on the right are pictures, and letters beside the curves
    assert [in_ascii(line)[:half] for line in before] == [line[:half] for line in after]


async def test_a_threshold_means_what_it_meant() -> None:
    told = recorded()
    point = operating_point(epoch=9, threshold=0.5641)
    app = dashboard(Script([*told[:-2], point, *told[-2:]], ended=True), ascii_only=True)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        screen = "\n".join(lines(app))
        assert screen.count("p >=0.5641") == 2, "of test, and below the confusion"
        assert "p >0.5641" not in screen
        assert "p > 0.5641" not in screen


@pytest.mark.parametrize(
    ("environment", "plain"),
    [
        ({"LANG": "de_DE.UTF-8"}, False),
        ({"LANG": "en_US.utf8"}, False),
        ({"LANG": "de_DE.ISO-8859-1"}, True),
        ({"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, True),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, False),
        ({}, False),
        ({"TERM": "linux", "LANG": "en_US.UTF-8"}, True),
    ],
)
def test_a_terminal_without_unicode_is_known_by_its_locale(environment: dict[str, str], plain: bool) -> None:
    assert wants_ascii(environment) is plain


def test_every_sign_that_the_screens_use_has_a_stand_in_of_its_own() -> None:
    """A sign of ours that becomes ? was forgotten."""
    signs = {
        character
        for file in Path(__file__).parents[2].glob("xray_tui/tui/**/*.py")
        if file.name != "ascii.py"
        for character in file.read_text(encoding="utf-8")
        if not character.isascii()
    }
    assert {sign for sign in signs if "?" in stand_in(sign)} == set()


@pytest.mark.parametrize("ascii_only", [True, False])
async def test_keys_are_named_in_words(ascii_only: bool) -> None:
    """In ASCII the signs for backspace and for the left arrow would be one."""
    app = dashboard(Script(recorded(), ended=True), ascii_only=ascii_only)
    async with app.run_test(size=TALL) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        told: dict[str, str] = {}
        for tab in "12345":
            await pilot.press(tab, "question_mark")
            rows = [line.strip("| │").split("  ", 1) for line in lines(app) if "  " in line.strip("| │")]
            told |= {words.strip(): key for key, words in rows}
            await pilot.press("escape")
        keys = [told[words] for words in ("Back to the default.", "Show every pane an epoch later.")]
        assert keys == (["bksp", "right"] if ascii_only else ["⌫", "→"])
        assert "<" not in told.values()


def test_a_key_map_that_spells_does_so_for_its_heirs() -> None:
    keymap = KeyMap(spelled=True).with_keys(BY_ID["note"], "ctrl+left,b")
    assert keymap.shown_all(BY_ID["note"]) == "^left b"
    assert keymap.saved().fill("{reset}, {later}, {←} {none}") == "bksp, right, left {none}"
    assert KeyMap().fill("{reset}, {later}, {←} {none}") == "⌫, →, ← {none}"

"""Themes: files, what is filled in, contrast, colour vision, live reload, the preview, what is remembered."""

import os
from itertools import pairwise
from pathlib import Path

import pytest
from rich.color import Color as RichColor
from rich.style import Style
from textual.color import Color
from textual.command import CommandList
from textual.pilot import Pilot
from textual.theme import BUILTIN_THEMES
from tui_support import SMALL, Script, dashboard, recorded, toasts, until, until_epoch

from xray_tui.errors import UserError
from xray_tui.tui import remembered, themes
from xray_tui.tui.app import XrayApp
from xray_tui.tui.screens.theme_palette import ThemePalette
from xray_tui.tui.terminal_colours import NAMES, of_the_terminal
from xray_tui.tui.theme_files import COLOURS, MEANINGS, complete, contrast, read_theme, read_themes
from xray_tui.tui.themes import Palette

OURS = ["reading-room", "light-box", "high-contrast", "colour-blind-safe", "terminal"]
TEXTS = ("text", "muted", "faint", "primary", "frozen", "unfrozen", "validation", "accuracy", "auc", "best")
VERDICTS = ("success", "warning", "error")


def palette(name: str) -> Palette:
    app = dashboard()
    app.themes.put_on(name)
    app.get_css_variables()
    return Palette.of(app)


def test_the_packed_themes_are_sound_and_offered_first() -> None:
    found, complaints = read_themes(themes.packed_folder())
    assert complaints == []
    assert {theme.name for theme in found} == set(OURS)
    assert dashboard().themes.names[: len(OURS)] == OURS
    assert "gruvbox" in dashboard().themes.names
    assert "ansi-dark" not in dashboard().themes.names


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("name = 'x'", "no primary"),
        ("primary = '#fff'", "no name"),
        ("name = 'x'\nprimary = 'bleu'", "primary = 'bleu' is no colour: did you mean blue?"),
        ("name = 'x'\nprimary = '#fff'\nforground = '#000'", "did you mean foreground?"),
        ("name = 'x'\nprimary = '#fff'\ndark = 'yes'", "dark and ansi are true or false"),
        ("name = 'x'\nprimary = '#fff'\n[variables]\nfrozen = 7", "frozen"),
        ("name = 'x'\nprimary = '#fff'\n[variables]\nfrosen = '#fff'", "did you mean frozen?"),
        ("name = 'x'\nprimary = '#fff'\n[variables]\nscrollbar = 'so red'", "scrollbar"),
        ("name = 'x'\nprimary = '#fff'\n[variables]\nlink-style = 'wavy'", "no text style"),
        ("name = ", "Invalid value"),
    ],
)
def test_a_broken_file_is_told_by_name_and_the_others_load(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / "broken.toml").write_text(content)
    (tmp_path / "good.toml").write_text(
        "name = 'good'\nprimary = '#123456'\n[variables]\nscrollbar = 'red 40%'"
    )
    found, complaints = read_themes(tmp_path)
    assert [theme.name for theme in found] == ["good"]
    assert len(complaints) == 1
    assert complaints[0].startswith("broken.toml: ")
    assert why in complaints[0]


@pytest.mark.parametrize("primary", ["#62b6c4", "#123456", "yellow", "#ff00ff", "white", "black"])
@pytest.mark.parametrize("rest", [{}, {"background": "#ffffff"}, {"background": "#444444"}], ids=str)
def test_a_name_and_a_primary_colour_are_a_theme_that_can_be_read(primary: str, rest: dict[str, str]) -> None:
    theme = complete("mine", {"primary": primary, **rest})
    assert theme.dark == (rest.get("background") != "#ffffff")
    colours = {name: getattr(theme, name) for name in COLOURS} | theme.variables
    assert not [name for name, colour in colours.items() if colour is None]
    ground = Color.parse(colours["background"])
    for name in MEANINGS.keys() - {"hairline", "lit"} | {"foreground", "success", "warning", "error"}:
        assert contrast(Color.parse(colours[name]), ground) >= 4.5, name
    assert contrast(Color.parse(colours["primary"]), ground) >= 3.0
    assert contrast(Color.parse(colours["foreground"]), Color.parse(colours["lit"])) >= 3.0


@pytest.mark.parametrize(
    "name", [*OURS[:-1], *(name for name, theme in BUILTIN_THEMES.items() if not theme.ansi)]
)
def test_every_theme_on_offer_can_be_read(name: str) -> None:
    colours = palette(name)
    ground = Color.parse(colours.background)
    least = 7.0 if name == "high-contrast" else 4.5 if name in OURS else 3.0
    for meaning in (*TEXTS, *VERDICTS):
        assert contrast(Color.parse(getattr(colours, meaning)), ground) >= least, meaning
    for colour, share in ((colours.success, 0.55), (colours.error, 0.55), (colours.success, 0.1)):
        style = Style.parse(colours.ground(colour, share))
        ink, tinted = (Color.from_rich_color(part) for part in (style.color, style.bgcolor))
        assert contrast(ink, tinted) >= min(7.0, 0.9 * contrast(Color.parse(colours.muted), ground))


def test_colours_of_the_terminal_are_numbers_that_nothing_else_has() -> None:
    colours = palette("terminal")
    assert colours.ansi
    numbers = {of_the_terminal(name): name for name in NAMES}
    assert len(numbers) == len(NAMES)
    assert not [number for number in numbers if len(set(Color.parse(number).rgb)) == 1], "no grey of a film"
    for meaning in (*TEXTS, *VERDICTS, "hairline", "background", "lit"):
        assert getattr(colours, meaning) in numbers
    for share in (0.0, 0.3, 1.0):
        assert colours.faded(colours.primary, share) in numbers, "never mixed"
    assert colours.pixel(colours.background) == "#000000"


async def test_the_terminal_theme_paints_nothing_else_but_radiographs() -> None:
    app = dashboard(Script(until_epoch(5)), theme="terminal")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 5)
        for keys in (("tab", "up"), ("3",), ("5",), ("question_mark",), ("escape", "ctrl+o")):
            await pilot.press(*keys)
            await pilot.pause()
            for text, style in painted(app):
                assert not [part for part in style if part and part.triplet], (keys, text)


# Dichromacy as Viénot, Brettel and Mollon (1999) and, for tritanopia, Machado et al. (2009) give it, on
# linear RGB.
_VISIONS = {
    "deuteranopia": ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
    "protanopia": ((0.10889, 0.89111, 0.0), (0.10889, 0.89111, 0.0), (0.00447, -0.00447, 1.0)),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
_PAIRS = (
    ("frozen", "unfrozen"),
    ("train", "validation"),
    ("accuracy", "auc"),
    ("success", "error"),
    ("success", "warning"),
    ("best", "validation"),
)


def seen(colour: str, vision: str) -> tuple[float, float, float]:
    """The colour in OKLab, as such eyes see it."""
    linear = [
        ((p + 0.055) / 1.055) ** 2.4 if p > 0.04045 else p / 12.92 for p in Color.parse(colour).normalized
    ]
    r, g, b = (
        min(1.0, max(0.0, sum(m * c for m, c in zip(row, linear, strict=True)))) for row in _VISIONS[vision]
    )
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    middle = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


@pytest.mark.parametrize("vision", _VISIONS)
def test_the_safe_theme_keeps_apart_what_belongs_apart(vision: str) -> None:
    colours = palette("colour-blind-safe")
    for one, other in _PAIRS:
        first, second = (getattr(colours, meaning) for meaning in (one, other))
        apart = (
            sum((a - b) ** 2 for a, b in zip(seen(first, vision), seen(second, vision), strict=True)) ** 0.5
        )
        assert apart >= 0.12, (one, other, apart)
        brightness = contrast(Color.parse(first), Color.parse(second))
        assert brightness >= 1.3, (one, other, brightness)


def test_grounds_and_faded_colours_get_stronger_with_their_share() -> None:
    colours = palette("reading-room")
    ground = Color.parse(colours.background)
    stronger = [
        contrast(Color.parse(colours.faded(colours.success, share)), ground) for share in (0, 0.3, 0.6, 1)
    ]
    assert all(one < other for one, other in pairwise(stronger))
    assert colours.faded(colours.success, 1.0).lower() == colours.success.lower()


async def test_broken_files_give_one_toast_and_the_app_opens(own_themes: Path) -> None:
    for name in ("a", "b"):
        (own_themes / f"{name}.toml").write_text("nonsense")
    app = dashboard()
    async with app.run_test():
        assert len(toasts(app)) == 1
        assert "a.toml" in toasts(app)[0]
        assert "b.toml" in toasts(app)[0]


@pytest.fixture
def own_themes() -> Path:
    folder = themes.own_folder()
    folder.mkdir(parents=True)
    return folder


def primary_is(app: XrayApp, colour: str) -> bool:
    """Within what Textual rounds off."""
    wanted, found = Color.parse(colour).rgb, Color.parse(Palette.of(app).primary).rgb
    return all(abs(one - other) <= 1 for one, other in zip(wanted, found, strict=True))


def write(file: Path, content: str) -> None:
    """As an editor does, at once, and certainly with another time."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    beside = file.with_suffix(".new")
    beside.write_text(content)
    os.utime(beside, ns=(before + 10**9, before + 10**9))
    beside.replace(file)


async def test_a_theme_of_ones_own_changes_while_it_is_on(own_themes: Path) -> None:
    file = own_themes / "mine.toml"
    write(file, "name = 'mine'\nprimary = '#fe8800'")
    app = dashboard(theme="mine")
    async with app.run_test() as pilot:
        assert primary_is(app, "#fe8800")
        write(file, "name = 'mine'\nprimary = '#00ff88'")
        assert await app.themes.look() == []
        await until(pilot, lambda: primary_is(app, "#00ff88"))
        write(file, "name = 'mine'\nprimary = 'bleu'")
        assert await app.themes.look() == ["mine.toml: primary = 'bleu' is no colour: did you mean blue?"]
        assert await app.themes.look() == [], "told once for each version of the file"
        assert primary_is(app, "#00ff88"), "the last good version stays"
        file.unlink()
        assert await app.themes.look() == []
        assert app.theme == "reading-room"
        assert "mine" not in app.themes.names


async def test_the_folder_is_looked_at_by_itself(own_themes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xray_tui.tui.looks._THEMES_SECONDS", 0.02)
    app = dashboard()
    async with app.run_test() as pilot:
        write(own_themes / "new.toml", "name = 'new'\nprimary = '#fe8800'")
        await until(pilot, lambda: "new" in app.themes.names)
        write(own_themes / "new.toml", "name = 'new'\nprimary = 'bleu'")
        await until(pilot, lambda: len(toasts(app)) == 1)
        assert toasts(app) == ["new.toml: primary = 'bleu' is no colour: did you mean blue?"]
        await pilot.pause(0.1)
        assert len(toasts(app)) == 1


async def test_a_theme_of_ones_own_wins_over_ours_of_the_same_name(own_themes: Path) -> None:
    write(own_themes / "mine.toml", "name = 'light-box'\nprimary = '#fe2020'")
    app = dashboard(theme="light-box")
    async with app.run_test():
        assert primary_is(app, "#fe2020")
        assert app.themes.origin("light-box") == "yours: mine.toml"
        (own_themes / "mine.toml").unlink()
        await app.themes.look()
        app.get_css_variables()
        assert primary_is(app, read_theme(themes.packed_folder() / "light-box.toml").primary)


async def choose(app: XrayApp, pilot: Pilot[int], *keys: str) -> None:
    app.search_themes()
    await until(pilot, lambda: bool(app.screen.query("CommandList > *")) or highlighted(app) is not None)
    for key in keys:
        await pilot.press(key)
        await pilot.pause()


def highlighted(app: XrayApp) -> int | None:
    found = app.screen.query(CommandList)
    return found.first().highlighted if found else None


async def test_a_theme_is_seen_while_it_is_chosen_and_escape_takes_it_off_again() -> None:
    app = dashboard(Script(recorded(), ended=True), theme="light-box")
    async with app.run_test(size=SMALL) as pilot:
        await choose(app, pilot)
        assert isinstance(app.screen, ThemePalette)
        assert app.theme == "light-box", "the cursor begins on the theme that is on"
        assert highlighted(app) == OURS.index("light-box")
        await pilot.press("down")
        await until(pilot, lambda: app.theme == "high-contrast")
        ground = app.screen.query_one("#--container").styles.background
        assert ground.hex6 == "#000000", "the palette itself is in that theme too"
        await pilot.press("escape")
        await until(pilot, lambda: app.theme == "light-box")
        assert remembered.load_theme() == ""


async def test_the_chosen_theme_is_remembered() -> None:
    app = dashboard()
    async with app.run_test(size=SMALL) as pilot:
        await choose(app, pilot, "down", "enter")
        await until(pilot, lambda: not isinstance(app.screen, ThemePalette))
        await pilot.pause()
        assert app.theme == "light-box"
    assert dashboard().theme == "light-box"
    assert dashboard(theme="terminal").theme == "terminal", "what the config file says wins"


async def test_a_remembered_theme_that_is_gone_is_told() -> None:
    remembered.save_theme("mine")
    app = dashboard()
    async with app.run_test():
        assert app.theme == "reading-room"
        assert toasts(app) == ["the theme mine is gone; reading-room is on instead"]


def test_an_unknown_theme_of_the_config_file_is_an_error_with_the_nearest() -> None:
    with pytest.raises(UserError) as error:
        dashboard(theme="reading-rom")
    assert "reading-rom" in error.value.message
    assert "reading-room" in error.value.hint


async def test_what_is_written_on_the_screen_follows_the_theme() -> None:
    """Texts made in the old theme's colours would stay behind in the new one."""
    app = dashboard(Script(recorded(), ended=True))
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        for tab, theme in (
            ("1", "light-box"),
            ("s", "reading-room"),
            ("3", "light-box"),
            ("5", "reading-room"),
        ):
            await pilot.press(tab)
            await pilot.pause()
            old = Palette.of(app)
            app.themes.put_on(theme)
            await pilot.pause()
            stale = {old.text, old.muted, old.faint, old.primary, old.background}
            for text, style in painted(app):
                assert not {part.triplet.hex for part in style if part and part.triplet} & stale, (tab, text)


def painted(app: XrayApp) -> list[tuple[str, tuple[RichColor | None, RichColor | None]]]:
    """The words on the screen, less radiographs, with their colour and ground."""
    return [
        (text, (style.color, style.bgcolor))
        for strip in app.screen._compositor.render_strips()
        for text, style, _ in strip
        if style is not None and text.strip() and "▀" not in text
    ]


async def test_the_first_frame_has_the_colours_of_the_theme() -> None:
    app = dashboard()
    async with app.run_test():
        assert app.theme_variables["primary"].lower() == app.current_theme.primary.lower()


async def test_in_high_contrast_every_word_is_seven_to_one() -> None:
    app = dashboard(Script(recorded(), ended=True), theme="high-contrast")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        for keys in ("tab,up", "3", "slash,a", "escape,escape,4", "5", "down,down", "s", "tab,tab"):
            await pilot.press(*keys.split(","))
            await pilot.pause()
            for text, (ink, ground) in painted(app):
                if any(character.isalnum() for character in text):
                    assert ink is not None, text
                    assert ground is not None, text
                    seen_as = contrast(Color.from_rich_color(ink), Color.from_rich_color(ground))
                    assert seen_as >= 7.0, (keys, text, ink.name, ground.name)


async def test_a_tab_opened_while_the_theme_changes_is_styled() -> None:
    app = dashboard()
    async with app.run_test(size=SMALL) as pilot:
        app.themes.put_on("light-box")
        await pilot.press("3")
        await pilot.pause()
        assert app.query_one("#history-pane").styles.border_top[0] == "round"

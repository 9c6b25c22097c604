"""The frame of the pane that has the focus."""

from textual.color import Color
from tui_support import Script, dashboard, recorded, until

from xray_tui.tui.app import XrayApp
from xray_tui.tui.themes import Palette


def lit(app: XrayApp) -> set[str | None]:
    """Panes whose frames have the colour of the one with the focus."""
    primary = Color.parse(Palette.of(app).primary)
    return {pane.id for pane in app.query(".pane, #form") if pane.styles.border_top[1] == primary}


async def test_the_frames_around_the_focus_are_lit_and_no_others() -> None:
    app = dashboard(Script(recorded(), ended=True))
    async with app.run_test(size=(160, 45)) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        assert lit(app) == set()
        await pilot.press("tab")
        await until(pilot, lambda: lit(app) == {"epochs-pane"})
        await pilot.press("tab")
        await until(pilot, lambda: len(lit(app)) == 1 and "epochs-pane" not in lit(app))
        await pilot.press("escape")
        await until(pilot, lambda: lit(app) == set())


async def test_another_theme_lights_in_its_own_colour() -> None:
    app = dashboard(Script(recorded(), ended=True))
    async with app.run_test(size=(160, 45)) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        await pilot.press("tab")
        await until(pilot, lambda: lit(app) == {"epochs-pane"})
        before = Palette.of(app).primary
        app.themes.put_on("light-box")
        await until(pilot, lambda: Palette.of(app).primary != before and lit(app) == {"epochs-pane"})


async def test_the_form_is_lit_while_one_of_its_fields_has_the_focus() -> None:
    app = dashboard()
    async with app.run_test(size=(160, 45)) as pilot:
        assert lit(app) == set()
        await pilot.press("tab")
        await until(pilot, lambda: lit(app) == {"form"})
        await pilot.press("escape")
        await until(pilot, lambda: lit(app) == set())


async def test_a_frame_comes_back_into_sight_as_the_focus_is_then() -> None:
    app = dashboard(Script(recorded(), ended=True))
    async with app.run_test(size=(160, 45)) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        await pilot.press("tab")
        await until(pilot, lambda: lit(app) == {"epochs-pane"})
        await pilot.press("4", "1")
        await until(pilot, lambda: app.focused is None and lit(app) == set())
        await pilot.press("tab")
        await until(pilot, lambda: lit(app) == {"epochs-pane"})
        app.screen.set_focus(None)
        await until(pilot, lambda: lit(app) == set())

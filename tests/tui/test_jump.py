"""Jump mode: a letter over what can be reached, a press goes there."""

import pytest
from textual.command import CommandList
from textual.geometry import Offset
from textual.widgets import Input
from tui_support import SMALL, TALL, TINY, Script, dashboard, in_front, until, until_epoch

from xray_tui.tui.app import XrayApp
from xray_tui.tui.jump import Badge, JumpScreen, Target
from xray_tui.tui.panes.lines import TabLine


def badges(app: XrayApp) -> dict[str, Target]:
    """By title."""
    return {badge.target.title: badge.target for badge in app.screen.query(Badge)}


def at(app: XrayApp, target: Target) -> str:
    """What is painted where the badge is to be."""
    line = app.screen._compositor.render_strips()[target.at.y].text
    return line[target.at.x : target.at.x + 3]


@pytest.mark.parametrize("size", [TALL, SMALL, TINY], ids=str)
async def test_badges_lie_over_tabs_and_panes(size: tuple[int, int]) -> None:
    app = dashboard(Script(until_epoch(6)))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 6)
        await pilot.press("ctrl+o")
        await pilot.pause()
        found = badges(app)
        assert len({target.key for target in found.values()}) == len(found) >= 6
        assert "epochs" in found
        assert [target.key for target in found.values()][:5] == ["1", "2", "3", "4", "5"]
        for target in found.values():
            assert at(app, target) == f" {target.key} "


async def test_a_letter_gives_the_focus_to_its_pane() -> None:
    app = dashboard(Script(until_epoch(6)))
    async with app.run_test(size=TALL) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 6)
        await pilot.press("ctrl+o")
        await pilot.pause()
        await pilot.press(badges(app)["mistakes"].key)
        await pilot.pause()
        assert not isinstance(app.screen, JumpScreen)
        assert app.focused is not None
        assert app.focused.id == "mistakes"


async def test_on_a_small_screen_a_letter_brings_a_pane_into_view() -> None:
    app = dashboard(Script(until_epoch(6)))
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 6)
        await pilot.press("ctrl+o")
        await pilot.pause()
        await pilot.press(badges(app)["confusion"].key)
        await pilot.pause()
        assert app.query_one("#confusion").display
        assert not app.query_one("#epochs-pane").display


async def test_a_digit_opens_a_tab_and_other_keys_leave() -> None:
    app = dashboard()
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("ctrl+o", "3")
        await pilot.pause()
        assert in_front(app) == "history"
        for key in ("escape", "ctrl+o", "f5", "full_stop"):
            await pilot.press("ctrl+o")
            assert isinstance(app.screen, JumpScreen)
            await pilot.press(key)
            await pilot.pause()
            assert not isinstance(app.screen, JumpScreen)
            assert in_front(app) == "history"


async def test_the_fields_of_the_form_are_reached_and_known_by_their_labels() -> None:
    app = dashboard()
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("ctrl+o")
        await pilot.pause()
        found = badges(app)
        assert {"Data folder", "Backbone", "Preset"} <= found.keys()
        await pilot.press(found["Backbone"].key)
        await pilot.pause()
        assert isinstance(app.focused, Input)
        assert app.focused.id == "field-model-backbone"
        await pilot.press("ctrl+o")
        assert isinstance(app.screen, JumpScreen), "from within a field too"


async def test_badges_can_be_clicked_and_go_when_the_screen_changes() -> None:
    app = dashboard(Script(until_epoch(6)))
    async with app.run_test(size=TALL) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 6)
        await pilot.press("ctrl+o")
        await pilot.pause()
        await pilot.click(offset=badges(app)["epochs"].at + Offset(1, 0))
        await pilot.pause()
        assert app.focused is not None
        assert app.focused.id == "epochs"
        await pilot.press("ctrl+o")
        await pilot.resize_terminal(*SMALL)
        await until(pilot, lambda: not isinstance(app.screen, JumpScreen))


async def test_the_palette_goes_to_panes_too() -> None:
    app = dashboard(Script(until_epoch(6)))
    async with app.run_test(size=TALL) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 6)
        await pilot.press("ctrl+p", *"go to mist")
        await until(pilot, lambda: bool(app.screen.query_one(CommandList).option_count))
        await pilot.pause(0.3)
        await pilot.press("enter")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "mistakes")
        assert app.query_one(TabLine).spots, "the dashboard is back"

"""Small terminals, and terminals that change their size."""

import pytest
from tui_support import SMALL, TALL, TINY, WIDE, Script, dashboard, header, in_front, keys, recorded, until

from tests.conftest import short
from xray_tui.tui.actions import TABS
from xray_tui.tui.app import XrayApp
from xray_tui.tui.panes.lines import StatusLine, TabLine


def lines(app: XrayApp) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips()]


def ended(app: XrayApp) -> bool:
    return app.shown is not None and app.shown.record.ended is not None


@pytest.mark.parametrize("place", short([*TABS, "form"]))
async def test_after_any_resizing_a_screen_is_as_if_it_had_always_been_of_that_size(place: str) -> None:
    key = "s" if place == "form" else str(TABS.index(place) + 1)

    async def opened(*sizes: tuple[int, int]) -> list[str]:
        app = dashboard(Script(recorded(), ended=True))
        async with app.run_test(size=sizes[0]) as pilot:
            await until(pilot, lambda: ended(app))
            await pilot.press(key)
            await pilot.pause(0.1)
            for size in sizes[1:]:
                await pilot.resize_terminal(*size)
                await pilot.pause(0.05)
                assert len(lines(app)) == size[1]
                assert {len(line) for line in lines(app)} == {size[0]}
            await pilot.pause(0.3)
            assert in_front(app) == place
            return lines(app)[:-1]  # the keys change once the data folder has been looked at

    assert await opened(WIDE, TINY, (18, 5), TALL) == await opened(TALL)


@pytest.mark.parametrize("size", [(29, 20), (80, 7), (12, 3), (1, 1)], ids=str)
async def test_too_small_a_terminal_is_told_so_and_comes_back(size: tuple[int, int]) -> None:
    app = dashboard(Script(recorded(), ended=True))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: ended(app))
        await pilot.press("3", "1", "question_mark", "escape")
        if size[0] > 10:
            assert "Too small" in " ".join(lines(app))
        await pilot.resize_terminal(*SMALL)
        await pilot.pause()
        assert "Too small" not in " ".join(lines(app))
        assert "epochs" in " ".join(lines(app))


async def test_forty_columns_have_what_matters_on_every_line() -> None:
    app = dashboard(Script(recorded(), ended=True))
    async with app.run_test(size=TINY) as pilot:
        await until(pilot, lambda: ended(app))
        assert "done" in header(app)
        for number, name in enumerate(TABS, start=1):
            await pilot.press(str(number))
            await pilot.pause(0.05)
            tabs = app.query_one(TabLine).render().plain
            wanted = " ".join(f"{at} {name.title()}" if at == number else str(at) for at in range(1, 6))
            assert tabs.split() == wanted.split()
            assert len(tabs.rstrip()) <= 38
            assert "q quit" in keys(app)
            assert 0 < len(app.query_one(StatusLine).render().plain) <= 38

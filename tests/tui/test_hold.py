"""Holding the display still: the run goes on behind it, and nothing of it is lost."""

import numpy as np
import pytest
from tui_support import Script, dashboard, header, keys, recorded, toasts, training, until, until_epoch

from xray_tui import config
from xray_tui.events import ControlUsed, EpochEnded, Event, Mistakes, RunEnded
from xray_tui.tui.app import XrayApp
from xray_tui.tui.hold import Hold


def rest_of(number: int) -> list[Event]:
    """What the recorded run tells when that epoch ends."""
    return [event for event in recorded() if getattr(event, "epoch", None) == number]


def epochs(app: XrayApp) -> int:
    return len(app.shown.record.epochs) if app.shown is not None else 0


async def test_h_holds_the_display_while_the_run_goes_on_and_says_so() -> None:
    source = Script(until_epoch(3))
    app = dashboard(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: epochs(app) == 3)
        await pilot.press("h")
        assert "display held (h goes on)" in header(app)
        assert "go on" in keys(app)
        for event in [*rest_of(3), training(4), *rest_of(4), training(5)]:
            source.put(event)
        await pilot.pause(0.5)
        assert epochs(app) == 3
        assert "frozen" not in header(app), "what it said of the run is old"
        await pilot.press("left")
        assert app.shown is not None
        assert app.shown.epoch == 2, "a held display can be looked through"
        await pilot.press("escape")
        await pilot.press("h")
        assert epochs(app) == 5, "it shows at once what has come"
        assert "display held" not in header(app)
        assert "frozen 5/10" in header(app)


@pytest.mark.parametrize("key", ["space", "u"])
async def test_what_steers_the_run_lets_the_display_go_on(key: str) -> None:
    source = Script(until_epoch(3))
    app = dashboard(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: epochs(app) == 3)
        await pilot.press("h")
        source.put(rest_of(3)[0])
        await pilot.pause(0.3)
        await pilot.press(key)
        assert "display held" not in header(app)
        assert "…" in header(app), "what was asked is seen"
        assert epochs(app) == 4
        source.put(ControlUsed(control="pause", stage="frozen", epoch=4))
        await until(pilot, lambda: app.shown is not None and app.shown.record.paused)


async def test_another_tab_and_the_end_of_the_run_let_it_go_on() -> None:
    source = Script(until_epoch(3))
    app = dashboard(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: epochs(app) == 3)
        await pilot.press("h", "3")
        assert "display held" not in header(app)
        await pilot.press("1", "h")
        assert "display held" in header(app)
        source.put(RunEnded(outcome="done", why="every stage finished", best_epoch=2, seconds=9.0))
        source.close()
        await until(pilot, lambda: "done" in header(app))
        assert "display held" not in header(app)
        await pilot.press("h")
        assert "display held" not in header(app)
        assert toasts(app)[-1].startswith("No run is live")


async def test_there_is_nothing_to_hold_without_a_run() -> None:
    app = dashboard(settings=config.load({}))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("h")
        assert "held" not in header(app)


def test_what_is_set_aside_is_light_and_in_order() -> None:
    source = Script()
    hold = Hold()
    ended = next(event for event in recorded() if isinstance(event, EpochEnded))
    mistakes = next(event for event in recorded() if isinstance(event, Mistakes))
    images = np.zeros((32, 256, 256), np.uint8)
    for number in range(3):
        source.put(training(number, done=1))
        source.put(training(number, done=2))
        hold.keep(source)
        source.put(training(number, done=3))
        source.put(Mistakes(stage="frozen", epoch=number, total=0, worst=mistakes.worst, images=images))
        hold.keep(source)
    source.put(ended)
    taken = hold.take(source)
    assert [event.done for event in taken if hasattr(event, "done")] == [3, 3, 3]
    assert [event.epoch for event in taken if isinstance(event, Mistakes)] == [0, 1, 2]
    assert all(event.images is None for event in taken if isinstance(event, Mistakes))
    assert taken[-1] is ended
    assert hold.take(source) == []

"""The line of advice: when it is there, what it says at which width, and what its key does."""

from typing import Any, get_args

import msgspec
import pytest
from textual.pilot import Pilot
from tui_support import Script, dashboard, in_front, recorded, toasts, until, until_epoch

from xray_tui.events import ControlUsed, EpochEnded, Event, RunStarted
from xray_tui.runs import advice as watchers
from xray_tui.tui.actions import BY_ID
from xray_tui.tui.app import XrayApp
from xray_tui.tui.panes.advice import ACT_WORDS, AdviceLine, shortened
from xray_tui.tui.panes.document import Document
from xray_tui.tui.screens.notice import NoticeScreen

RISING = [0.30, 0.42, 0.55]


def balanced(events: list[Event]) -> list[Event]:
    """With as many train images of one class as of the other, so that nothing is said of that."""
    return [
        msgspec.structs.replace(event, images=event.images | {"train": {"NORMAL": 2600, "PNEUMONIA": 2600}})
        if isinstance(event, RunStarted)
        else event
        for event in events
    ]


def with_losses(train: list[float], *, even: bool = True) -> list[Event]:
    """The recorded run in the epoch after these training losses."""
    told = [
        msgspec.structs.replace(event, train_loss=train[event.epoch])
        if isinstance(event, EpochEnded)
        else event
        for event in until_epoch(len(train))
    ]
    return balanced(told) if even else told


def line(app: XrayApp) -> str:
    return app.screen_stack[0].query_one(AdviceLine).render().plain


async def shown(app: XrayApp, pilot: Pilot[Any], epochs: int) -> None:
    await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == epochs)


def test_every_action_that_advice_may_name_exists_and_has_its_words() -> None:
    assert set(get_args(watchers.Action)) == set(ACT_WORDS)
    assert set(ACT_WORDS) <= set(BY_ID)


async def test_no_line_where_there_is_nothing_to_say() -> None:
    app = dashboard(Script(balanced(until_epoch(6))))
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, pilot, 6)
        assert not app.query_one(AdviceLine).display
        await pilot.press("a")
        assert toasts(app) == ["There is no advice to act on."]


async def test_the_key_does_what_the_line_says_and_a_click_on_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Script(balanced(until_epoch(2)))
    app = dashboard(source)
    done: list[str] = []
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, pilot, 2)
        assert not app.query_one(AdviceLine).display
        perform = app.action_perform

        def note(name: str) -> None:
            if name == "learning_rate":
                done.append(name)
            else:
                perform(name)

        monkeypatch.setattr(app, "action_perform", note)
        for event in recorded():
            if isinstance(event, EpochEnded) and event.epoch in (2, 3, 4):
                source.put(msgspec.structs.replace(event, train_loss=RISING[event.epoch - 2]))
        await shown(app, pilot, 5)
        assert app.query_one(AdviceLine).display
        assert "learning rate too high  training loss rose 0.300 → 0.550" in line(app)
        assert line(app).rstrip().endswith("a: change the learning rate")
        await pilot.press("a")
        await until(pilot, lambda: done == ["learning_rate"])
        await pilot.click("#advice", offset=(line(app).index("a: change") + 1, 0))
        await until(pilot, lambda: done == ["learning_rate"] * 2)
        source.put(ControlUsed(control="learning_rate", stage="frozen", epoch=5, value=3e-4))
        await until(pilot, lambda: not app.query_one(AdviceLine).display)


async def test_a_note_that_was_acted_on_is_not_repeated() -> None:
    app = dashboard(Script(until_epoch(3)))
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, pilot, 3)
        assert "class imbalance" in line(app)
        await pilot.press("a")
        await until(pilot, lambda: in_front(app) == "mistakes")
        await pilot.press("1")
        assert not app.query_one(AdviceLine).display


async def test_several_at_once_show_the_first_and_the_list_has_all() -> None:
    told = with_losses([0.5, *RISING], even=False)
    app = dashboard(Script(told))
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, pilot, 4)
        assert "learning rate too high" in line(app)
        assert "+1 more !" in line(app)
        await pilot.press("exclamation_mark")
        assert isinstance(app.screen, NoticeScreen)
        words = app.screen.query_one(Document).plain
        assert "A third of it or less" in words
        assert "class imbalance" in words
        assert "train/NORMAL/IM-0115-0001.jpeg" in words, "warnings stand below the advice"


async def test_it_is_one_line_at_any_width_and_keeps_its_title_and_key() -> None:
    app = dashboard(Script(with_losses([0.5, *RISING], even=False)))
    async with app.run_test(size=(120, 40)) as pilot:
        await shown(app, pilot, 4)
        for size in ((200, 50), (120, 40), (80, 24), (60, 24), (40, 20)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            widget = app.query_one(AdviceLine)
            assert widget.size.height == 1
            assert len(line(app)) <= size[0] - 2
            assert "learning rate too high" in line(app)
            assert "!" in line(app)
            assert "  a" in line(app)
            assert ("0.300 → 0.550" in line(app)) == (size[0] >= 120), size


async def test_after_the_end_it_proposes_another_run_and_nothing_that_needs_a_live_one() -> None:
    told = balanced(recorded())
    last = [event for event in told if isinstance(event, EpochEnded)][-1]
    told = [msgspec.structs.replace(event, train_loss=None) if event is last else event for event in told]
    app = dashboard(Script(told, ended=True))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        assert "loss not a number" in line(app)
        assert "a: History" in line(app)
        await pilot.press("a")
        await until(pilot, lambda: in_front(app) == "history")


def test_a_sentence_is_cut_where_a_part_of_it_ends() -> None:
    words = "validation loss 0.340 → 0.477, training 0.218 → 0.164 in 3 epochs"
    assert shortened(words, 100) == words
    assert shortened(words, 40) == "validation loss 0.340 → 0.477"
    assert shortened(words, 12) == "validation …"

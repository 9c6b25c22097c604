"""Every key does what the registry says, and says why where it cannot."""

import asyncio
from pathlib import Path

import pytest
from textual.widgets import Input
from tui_support import (
    WIDE,
    FakeEngine,
    Script,
    dashboard,
    header,
    in_front,
    keys,
    recorded,
    toasts,
    until,
    until_epoch,
)

from tests.conftest import short
from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.events import ControlUsed
from xray_tui.tui.actions import ACTIONS, TABS
from xray_tui.tui.app import XrayApp
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.panes.document import Document
from xray_tui.tui.panes.form import FormPane
from xray_tui.tui.panes.lines import TabLine
from xray_tui.tui.screens.ask import AskScreen
from xray_tui.tui.screens.notice import NoticeScreen

PLACES = ("form", *TABS)


@pytest.mark.parametrize("place", PLACES)
def test_in_one_place_every_key_has_one_action(place: str) -> None:
    pressed = [key for action in ACTIONS if action.fits(place) for key in action.key.split(",")]
    assert len(pressed) == len(set(pressed))


def test_every_action_has_a_title_and_help() -> None:
    assert all(action.help.endswith(".") and action.title for action in ACTIONS)
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    assert {place for action in ACTIONS for place in action.places} <= set(PLACES)


async def test_space_pauses_and_resumes_and_shows_it_before_the_engine_obeys() -> None:
    source = Script(until_epoch(3))
    app = dashboard(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.best is not None)
        assert "frozen 3/10" in header(app)
        await pilot.press("space")
        assert source.asked == ["pause"]
        assert "pausing …" in header(app)
        source.put(ControlUsed(control="pause", stage="frozen", epoch=3))
        await until(pilot, lambda: "paused" in header(app))
        assert "resume" in keys(app)
        await pilot.press("space")
        assert source.asked == ["pause", "resume"]
        assert "resuming …" in header(app)
        source.put(ControlUsed(control="resume", stage="frozen", epoch=3))
        await until(pilot, lambda: "frozen 3/10" in header(app))


async def test_u_asks_to_unfreeze_only_while_frozen() -> None:
    source = Script(until_epoch(3))
    app = dashboard(source)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.best is not None)
        await pilot.press("u")
        assert source.asked == ["unfreeze"]
        assert "unfreezing after this batch …" in header(app)

    late = Script(until_epoch(12))
    app = dashboard(late)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.stage == "unfrozen")
        assert "unfreeze" not in keys(app)
        await pilot.press("u")
        assert late.asked == []
        assert toasts(app) == ["The whole network learns already."]


async def test_x_asks_before_it_stops() -> None:
    source = Script(until_epoch(3))
    app = dashboard(source)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.best is not None)
        await pilot.press("x")
        assert isinstance(app.screen, AskScreen)
        await pilot.press("escape")
        assert source.asked == []
        await pilot.press("x", "x")
        assert source.asked == ["stop"]
        assert "stopping after this batch …" in header(app)
        await pilot.press("space")
        assert source.asked == ["stop"], "a stopping run takes no more requests"


async def test_keys_without_a_run_say_so_and_are_not_offered() -> None:
    app = dashboard()
    async with app.run_test() as pilot:
        why = "No run is live: s starts one."
        for key, words in (("space", why), ("u", why), ("x", why), ("exclamation_mark", "No warnings.")):
            app.clear_notifications()
            await pilot.press(key)
            assert toasts(app) == [words]
        await pilot.press("left", "g", "c")
        assert len(toasts(app)) == 1, "a key of another place does nothing"
        assert "pause" not in keys(app)
        assert "stop" not in keys(app)


async def test_digits_change_the_tab_and_escape_comes_back() -> None:
    app = dashboard()
    async with app.run_test() as pilot:
        assert in_front(app) == "form"
        await pilot.press("3")
        assert in_front(app) == "history"
        await pilot.press("1")
        assert in_front(app) == "form"
        await pilot.press("3", "escape")
        assert in_front(app) == "form"


async def test_while_a_field_takes_the_letters_none_is_offered() -> None:
    app = dashboard()
    async with app.run_test() as pilot:
        assert "s start" in keys(app)
        await pilot.press("tab")
        await pilot.pause()
        assert isinstance(app.focused, Input)
        assert "esc leave the field" in keys(app)
        assert "start" not in keys(app)
        await pilot.press("escape")
        await pilot.pause()
        assert "s start" in keys(app)


async def test_a_field_of_a_screen_above_leaves_the_keys_below_as_they_are() -> None:
    app = dashboard(Script(recorded(), ended=True))

    def last_line() -> str:
        return app.screen_stack[0]._compositor.render_strips()[-1].text

    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: "o sort" in last_line())
        before = last_line()
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.pause(0.1)
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        await pilot.pause(0.1)
        assert last_line() == before


async def test_a_click_on_a_tab_opens_it() -> None:
    app = dashboard()
    async with app.run_test() as pilot:
        await pilot.pause()
        tabs = app.query_one(TabLine)
        for name, spot in zip(TABS, tabs.spots, strict=True):
            assert name in spot.words.lower()
            await pilot.click("#tabs", offset=(tabs.styles.padding.left + spot.cells.start + 1, 0))
            assert in_front(app) == (name if name != "train" else "form")


def words_on(app: XrayApp) -> str:
    """What is painted, without frames and line breaks."""
    lines = [strip.text for strip in app.screen._compositor.render_strips()]
    return " ".join(" ".join(lines).replace("│", " ").split())


@pytest.mark.parametrize("place", short(PLACES, 2))
async def test_help_tells_what_is_here_first_and_lists_every_key(place: str) -> None:
    app = dashboard(Script(until_epoch(3)) if place != "form" else None)
    async with app.run_test(size=(120, 150)) as pilot:
        if place != "form":
            await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 3)
            await pilot.press(str(TABS.index(place) + 1))
            await pilot.pause(0.1)
        await pilot.press("f1")
        assert isinstance(app.screen, NoticeScreen)
        await pilot.pause()
        words = words_on(app)
        own = app.tab.HELP if app.tab is not None else app.query_one(FormPane).HELP
        assert own
        first = " ".join(KeyMap().fill(own).split())[:40]
        assert words.index(first) < words.index("Keys here") < words.index("The dashboard")
        for action in ACTIONS:
            assert (action.help in words) == action.fits(place), action.id
        await pilot.press("escape", "question_mark")
        assert isinstance(app.screen, NoticeScreen)
        await pilot.press("escape")
        assert not isinstance(app.screen, NoticeScreen)


async def test_help_begins_with_the_pane_that_has_the_focus() -> None:
    app = dashboard(Script(until_epoch(3)))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 3)
        app.query_one("#epochs").focus()
        await pilot.press("question_mark")
        await pilot.pause()
        assert "One line an epoch" in words_on(app)
        assert "scroll" in str(app.screen.query_one(Document).border_subtitle)
        top = words_on(app)
        await pilot.press("end")
        await pilot.pause()
        assert words_on(app) != top


async def test_the_palette_finds_an_action_by_name() -> None:
    app = dashboard()
    async with app.run_test() as pilot:
        await pilot.press("ctrl+p")
        await pilot.press(*"history")
        await until(pilot, lambda: bool(app.screen.query("OptionList")))
        await pilot.pause(0.5)
        await pilot.press("enter")
        await until(pilot, lambda: in_front(app) == "history")


async def test_arrows_scrub_every_pane_and_escape_returns_to_live() -> None:
    app = dashboard(Script(until_epoch(6)))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 6)
        await pilot.press("left", "left")
        assert app.shown is not None
        assert app.shown.epoch == 4
        assert "looking at epoch 4" in header(app)
        assert "epoch 4" in str(app.query_one("#confusion").border_title)
        assert "epoch 4" in str(app.query_one("#loss").border_subtitle)
        rows = app.query_one("#mistakes-pane").border_title
        await pilot.press("right")
        assert app.shown.epoch == 5
        assert app.query_one("#mistakes-pane").border_title != rows
        await pilot.press("escape")
        assert app.shown.epoch is None
        assert "looking at" not in header(app)


async def test_tab_walks_the_panes_and_arrows_move_in_them() -> None:
    app = dashboard(Script(until_epoch(6)))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 6)
        await pilot.press("tab")
        assert app.focused is not None
        assert app.focused.id == "epochs"
        await pilot.press("up", "up")
        assert app.shown is not None
        assert app.shown.epoch == 4
        await pilot.press("down", "down")
        assert app.shown.epoch is None, "below the newest epoch lies the live row"
        await pilot.press("tab")
        assert app.focused.id == "mistakes"
        await pilot.click("#epochs", offset=(3, 2))
        assert app.shown.epoch == 1, "a click on a row looks at its epoch"


async def test_t_starts_tensorboard_and_shows_where_it_is(tmp_path: Path) -> None:
    class Board:
        url, ssh_line, stopped = "http://localhost:6007/", "ssh -L 6007:localhost:6007 me@there", False
        running, log_file = True, tmp_path / "tensorboard.log"

        def start(self) -> str:
            return self.url

        def open_browser(self) -> bool:
            return False

        def stop(self) -> None:
            self.stopped = True

    board = Board()
    made: list[Path] = []

    def make(logdir: Path, log_file: Path) -> Board:
        made.append(logdir)
        return board

    settings = config.load({"run.runs_dir": str(tmp_path)})
    app = dashboard(settings=settings, make_board=make)
    async with app.run_test() as pilot:
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, NoticeScreen))
        words = app.screen.query_one(Document).plain
        assert board.url in words
        assert board.ssh_line in words
        assert "1 Train" in words_on(app), "what it lies over is seen"
        assert made == [tmp_path]
        await pilot.press("escape", "t")
        await until(pilot, lambda: isinstance(app.screen, NoticeScreen))
        assert len(made) == 1, "one server a sitting"
        await pilot.press("escape")
        board.running = False
        ended = f"It has ended, {board.log_file} may say why. t starts it again."
        await until(pilot, lambda: toasts(app)[-1] == ended)
    assert board.stopped


async def test_a_tensorboard_that_does_not_start_says_why() -> None:
    class Board:
        def start(self) -> str:
            raise UserError("no free port from 6006 to 6105", "choose one with --port")

        def stop(self) -> None: ...

    app = dashboard(make_board=lambda logdir, log: Board())
    async with app.run_test() as pilot:
        await pilot.press("t")
        await until(pilot, lambda: any("no free port" in words for words in toasts(app)))


async def test_q_leaves_at_once_when_nothing_runs() -> None:
    app = dashboard()
    async with app.run_test() as pilot:
        await pilot.press("q")
        await pilot.pause()
    assert app.return_value == 0


async def test_q_stops_a_live_run_in_good_order_first() -> None:
    engine = FakeEngine(until_epoch(3))
    app = dashboard(settings=config.load({"data.root": "/data"}), start=True, launch=engine)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.best is not None)
        await pilot.press("q")
        assert isinstance(app.screen, AskScreen)
        await pilot.press("escape")
        assert engine.used == []
        await pilot.press("q", "q")
        for _ in range(100):
            await asyncio.sleep(0.02)
            if app.return_value is not None:
                break
    assert engine.used == ["stop"]
    assert app.return_value == 0


async def test_the_warnings_are_listed_by_name() -> None:
    app = dashboard(Script(recorded(), ended=True))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and bool(app.shown.record.warnings))
        await pilot.press("exclamation_mark")
        words = app.screen.query_one(Document).plain
        assert "train/NORMAL/IM-0115-0001.jpeg" in words

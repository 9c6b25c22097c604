"""Every key does what the registry says, and says why where it cannot."""

import asyncio
import html
from pathlib import Path

from tui_support import (
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

from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.events import ControlUsed
from xray_tui.tui.actions import ACTIONS
from xray_tui.tui.screens.ask import AskScreen
from xray_tui.tui.screens.notice import NoticeScreen


def test_every_action_has_a_key_of_its_own_and_help() -> None:
    pressed = [key for action in ACTIONS for key in action.key.split(",")]
    assert len(pressed) == len(set(pressed))
    assert all(action.help.endswith(".") and action.title for action in ACTIONS)
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)


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
        for key in ("space", "u", "x", "left", "exclamation_mark"):
            await pilot.press(key)
        assert toasts(app)[:3] == ["No run is live: s starts one."] * 3
        assert len(toasts(app)) == 5
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


async def test_a_click_on_a_tab_opens_it() -> None:
    app = dashboard()
    async with app.run_test() as pilot:
        await pilot.click("#tabs", offset=(14, 0))
        assert in_front(app) == "history"


async def test_help_lists_every_key_and_closes() -> None:
    app = dashboard()
    async with app.run_test(size=(120, 60)) as pilot:
        await pilot.press("f1")
        assert isinstance(app.screen, NoticeScreen)
        await pilot.press("escape", "question_mark")
        words = app.export_screenshot().replace("&#160;", " ")
        for action in ACTIONS:
            assert html.escape(action.help, quote=False) in words
        await pilot.press("escape")
        assert not isinstance(app.screen, NoticeScreen)


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
        words = str(app.screen.query_one("#notice-words").render())
        assert board.url in words
        assert board.ssh_line in words
        assert made == [tmp_path]
        await pilot.press("escape", "t")
        await until(pilot, lambda: isinstance(app.screen, NoticeScreen))
        assert len(made) == 1, "one server a sitting"
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
        words = str(app.screen.query_one("#notice-words").render())
        assert "train/NORMAL/IM-0115-0001.jpeg" in words

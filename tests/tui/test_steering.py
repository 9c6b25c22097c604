"""Changing the learning rate, detaching, resuming: what is asked of a run, and how the screen tells it."""

import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from listed_runs import listed
from textual.widgets import Input, Static
from tui_support import (
    FakeEngine,
    Script,
    dashboard,
    header,
    keys,
    recorded,
    toasts,
    until,
    until_epoch,
)

from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.event_lines import encode
from xray_tui.events import ControlUsed, Emit, Event, Progress, Resumed, RunEnded, Warning
from xray_tui.runs import state
from xray_tui.runs.directory import RunDirectory
from xray_tui.tui.app import XrayApp, last_words
from xray_tui.tui.panes.run_rows import RunRows
from xray_tui.tui.panes.runs import RunsPane
from xray_tui.tui.screens.ask import AskScreen
from xray_tui.tui.screens.rate import RateScreen, complaint, read_rate
from xray_tui.tui.tabs.history import HistoryTab


def keep(folder: Path, told: Sequence[Event]) -> RunDirectory:
    """A run directory whose journal tells this."""
    directory = RunDirectory.create(config.load({"run.runs_dir": str(folder)}))
    events = [event for event in told if not isinstance(event, Progress)]
    lines = [encode(event, seq) for seq, event in enumerate(events)]
    directory.journal.write_bytes(b"\n".join(lines) + b"\n")
    return directory


def says(directory: RunDirectory, status: state.Status) -> None:
    """Another process, on another host, says how the run is."""
    told = state.State(status=status, pid=1, host=socket.gethostname() + "-2", heartbeat=time.time())
    directory.state.write_bytes(msgspec.json.encode(told))


def epochs(app: XrayApp) -> int:
    return len(app.shown.record.epochs) if app.shown else 0


def live(engine: FakeEngine, **parts: object) -> XrayApp:
    return dashboard(settings=config.load({"data.root": "/data"}), start=True, launch=engine, **parts)


@pytest.mark.parametrize(("words", "rate"), [("3e-4", 3e-4), (" 0.001 ", 1e-3), ("1E-5", 1e-5)])
def test_rates_as_people_write_them(words: str, rate: float) -> None:
    assert read_rate(words) == rate
    assert complaint(words) == ""


@pytest.mark.parametrize("words", ["", "fast", "0", "-1e-3", "inf", "nan", "3e", "1e-3 2"])
def test_what_is_no_rate(words: str) -> None:
    assert read_rate(words) is None
    assert complaint(words)


async def test_l_asks_for_a_rate_and_the_run_for_it() -> None:
    source = Script(until_epoch(3))
    app = dashboard(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: epochs(app) == 3)
        await pilot.press("l")
        assert isinstance(app.screen, RateScreen)
        assert app.screen.query_one(Input).value == "0.001"
        await pilot.press(*"3e-")
        verdict = app.screen.query_one("#words-verdict")
        assert "positive number" in str(verdict.render())
        await pilot.press("enter")
        assert isinstance(app.screen, RateScreen), "what is no rate is not taken"
        await pilot.press("4")
        assert "0.001 → 0.0003" in str(verdict.render())
        assert "÷ 3.33" in str(verdict.render())
        await pilot.press("enter")
        assert (source.asked, source.values) == (["learning_rate"], [3e-4])
        assert "changing the learning rate …" in header(app)
        source.put(ControlUsed(control="learning_rate", stage="frozen", epoch=3, value=3e-4))
        await until(pilot, lambda: "frozen 3/10" in header(app))
        await pilot.press("l")
        assert app.screen.query_one(Input).value == "0.0003", "the one in use now"
        await pilot.press("escape")
        await pilot.press("l", "enter")
        assert source.asked == ["learning_rate"], "left, or left as it is, nothing is asked"


async def test_a_pause_that_is_taken_back_before_the_engine_sees_it_is_waited_for_by_nobody() -> None:
    app = dashboard(source := Script(until_epoch(3)))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: epochs(app) == 3)
        await pilot.press("space")
        assert "pausing …" in header(app)
        assert "resume" in keys(app)
        await pilot.press("space")
        assert source.asked == ["pause", "resume"]
        assert "pause" in keys(app)
        assert "frozen 3/10" in header(app)


@pytest.mark.parametrize(("key", "words"), [("space", "pausing …"), ("u", "unfreezing after this batch …")])
async def test_a_new_rate_hides_nothing_that_is_coming(key: str, words: str) -> None:
    app = dashboard(source := Script(until_epoch(3)))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: epochs(app) == 3)
        await pilot.press(key, "l", *"3e-4", "enter")
        assert source.asked[1:] == ["learning_rate"]
        assert words in header(app)


async def test_a_playback_is_stopped_without_a_question_and_its_run_is_not() -> None:
    app = dashboard(source := Script(until_epoch(3), kind="replay"))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: epochs(app) == 3)
        await pilot.press("x")
        assert not isinstance(app.screen, AskScreen)
        assert source.asked == ["stop"]
        source.close()
        await until(pilot, lambda: source.finished and app.shown is not None and not app.shown.live)


async def test_a_run_of_a_relative_folder_is_known_again_in_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    directory = keep(tmp_path / "runs", until_epoch(3))
    again = RunDirectory(directory.path.relative_to(tmp_path))  # as it is found in ./runs
    app = live(
        FakeEngine(until_epoch(3), directory=directory.path),
        find_runs=lambda folder: [listed(0, directory=again, status="running")],
    )
    async with app.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: epochs(app) == 3)
        await pilot.press("3")
        await until(pilot, lambda: app.query_one(RunsPane).under_cursor is not None)
        assert app.query_one(RunsPane).query_one(RunRows).render_line(1).text.lstrip().startswith("▸")
        await pilot.press("enter")
        await until(pilot, lambda: app.place == "train")
        assert app.desk.opened is None
        assert "detach" in keys(app)


async def test_what_is_asked_of_a_run_that_is_not_seen_names_it(tmp_path: Path) -> None:
    ended = RunEnded(outcome="done", why="x", best_epoch=2, seconds=9)
    earlier, behind = keep(tmp_path / "a", [*until_epoch(3), ended]), keep(tmp_path / "b", until_epoch(3))
    app = dashboard(source := Script(until_epoch(3)))
    source.directory = behind
    async with app.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: epochs(app) == 3)
        await pilot.press("space")
        assert not any("behind" in words for words in toasts(app))
        app.post_message(HistoryTab.Opened(earlier))
        await until(pilot, lambda: "done" in header(app))
        assert "live: ■ pausing …" in header(app)
        assert "20261124-101500-resnet50" in header(app), "as that run calls itself"
        assert "esc close this run" in keys(app)
        await pilot.press("l")
        assert behind.name in "".join(str(part.render()) for part in app.screen.query(Static))
        await pilot.press("escape")
        await pilot.press("u")
        assert source.asked == ["pause", "unfreeze"]
        assert toasts(app)[-1] == f"{behind.name}, which goes on behind this one"
        await pilot.press("x")
        assert behind.name in "".join(str(part.render()) for part in app.screen.query(Static))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: "live:" not in header(app))


async def test_beside_a_live_run_nothing_is_offered_that_would_start_another(tmp_path: Path) -> None:
    left = keep(
        tmp_path, [*until_epoch(3), RunEnded(outcome="interrupted", why="x", best_epoch=2, seconds=9)]
    )
    (left.checkpoints / "last.safetensors").touch()
    found = [listed(0, directory=left, status="interrupted")]
    engine = FakeEngine(until_epoch(3))
    app = live(engine, find_runs=lambda folder: found)
    async with app.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: epochs(app) == 3)
        await pilot.press("3")
        await until(pilot, lambda: app.query_one(HistoryTab).query_one(RunsPane).under_cursor is not None)
        assert "resume" not in keys(app)
        await pilot.press("r")
        assert toasts(app) == ["A run is live already: x stops it."]
        await pilot.press("a")
        await until(pilot, lambda: app.place == "form")
        foot = app.query_one("#form-foot")
        assert "A run is live already" in str(foot.render())
        engine.let_go.set()
        await until(pilot, lambda: "not ready: data folder" in str(foot.render()))


async def test_a_new_stage_has_its_own_rate() -> None:
    told = until_epoch(12)
    changed = ControlUsed(t=told[0].t, control="learning_rate", stage="frozen", epoch=3, value=3e-4)
    app = dashboard(Script([*told[:20], changed, *told[20:]]))
    async with app.run_test() as pilot:
        await until(pilot, lambda: epochs(app) == 12)
        assert app.shown is not None
        assert app.shown.learning_rate == 1e-6


async def test_no_rate_is_asked_where_nothing_learns() -> None:
    source = Script([*until_epoch(10)[:-1], Progress(phase="waiting", stage="frozen")])
    app = dashboard(source)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "waiting for you" in header(app))
        await pilot.press("l")
        assert toasts(app) == ["Nothing learns at the moment."]


@pytest.mark.parametrize(
    ("kind", "words"), [("replay", "What is played back has"), ("watch", "It has a process of its own")]
)
async def test_what_is_played_back_and_what_is_detached_already(kind: str, words: str) -> None:
    app = dashboard(Script(until_epoch(3), kind=kind))
    async with app.run_test() as pilot:
        await until(pilot, lambda: epochs(app) == 3)
        await pilot.press("d")
        assert toasts(app)[0].startswith(words)
        assert "detach" not in keys(app)


async def test_d_hands_over_and_goes_on_watching(tmp_path: Path) -> None:
    """The screen keeps what it shows until the journal is read; the scrubbed epoch stays."""
    directory = keep(tmp_path, until_epoch(3))
    let_go = threading.Event()

    def taken_over(emit: Emit) -> bool:
        assert let_go.wait(10)
        says(directory, "running")
        return True

    engine = FakeEngine(until_epoch(3), directory=directory.path, taken_over=taken_over)
    app = live(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: epochs(app) == 3)
        await pilot.press("left", "left")
        assert app.shown is not None
        seen = app.shown
        assert seen.epoch == 1
        await pilot.press("d")
        await until(pilot, lambda: engine.used == ["detach"])
        assert "handing over …" in header(app)
        for key in ("space", "l"):
            app.clear_notifications()
            await pilot.press(key)
            assert toasts(app) == ["The run is being handed over already."]
        let_go.set()
        await until(pilot, lambda: seen.source.kind == "watch")
        assert epochs(app) == 3
        assert seen.epoch == 1
        assert "starting" in header(app)
        assert "It goes on without this dashboard" in toasts(app)[-1]
        with directory.journal.open("ab") as journal:
            journal.write(encode(Resumed(epoch=2, stage="frozen"), 99) + b"\n")
        await until(pilot, lambda: epochs(app) == 2)
        assert "frozen 2/10" in header(app)
        await pilot.press("space")
        assert [file.name.partition("-")[2] for file in directory.control.iterdir()] == ["pause"]
        await pilot.press("q")
        await pilot.pause()
    assert app.return_value == 0, "a run of another process keeps nobody here"
    words = f"the run goes on in the background: `xray-tui watch {directory.path}` shows it"
    assert last_words(seen) == words
    seen.apply([ControlUsed(control="pause", stage="frozen", epoch=2, why="a person")])
    paused = words.replace("goes on in the background", "is paused in the background, and waits")
    assert last_words(seen) == paused
    seen.apply([RunEnded(outcome="done", why="", best_epoch=2, seconds=9)])
    assert last_words(seen) == ""


async def test_a_run_that_cannot_be_handed_over_goes_on_here() -> None:
    def nobody(emit: Emit) -> bool:
        emit(Warning(t=recorded()[-1].t, kind="handover", message="it goes on here: no process"))
        emit(Resumed(epoch=3, stage="frozen"))
        return False

    engine = FakeEngine(until_epoch(3), taken_over=nobody)
    app = live(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: epochs(app) == 3)
        await pilot.press("q", "d")
        await until(pilot, lambda: "it goes on here: no process" in toasts(app))
        assert app.shown is not None
        await until(pilot, lambda: app.shown is not None and app.shown.asked is None)
        assert app.shown.live
        assert app.return_value is None
        engine.let_go.set()
        await until(pilot, lambda: "done" in header(app))
        assert app.is_running, "the dashboard stays with it"


async def test_q_detaches_and_quits(tmp_path: Path) -> None:
    directory = keep(tmp_path, until_epoch(3))

    def taken_over(emit: Emit) -> bool:
        says(directory, "running")
        return True

    engine = FakeEngine(until_epoch(3), directory=directory.path, taken_over=taken_over)
    app = live(engine)
    async with app.run_test() as pilot:
        await until(pilot, lambda: epochs(app) == 3)
        await pilot.press("q")
        assert isinstance(app.screen, AskScreen)
        await pilot.press("d")
        for _ in range(200):
            await pilot.pause(0.02)
            if app.return_value is not None:
                break
    assert engine.used == ["detach"]
    assert app.return_value == 0
    assert app.desk.main is not None
    assert app.desk.main.handed_over


async def test_q_while_it_is_handed_over_waits_for_that(tmp_path: Path) -> None:
    directory = keep(tmp_path, until_epoch(3))
    let_go = threading.Event()
    engine = FakeEngine(until_epoch(3), directory=directory.path, taken_over=lambda emit: let_go.wait(10))
    app = live(engine)
    async with app.run_test() as pilot:
        await until(pilot, lambda: epochs(app) == 3)
        await pilot.press("d", "q")
        assert "closes as soon as the run is handed over" in toasts(app)[-1]
        await pilot.press("q")
        assert isinstance(app.screen, AskScreen), "it may take long: a person may leave all the same"
        await pilot.press("escape")
        assert app.return_value is None
        let_go.set()
        for _ in range(200):
            await pilot.pause(0.02)
            if app.return_value is not None:
                break
    assert app.return_value == 0


async def test_q_while_the_report_is_written_waits_for_that() -> None:
    engine = FakeEngine(recorded())
    app = live(engine)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        await pilot.press("s")
        assert "report is being written" in toasts(app)[-1]
        await pilot.press("q")
        assert "closes as soon as the run's report is written" in toasts(app)[-1]
        assert app.return_value is None
        engine.let_go.set()
        for _ in range(200):
            await pilot.pause(0.02)
            if app.return_value is not None:
                break
    assert app.return_value == 0


async def test_a_watched_handover_shows(tmp_path: Path) -> None:
    from xray_tui.tui.sources import FollowSource

    directory = keep(tmp_path, until_epoch(3))
    says(directory, "handover")
    app = dashboard(FollowSource(directory))
    async with app.run_test() as pilot:
        await until(pilot, lambda: "handing over …" in header(app))
        says(directory, "running")
        await until(pilot, lambda: "frozen 3/10" in header(app))
        says(directory, "interrupted")
        await until(pilot, lambda: "interrupted" in header(app))


async def test_a_watched_run_that_another_process_resumes_is_live_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xray_tui.tui import sources

    monkeypatch.setattr(sources, "_LOOK_AGAIN_SECONDS", 0.02)
    directory = keep(tmp_path, until_epoch(3))
    says(directory, "interrupted")
    app = dashboard(sources.FollowSource(directory))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "interrupted" in header(app))
        assert "pause" not in keys(app)
        with directory.journal.open("ab") as journal:
            journal.write(encode(Resumed(epoch=2, stage="frozen"), 99) + b"\n")
        says(directory, "running")
        await until(pilot, lambda: "frozen 2/10" in header(app))
        assert "pause" in keys(app)
        await pilot.press("space")
        assert len(list(directory.control.iterdir())) == 1


async def test_a_run_is_resumed_from_history(tmp_path: Path) -> None:
    told = [*until_epoch(3), RunEnded(outcome="interrupted", why="stopped", best_epoch=2, seconds=9)]
    directory = keep(tmp_path, told)
    engine = FakeEngine([Progress(phase="weights"), Resumed(epoch=2, stage="frozen")])
    app = dashboard(resume=engine)
    async with app.run_test(size=(120, 40)) as pilot:
        app.post_message(HistoryTab.Resume(directory))
        await until(pilot, lambda: epochs(app) == 2)
        assert engine.settings == directory
        assert app.shown is not None
        assert app.shown.ours
        assert "frozen 2/10" in header(app)
        await pilot.press("x", "x")
        await until(pilot, lambda: engine.used == ["stop"])


async def test_a_run_of_ours_that_another_process_went_on_with_is_steered(
    tmp_path: Path,
) -> None:
    told = [*until_epoch(3), RunEnded(outcome="interrupted", why="stopped", best_epoch=2, seconds=9)]
    directory = keep(tmp_path, told)
    says(directory, "interrupted")
    refused = UserError("it is live in process 7: two processes must not write one run")
    app = dashboard(resume=FakeEngine(directory=directory.path, raises=refused))
    async with app.run_test(size=(120, 40)) as pilot:
        app.post_message(HistoryTab.Resume(directory))
        await until(pilot, lambda: "failed" in header(app))
        app.post_message(HistoryTab.Opened(directory))
        await pilot.pause()
        assert "failed" in header(app), "nobody has it"
        with directory.journal.open("ab") as journal:
            journal.write(encode(Resumed(epoch=2, stage="frozen"), 99) + b"\n")
        says(directory, "running")
        app.post_message(HistoryTab.Opened(directory))
        await until(pilot, lambda: "frozen 2/10" in header(app))
        await pilot.press("space")
        assert len(list(directory.control.iterdir())) == 1


async def test_until_a_killed_run_goes_on_its_clock_stands_still(tmp_path: Path) -> None:
    told = until_epoch(3)[:-1]
    directory, hour_later = keep(tmp_path, told), told[-1].t + 3600
    now = [hour_later]
    engine = FakeEngine([Progress(t=hour_later, phase="weights")])
    app = dashboard(resume=engine, clock=lambda: now[0])
    async with app.run_test(size=(120, 40)) as pilot:
        app.post_message(HistoryTab.Resume(directory))
        await until(pilot, lambda: "loading weights" in header(app))
        run = app.shown
        assert run is not None
        assert run.seconds == told[-1].t - told[0].t
        now[0] += 10
        run.apply([Resumed(t=hour_later + 7, epoch=3, stage="frozen")])
        assert run.seconds == told[-1].t - told[0].t + 3
        assert run.status.words == "frozen 3/10"


async def test_the_clock_never_runs_backwards_while_a_run_is_handed_over(tmp_path: Path) -> None:
    told = until_epoch(3)[:-1]
    end, began = told[-1].t, told[0].t - 4  # it loads weights and reads images before its journal begins
    directory, now = keep(tmp_path, told), [end]
    says(directory, "running")
    app = dashboard(source := Script([Progress(t=began, phase="weights"), *told], kind="live"))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: epochs(app) == 3)
        run = app.shown
        assert run is not None
        run.clock = lambda: now[0]
        await pilot.press("d")
        now[0] = end + 2
        assert run.seconds == end + 2 - began, "the batch is still under way"
        run.apply([ControlUsed(t=end + 3, control="detach", stage="frozen", epoch=3)])
        run.apply([Progress(t=end + 4, phase="train", stage="frozen", epoch=3)])
        now[0] = end + 20
        assert run.seconds == end + 3 - began
        run.hand_over_to(source)
        assert run.seconds == end + 3 - began
        run.apply([*told, ControlUsed(t=end + 3, control="detach", stage="frozen", epoch=3)])
        assert run.seconds == end + 3 - began
        run.apply([Resumed(t=end + 20, epoch=3, stage="frozen")])
        now[0] = end + 21
        assert run.seconds == end + 4 - began


async def test_what_cannot_be_resumed_says_why(tmp_path: Path) -> None:
    from xray_tui.errors import UserError

    directory = keep(tmp_path, until_epoch(3))
    engine = FakeEngine(raises=UserError("it is live in process 7", "watch it"))
    app = dashboard(resume=engine)
    async with app.run_test(size=(120, 40)) as pilot:
        app.post_message(HistoryTab.Resume(directory))
        await until(pilot, lambda: "it is live in process 7" in toasts(app))
        assert "watch it" in str(app.query_one("#trouble").render())

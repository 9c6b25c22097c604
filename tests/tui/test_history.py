"""History, and runs of other processes: the same panes, fed from a run directory."""

import shutil
import time
from pathlib import Path

import msgspec
import pytest
from test_train_tab import rows
from tui_support import (
    JOURNAL,
    FakeEngine,
    Script,
    dashboard,
    header,
    in_front,
    keys,
    recorded,
    until,
    until_epoch,
)

from xray_tui import config, events
from xray_tui.errors import UserError
from xray_tui.runs import state
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.index import summaries
from xray_tui.tui.sources import FollowSource, ReplaySource


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def keep(
    runs: Path, now: float, *, journal: bytes | None = None, status: state.Status = "done"
) -> RunDirectory:
    """A run directory with the recorded journal."""
    settings = config.load({"run.runs_dir": str(runs), "data.root": "/data/chest_xray"})
    directory = RunDirectory.create(settings, now)
    if journal is None:
        shutil.copy(JOURNAL, directory.journal)
    else:
        directory.journal.write_bytes(journal)
    state.write(directory, status)
    return directory


def lines(told: list[events.Event]) -> bytes:
    return b"".join(
        events.encode(event, seq) + b"\n"
        for seq, event in enumerate(told)
        if not isinstance(event, events.Progress)
    )


async def test_history_lists_the_runs_and_enter_opens_one_in_the_same_panes(runs: Path) -> None:
    keep(runs, time.time() - 60)
    keep(runs, time.time(), journal=lines(until_epoch(4)), status="interrupted")
    app = dashboard(settings=config.load({"run.runs_dir": str(runs)}), find_runs=summaries)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: len(rows(app, "runs")) == 3)
        newest, oldest = rows(app, "runs")[1:]
        assert "interrupted" in newest
        assert "done" in oldest
        assert "89.1 %" in oldest, "accuracy at the best epoch"
        await pilot.press("down", "enter")
        assert in_front(app) == "train"
        await until(pilot, lambda: "done" in header(app))
        await until(pilot, lambda: "0.278" in "".join(rows(app, "epochs")))
        await pilot.press("left")
        assert app.shown is not None
        assert app.shown.epoch == 13
        await pilot.press("escape", "escape")
        assert in_front(app) == "history"


async def test_an_opened_run_gives_way_to_the_live_one_which_went_on(runs: Path) -> None:
    old = keep(runs, time.time() - 60)
    engine = FakeEngine(until_epoch(2))
    settings = config.load({"data.root": "/data", "run.runs_dir": str(runs)})
    app = dashboard(settings=settings, start=True, launch=engine, find_runs=summaries)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: len(rows(app, "epochs")) == 4)
        await pilot.press("3")
        await until(pilot, lambda: len(rows(app, "runs")) == 2)
        await pilot.press("enter")
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 15)
        assert app.shown is not None
        assert app.shown.source.directory == old
        await pilot.press("escape")
        assert app.shown.ours
        assert len(rows(app, "epochs")) == 4
        engine.let_go.set()


async def test_an_empty_runs_folder_says_how_to_begin(runs: Path) -> None:
    app = dashboard(settings=config.load({"run.runs_dir": str(runs)}), find_runs=summaries)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: "No runs yet" in str(app.query_one("#no-runs").render()))


async def test_a_watched_run_is_followed_and_steered_through_its_directory(runs: Path) -> None:
    told = until_epoch(3)[:-1]
    directory = keep(runs, time.time(), journal=lines(told), status="running")
    app = dashboard(FollowSource(directory))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 3)
        assert "frozen 3/10" in header(app)
        await pilot.press("space")
        assert [file.name.partition("-")[2] for file in directory.control.iterdir()] == ["pause"]
        assert "pausing …" in header(app)
        rest = recorded()[len(told) :]
        with directory.journal.open("ab") as journal:
            journal.write(lines(rest))
        state.write(directory, "done")
        await until(pilot, lambda: "done" in header(app))
        assert len(rows(app, "epochs")) == 16
        assert "pause" not in keys(app)
        await pilot.press("q")
    assert app.return_value == 0, "a run of another process is left alone, without a question"


async def test_a_run_whose_process_died_shows_as_interrupted(runs: Path) -> None:
    directory = keep(runs, time.time(), journal=lines(until_epoch(3)), status="running")
    dead = state.State(status="running", pid=0, host="elsewhere", heartbeat=0.0)
    directory.state.write_bytes(msgspec.json.encode(dead))
    app = dashboard(FollowSource(directory))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "interrupted" in header(app))


async def test_a_broken_journal_is_told_and_the_app_lives(runs: Path) -> None:
    directory = keep(runs, time.time(), journal=b'{"v":1,"seq":0,"t":0,"type":"epoch_ended"}\n')
    app = dashboard(FollowSource(directory))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "is not an event" in str(app.query_one("OpeningPane").render()))
        await pilot.press("3")
        assert in_front(app) == "history"


async def test_a_replay_shows_each_epoch_in_turn_and_space_holds_it(runs: Path) -> None:
    directory = keep(runs, time.time())
    app = dashboard(ReplaySource(directory, speed=300.0))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) >= 1)
        assert "replay" in header(app)
        await pilot.press("space")
        assert "paused" in header(app)
        assert app.shown is not None
        await pilot.pause(0.2)
        held = len(app.shown.record.epochs)
        await pilot.pause(0.2)
        assert len(app.shown.record.epochs) == held < 15
        await pilot.press("space")
        await until(pilot, lambda: "done" in header(app))
        assert len(app.shown.record.epochs) == 15


def test_a_source_keeps_only_the_newest_progress_and_every_other_event() -> None:
    source = Script()
    for done in range(1000):
        source.put(events.Progress(phase="train", done=done))
    source.put(recorded()[0])
    source.put(events.Progress(phase="train", done=1000))
    assert [getattr(event, "done", None) for event in source.take()] == [999, None, 1000]
    assert source.take() == []


def test_a_person_s_error_reaches_the_source_s_owner_as_words() -> None:
    class Mistaken(Script):
        def _run(self) -> None:
            raise UserError("no such thing", "try another")

    stirred: list[bool] = []
    source = Mistaken()
    source.begin(lambda: stirred.append(source.finished))
    source.join()
    assert stirred == [True]
    assert source.failure is not None
    assert (source.failure.message, source.failure.hint, source.failure.bug) == (
        "no such thing",
        "try another",
        False,
    )

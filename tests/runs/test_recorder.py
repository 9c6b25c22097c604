import csv
import errno
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.test_events import epoch
from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.events import (
    Best,
    ControlUsed,
    Event,
    Progress,
    Resumed,
    RunEnded,
    RunStarted,
    Source,
    Stage,
    StageStarted,
    Warning,
)
from xray_tui.runs import follow, state
from xray_tui.runs.claim import Claim
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.follow import Follower
from xray_tui.runs.index import summaries
from xray_tui.runs.record import RunRecord
from xray_tui.runs.recorder import Recorder


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    made = RunDirectory.create(config.load({"run.runs_dir": str(tmp_path)}))
    made.journal.touch()
    return made


@pytest.fixture
def asked() -> list[tuple[str, float | None]]:
    return []


@pytest.fixture
def refused() -> list[str]:
    return []


@pytest.fixture
def recorder(
    directory: RunDirectory, asked: list[tuple[str, float | None]], refused: list[str]
) -> Iterator[Recorder]:
    made = Recorder(directory, lambda *request: asked.append(request), refused.append)
    yield made
    made.close()


def started(**changes: Any) -> RunStarted:
    values: dict[str, Any] = {
        "run": "a run",
        "settings": config.to_tree(config.load({"run.name": "night run"})),
        "device": "cpu (2 threads), float32",
        "backbone": "resnet50",
        "weights": "none",
        "classes": ["NORMAL", "PNEUMONIA"],
        "images": {"train": {"NORMAL": 3, "PNEUMONIA": 4}},
        "split_note": "recipe",
        "unreadable": 0,
        "parameters": 7,
    }
    return RunStarted(**(values | changes))


def stage_started(epochs: int, stage: Stage = "frozen", first_epoch: int = 0) -> StageStarted:
    return StageStarted(
        stage=stage,
        first_epoch=first_epoch,
        epochs=epochs,
        learning_rate=1e-3,
        trainable_parameters=1,
        total_parameters=2,
    )


def ignore(*_: object) -> None: ...


def until(condition: Callable[[], bool]) -> None:
    """Wait for a thread, at most five seconds."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_journal_is_numbered_and_holds_no_progress(directory: RunDirectory, recorder: Recorder) -> None:
    recorder(Progress(phase="train"))
    recorder(started())
    recorder(epoch())
    lines = [json.loads(line) for line in directory.journal.read_text().splitlines()]
    assert [(line["v"], line["seq"], line["type"]) for line in lines] == [
        (1, 0, "run_started"),
        (1, 1, "epoch_ended"),
    ]


def test_a_warning_of_very_many_images_can_be_read_back(directory: RunDirectory, recorder: Recorder) -> None:
    paths = [f"files/p{number:08}/s{number:08}/{number:032x}.jpg" for number in range(300_000)]
    recorder(Warning(kind="images_changed", message="300,000 images changed", paths=paths))
    recorder(Warning(kind="duplicates", message="copies", paths=[" = ".join(paths)]))
    many, one = follow.read(directory)
    assert isinstance(many, Warning)
    assert isinstance(one, Warning)
    assert many.paths == paths[:1000]
    assert one.paths[0].startswith(f"{paths[0]} = {paths[1]}")


def test_a_journal_is_continued(directory: RunDirectory) -> None:
    for number in range(2):
        recorder = Recorder(directory, ignore, ignore)
        recorder(Warning(kind="x", message=str(number)))
        recorder.close()
    assert [json.loads(line)["seq"] for line in directory.journal.read_text().splitlines()] == [0, 1]


def test_state_follows_the_run(directory: RunDirectory, recorder: Recorder) -> None:
    assert state.read(directory).status == "running"
    recorder(ControlUsed(control="pause", stage="frozen", epoch=0))
    recorder(ControlUsed(control="learning_rate", stage="frozen", epoch=0, value=1e-4))
    assert state.read(directory).status == "paused"
    recorder(ControlUsed(control="resume", stage="frozen", epoch=0))
    assert state.read(directory).status == "running"
    recorder(RunEnded(outcome="done", why="", best_epoch=0, seconds=1))
    assert state.read(directory).status == "done"
    assert not state.read(directory).live


def test_a_dead_process_or_a_stale_heartbeat_is_interrupted(directory: RunDirectory) -> None:
    import socket

    gone = state.State(status="running", pid=2**22 + 1, host=socket.gethostname(), heartbeat=time.time())
    directory.state.write_bytes(msgspec.json.encode(gone))
    assert state.read(directory).status == "interrupted"
    far = state.State(status="paused", pid=1, host="elsewhere", heartbeat=time.time())
    directory.state.write_bytes(msgspec.json.encode(far))
    assert state.read(directory).status == "paused"
    stale = msgspec.structs.replace(far, heartbeat=time.time() - 2 * state.STALE_SECONDS)
    directory.state.write_bytes(msgspec.json.encode(stale))
    assert state.read(directory).status == "interrupted"


def test_requests_of_another_process_reach_the_run(
    directory: RunDirectory,
    recorder: Recorder,
    asked: list[tuple[str, float | None]],
    refused: list[str],
) -> None:
    directory.request("unfreeze")
    directory.request("learning_rate", 3e-4)
    until(lambda: asked == [("unfreeze", None), ("learning_rate", 3e-4)])
    (directory.control / "12-dance").touch()
    until(lambda: len(refused) == 1)
    assert not list(directory.control.iterdir())


def test_a_disk_that_does_not_answer_for_once_ends_no_control(
    directory: RunDirectory,
    recorder: Recorder,
    asked: list[tuple[str, float | None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take, failed = RunDirectory.take_requests, threading.Event()

    def take_or_fail(run: RunDirectory, refuse: Callable[[str], None]) -> Iterator[tuple[str, float | None]]:
        if not failed.is_set():
            failed.set()
            raise OSError(errno.ESTALE, "Stale file handle")
        return take(run, refuse)

    monkeypatch.setattr(RunDirectory, "take_requests", take_or_fail)
    assert failed.wait(10)
    directory.request("pause")
    until(lambda: asked == [("pause", None)])


def test_a_run_has_one_writer(directory: RunDirectory, recorder: Recorder) -> None:
    with pytest.raises(
        UserError, match=r"is live in process \d+ on .*: two processes must not write one run"
    ):
        Claim(directory, patience_seconds=0.05)
    recorder.close()
    Claim(directory).close()


def test_a_torn_last_line_is_cut_off(directory: RunDirectory) -> None:
    directory.journal.write_bytes(b'{"v":1,"seq":0,"t":1.0,"type":"resumed","epoch":3}\n{"v":1,"seq":1,"t":')
    recorder = Recorder(directory, ignore, ignore)
    recorder(Warning(kind="x", message="whole"))
    recorder.close()
    lines = [json.loads(line) for line in directory.journal.read_text().splitlines()]
    assert [(line["seq"], line["type"]) for line in lines] == [(0, "resumed"), (1, "warning")]


def test_predictions_that_a_resume_makes_again_are_dropped(
    directory: RunDirectory, recorder: Recorder
) -> None:
    for number in range(3):
        recorder(epoch(epoch=number, probabilities=np.ones((1, 2), np.float32), losses=np.ones(1)))
    recorder(Resumed(epoch=1, stage="frozen"))
    assert [file.name for file in directory.predictions.glob("*.npz")] == ["0000.npz"]


def test_predictions_can_be_read_back(directory: RunDirectory, recorder: Recorder) -> None:
    sources = [Source("test/NORMAL/IM-1.jpeg", 0, "IM-1"), Source('test/PNEUMONIA/a,"b".jpeg', 1, "a")]
    recorder(started(validation=sources))
    probabilities = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
    recorder(epoch(epoch=7, probabilities=probabilities, losses=np.array([1.0, 2.0])))
    rows = list(csv.DictReader((directory.predictions / "images.csv").open(encoding="utf-8")))
    assert rows[1] == {"path": 'test/PNEUMONIA/a,"b".jpeg', "actual": "PNEUMONIA", "patient": "a"}
    kept = np.load(directory.predictions / "0007.npz")
    assert np.array_equal(kept["probabilities"], probabilities)
    assert kept["loss"].dtype == np.float32


def test_a_follower_sees_what_another_process_writes(directory: RunDirectory) -> None:
    follower = Follower(directory)
    assert follower.poll() == []
    recorder = Recorder(directory, ignore, ignore)
    first = started()
    recorder(first)
    assert follower.poll() == [first]
    assert follower.live
    recorder(Progress(t=1.0, phase="train", done=3, total=9))
    found: list[Event] = []
    until(lambda: bool(found.extend(follower.poll()) or found))
    assert found == [Progress(t=1.0, phase="train", done=3, total=9)]
    assert follower.poll() == []
    recorder(RunEnded(outcome="done", why="", best_epoch=None, seconds=1))
    recorder.close()
    assert [type(event) for event in follower.poll()] == [RunEnded]
    assert not follower.live


def test_a_line_on_its_way_is_left_for_later(directory: RunDirectory) -> None:
    follower = Follower(directory)
    with directory.journal.open("a") as file:
        file.write('{"v":1,"seq":0,"t":1.0,"type":"resumed",')
        file.flush()
        assert follower.poll() == []
        file.write('"epoch":3}\n')
    assert follower.poll() == [Resumed(t=1.0, epoch=3)]


def test_a_broken_line_is_named(directory: RunDirectory) -> None:
    directory.journal.write_text('{"v":1,"seq":0,"t":1.0,"type":"moon_landed"}\n{"type": 3}\n')
    with pytest.raises(UserError, match=r"events\.jsonl, line 2, is not an event"):
        follow.read(directory)
    assert summaries(directory.path.parent)[0].status == "unreadable"


def test_replay_keeps_the_pace(directory: RunDirectory, recorder: Recorder) -> None:
    for t in (100.0, 110.0, 130.0):
        recorder(Warning(t=t, kind="x", message="x"))
    recorder(Resumed(t=99_999.0, epoch=0))  # a night later
    recorder(Warning(t=100_009.0, kind="x", message="x"))
    assert [wait for wait, _ in follow.replay(directory, 20)] == [0.0, 0.5, 1.0, 0.0, 0.5]


def test_a_summary_by_hand(directory: RunDirectory, recorder: Recorder) -> None:
    recorder(started())
    recorder(stage_started(epochs=2))
    recorder(epoch(epoch=0, validation_loss=0.5, accuracy=0.75))
    recorder(Best(stage="frozen", epoch=0, validation_loss=0.5, accuracy=0.75))
    recorder(epoch(epoch=1, validation_loss=0.6, accuracy=0.9))
    (found,) = summaries(directory.path.parent)
    assert (found.name, found.status, found.stage, found.epochs) == ("night run", "running", "frozen", 2)
    assert (found.best_epoch, found.loss, found.accuracy, found.auc) == (0, 0.5, 0.75, None)


def test_a_record_forgets_what_a_resumed_run_does_again() -> None:
    record = RunRecord()
    for number, loss in enumerate((0.5, 0.4, 0.3)):
        record.apply(epoch(epoch=number, validation_loss=loss))
        record.apply(Best(stage="frozen", epoch=number, validation_loss=loss, accuracy=None))
    record.apply(stage_started(epochs=1, stage="unfrozen", first_epoch=2))
    record.apply(RunEnded(outcome="interrupted", why="", best_epoch=2, seconds=1))
    record.apply(Resumed(epoch=2, stage="frozen"))
    assert [e.epoch for e in record.epochs] == [0, 1]
    assert record.best is not None
    assert record.best.epoch == 1
    assert record.ended is None
    assert record.boundary is None


def test_the_eta_is_of_the_stage() -> None:
    record = RunRecord()
    record.apply(started(images={"train": {"a": 100}, "validation": {"a": 20}}))
    record.apply(stage_started(epochs=3))
    assert record.eta_seconds is None
    record.apply(Progress(phase="train", stage="frozen", epoch=0, done=50, total=100, images_per_second=10))
    # 50 images of this epoch, its validation, and two epochs of 120, all at 10 a second
    assert record.eta_seconds == pytest.approx((50 + 20 + 2 * 120) / 10)
    record.apply(epoch(epoch=0, seconds=15.0))
    record.apply(Progress(phase="train", stage="frozen", epoch=1, done=60, total=100, images_per_second=10))
    assert record.eta_seconds == pytest.approx(40 / 10 + 15)


def test_one_thread_at_a_time_replaces_the_state(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heart beats in a thread of its own while the run is paused and resumed."""
    write, writing, met = state.write, threading.Lock(), threading.Event()

    def slow(where: RunDirectory, status: state.Status) -> None:
        if not writing.acquire(blocking=False):
            met.set()
            return
        time.sleep(0.01)
        write(where, status)
        writing.release()

    monkeypatch.setattr("xray_tui.runs.recorder._TICK_SECONDS", 0.001)
    monkeypatch.setattr("xray_tui.runs.recorder._HEARTBEAT_SECONDS", 0.0)
    monkeypatch.setattr(state, "write", slow)
    recorder = Recorder(directory, lambda *request: None, lambda trouble: None)
    for control in ("pause", "resume") * 10:
        recorder(ControlUsed(control=control, stage="frozen", epoch=0))
    recorder(RunEnded(outcome="done", why="", best_epoch=None, seconds=1.0))
    recorder.close()
    assert not met.is_set()
    assert state.read(directory).status == "done"


def test_writers_do_not_wait_for_the_disk_between_batches(
    directory: RunDirectory, recorder: Recorder
) -> None:
    began = time.monotonic()
    for done in range(20_000):
        recorder(Progress(phase="train", done=done, total=20_000))
    assert time.monotonic() - began < 1
    assert threading.active_count() < 10

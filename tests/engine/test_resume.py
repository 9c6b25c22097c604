"""A run that was interrupted and resumed equals one that was not."""

import errno
import json
import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import write_folder, write_image
from tests.engine.conftest import React, Run, essence, resume, run_recipe
from xray_tui import config, launch
from xray_tui.engine import checkpoints, plan, reporting
from xray_tui.engine.checkpoints import Position
from xray_tui.engine.controls import Controls
from xray_tui.errors import UserError
from xray_tui.events import (
    CheckpointSaved,
    Control,
    ControlUsed,
    EpochEnded,
    Event,
    OperatingPoint,
    Progress,
    Resumed,
    RunEnded,
    RunStarted,
    StageEnded,
    StageStarted,
    TestEvaluated,
    TestUnsealed,
    Warning,
)
from xray_tui.models.backbones import load_backbone
from xray_tui.runs import follow, recorder, state
from xray_tui.runs.claim import Claim
from xray_tui.runs.directory import RunDirectory, list_runs
from xray_tui.runs.record import RunRecord

CHANGES = {
    "training.unfrozen.epochs": 2,
    "training.unfrozen.learning_rate": 1e-3,
    "evaluation.operating_point": "youden",
    "evaluation.calibrate": True,
}
"""Epochs 0 and 1 are frozen, 2 and 3 unfrozen; three batches of 8 each."""

Start = Callable[..., Run]

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("data") / "chest")


@pytest.fixture(autouse=True)
def every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is told at every batch, however fast they come."""
    monkeypatch.setattr(reporting, "_EVERY_SECONDS", 0.0)


@dataclass
class Whole:
    """A run that nobody interrupted, and what a kill would have left of it after some of its events."""

    run: Run
    left: dict[str, Path]

    @property
    def directory(self) -> RunDirectory:
        return self.run.directory


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    runs = tmp_path_factory.mktemp("runs")
    left: dict[str, Path] = {}

    def react(event: Event, _: Controls) -> None:
        match event:
            case StageStarted():
                name = f"stage at {event.first_epoch}"
            case EpochEnded():
                name = f"epoch {event.epoch}"
            case CheckpointSaved():
                name = f"{event.checkpoint} {event.epoch}"
            case OperatingPoint():
                name = "point"
            case TestUnsealed():
                name = "unsealed"
            case TestEvaluated():
                name = "test"
            case _:
                return
        (directory,) = list_runs(runs)
        if name not in left:
            # Progress is written all the time, into a file that then takes the place of the one before.
            unfinished = shutil.ignore_patterns("*.part")
            copy = runs.parent / f"{runs.name}-left" / name
            left[name] = shutil.copytree(directory.path, copy, ignore=unfinished)

    return Whole(run_recipe(data, runs, CHANGES, react), left)


@pytest.fixture
def start(data: Path, tmp_path: Path) -> Start:
    """Such a run, with someone who reacts to its events."""
    return lambda react, **changes: run_recipe(data, tmp_path / "runs", CHANGES | changes, react)


def at(phase: str, epoch: int | None, done: int, do: Callable[[Controls], None] = Controls.stop) -> React:
    """Does something, once, when that pass has so many images."""
    over = False

    def react(event: Event, controls: Controls) -> None:
        nonlocal over
        if not isinstance(event, Progress) or over:
            return
        if (event.phase, event.epoch) == (phase, epoch) and event.done >= done:
            over = True
            do(controls)

    return react


def assert_equal(one: RunDirectory, other: RunDirectory) -> None:
    """The same results by their journals, and the same weights and optimiser to the last bit."""
    assert essence(follow.read(one)) == essence(follow.read(other))
    for name in (checkpoints.BEST, checkpoints.LAST):
        first, second = load_file(one.checkpoints / name), load_file(other.checkpoints / name)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(
    ("phase", "epoch", "done"),
    [
        ("train", 0, 8),
        ("train", 1, 16),
        ("validation", 0, 4),
        ("train", 2, 8),
        ("train", 3, 24),
        ("validation", 3, 4),
        ("validation", None, 4),
        ("test", None, 8),
    ],
)
def test_stopped_and_resumed_equals_never_stopped(
    whole: Whole, start: Start, phase: str, epoch: int | None, done: int
) -> None:
    stopped = start(at(phase, epoch, done))
    assert stopped.ended is not None
    assert stopped.ended.outcome == "interrupted"
    resumed = resume(stopped.directory)
    assert resumed.ended is not None
    assert resumed.ended.outcome == "done"
    assert_equal(stopped.directory, whole.directory)
    trained = sum(event.done for event in last_of_each_pass(stopped) + last_of_each_pass(resumed))
    assert trained == 4 * 24, "no image is trained on twice"


def test_a_published_backbone_goes_on_exactly(data: Path, tmp_path: Path, tiny: pytest.MonkeyPatch) -> None:
    with tiny.context() as patch:
        patch.setattr(plan, "load_backbone", load_backbone)
        changes = CHANGES | {"training.frozen.epochs": 1, "training.unfrozen.epochs": 1}
        one = run_recipe(data, tmp_path / "runs", changes)
        other = run_recipe(data, tmp_path / "runs", changes, at("train", 1, 16))
        resume(other.directory)
    assert_equal(other.directory, one.directory)


def last_of_each_pass(run: Run) -> list[Progress]:
    """What each pass over train has come to in this process; a resumed one starts from what it found."""
    passes: dict[int | None, list[int]] = {}
    for event in run.of(Progress):
        if event.phase == "train":
            passes.setdefault(event.epoch, []).append(event.done)
    return [Progress(phase="train", epoch=e, done=done[-1] - done[0]) for e, done in passes.items()]


def test_resumed_again_and_again(whole: Whole, start: Start) -> None:
    run = start(at("train", 0, 16))
    resume(run.directory, at("train", 1, 8))
    resume(run.directory, at("validation", 1, 4))
    resume(run.directory, at("train", 2, 8))
    resume(run.directory)
    assert_equal(run.directory, whole.directory)
    record = RunRecord.of(follow.read(run.directory))
    assert [record.resumed, len(record.epochs), record.ended and record.ended.outcome] == [
        [0, 1, 1, 2],
        4,
        "done",
    ]
    lines = [json.loads(line) for line in run.directory.journal.read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(len(lines)))


def killed(whole: Whole, after: str, tmp_path: Path) -> RunDirectory:
    """The run as a kill left it, in the middle of writing a line and a checkpoint."""
    directory = RunDirectory(shutil.copytree(whole.left[after], tmp_path / "killed"))
    gone = state.State(status="running", pid=2**22 + 1, host=socket.gethostname(), heartbeat=time.time())
    directory.state.write_bytes(msgspec.json.encode(gone))
    with directory.journal.open("ab") as journal:
        journal.write(b'{"v":1,"seq":77,"t":1.0,"type":"epoch_e')
    directory.checkpoints.mkdir(exist_ok=True)
    (directory.checkpoints / ".last.safetensors.4194305.part").write_bytes(b"half of it")
    return directory


# "last N" is the checkpoint to go on with epoch N from: the epoch before is the best by then, but ``best``
# does not hold it yet.
@pytest.mark.parametrize(
    "after",
    ["stage at 0", "epoch 0", "last 1", "epoch 1", "stage at 2", "last 4", "point", "unsealed", "test"],
)
def test_killed_and_resumed_equals_never_killed(whole: Whole, after: str, tmp_path: Path) -> None:
    directory = killed(whole, after, tmp_path)
    best = RunRecord.of(follow.read(directory)).best
    if after.startswith("last"):
        assert best is not None
        assert f"last {best.epoch + 1}" == after
    resume(directory)
    assert_equal(directory, whole.directory)
    assert not list(directory.path.rglob("*.part"))
    for line in directory.journal.read_text().splitlines():
        json.loads(line)


def test_what_is_between_the_processes_does_not_count(whole: Whole, start: Start) -> None:
    run = start(at("train", 1, 8))
    lines = [json.loads(line) for line in run.directory.journal.read_bytes().splitlines()]
    a_day_ago = [json.dumps(line | {"t": line["t"] - 86400}, separators=(",", ":")) for line in lines]
    run.directory.journal.write_text("\n".join(a_day_ago) + "\n")
    resumed = resume(run.directory)
    record = RunRecord.of(follow.read(run.directory))
    assert record.seconds is not None
    assert record.seconds < 600
    assert resumed.ended is not None
    assert run.ended is not None
    assert resumed.ended.seconds > run.ended.seconds
    assert "every stage finished" in run.directory.report.read_text()


def test_a_changed_learning_rate_survives(start: Start) -> None:
    """A kill right after the change loses nothing: the change is a checkpoint."""

    def change(controls: Controls) -> None:
        controls.learning_rate(3e-4)

    run = start(at("train", 1, 8, change))
    assert [(c.control, c.value, c.epoch) for c in run.of(ControlUsed)] == [("learning_rate", 3e-4, 1)]
    rates = [e.learning_rate for e in run.of(EpochEnded)]
    assert rates == [1e-3, 3e-4, 1e-3, 1e-3], "the unfrozen stage has its own"

    changing, stopping = at("train", 1, 8, change), at("train", 1, 16)

    def change_then_stop(event: Event, controls: Controls) -> None:
        changing(event, controls)
        stopping(event, controls)

    again = start(change_then_stop)
    resume(again.directory)
    assert_equal(again.directory, run.directory)


def test_a_rate_changed_after_an_epochs_batches_is_the_same_after_a_resume(
    start: Start,
) -> None:
    def change(controls: Controls) -> None:
        controls.learning_rate(3e-4)

    twice = {"evaluation.tta": "flip"}
    whole = start(at("validation", 1, 4, change), **twice)
    changing, stopping = at("validation", 1, 4, change), at("validation", 1, 8)

    def change_then_stop(event: Event, controls: Controls) -> None:
        changing(event, controls)
        stopping(event, controls)

    stopped = start(change_then_stop, **twice)
    assert stopped.ended is not None
    assert stopped.ended.outcome == "interrupted"
    resume(stopped.directory)
    assert_equal(stopped.directory, whole.directory)


def test_all_of_the_body_is_thawed_at_the_end_as_a_resume_finds_it(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BatchNorms of a frozen part are folded: in the last bits it computes something else."""
    make = plan.make
    made: list[plan.Plan] = []

    def keep(*given: Any, **named: Any) -> plan.Plan:
        made.append(make(*given, **named))
        return made[-1]

    monkeypatch.setattr(plan, "make", keep)
    learning: list[tuple[int, int]] = []

    def look(event: Event, _: Controls) -> None:
        if isinstance(event, Progress) and event.phase == "test":
            learning.append(made[-1].model.parameter_counts())

    run = start(at("validation", None, 4), **{"training.gradual": 2})
    whole = start(look, **{"training.gradual": 2})
    resume(run.directory, look)
    assert len(learning) > 1
    assert {trainable == total for trainable, total in learning} == {True}
    assert_equal(run.directory, whole.directory)


def test_a_learning_rate_is_checkpointed_as_it_is_changed(start: Start, tmp_path: Path) -> None:
    """Or a kill in the same epoch would bring the old one back."""
    changing = at("train", 1, 8, lambda controls: controls.learning_rate(3e-4))
    saved: list[Position] = []

    def react(event: Event, controls: Controls) -> None:
        changing(event, controls)
        if isinstance(event, CheckpointSaved) and event.checkpoint == "last":
            saved.append(checkpoints.read_position(list_runs(tmp_path / "runs")[0].checkpoints))

    start(react)
    assert [(p.next_epoch, p.batches, p.learning_rate) for p in saved if p.batches] == [(1, 1, 3e-4)]


def test_what_cannot_be_resumed_says_why_and_stays_as_it_is(whole: Whole, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is done: nothing is left"):
        resume(whole.directory)

    directory = killed(whole, "last 1", tmp_path)
    (directory.checkpoints / checkpoints.LAST).unlink()
    with pytest.raises(UserError, match="has no checkpoint"):
        resume(directory)

    shutil.copy(whole.left["last 1"] / "checkpoints" / checkpoints.LAST, directory.checkpoints)
    settings = config.load({}, file=directory.config)
    other = shutil.copytree(settings.data.root, tmp_path / "other")
    write_image(other / "train" / "NORMAL" / "IM-9999-0001.png")
    for root, message in (
        (tmp_path / "nowhere", "data folder .*nowhere is not there"),
        (other, "other holds other images than when the run began"),
    ):
        directory.config.write_text(config.to_toml(config.replace(settings, {"data.root": str(root)})))
        with pytest.raises(UserError, match=message):
            resume(directory)
    assert state.read(directory).status == "interrupted"

    with Claim(directory):
        state.write(directory, "running")
        with pytest.raises(UserError, match="is live in process"):
            resume(directory)


def test_a_moved_data_folder_is_found_again(whole: Whole, tmp_path: Path) -> None:
    directory = killed(whole, "last 1", tmp_path)
    settings = config.load({}, file=directory.config)
    moved = shutil.copytree(settings.data.root, tmp_path / "moved")
    directory.config.write_text(config.to_toml(config.replace(settings, {"data.root": str(moved)})))
    assert resume(directory).ended is not None
    assert_equal(directory, whole.directory)


def test_what_auto_chose_is_no_wish_of_the_person_who_resumes(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "chest", {split: {"a": 6, "b": 7} for split in ("train", "test")})
    whole = run_recipe(data, tmp_path / "whole")
    stopped = run_recipe(data, tmp_path / "stopped", react=at("train", 0, 1))
    rest = resume(stopped.directory)
    assert [e.skipped for e in rest.of(TestEvaluated)] == [e.skipped for e in whole.of(TestEvaluated)]
    assert "split recipe" in whole.of(TestEvaluated)[0].skipped


def test_where_its_device_is_not_there_it_goes_on_with_the_one_written_down(
    whole: Whole, tmp_path: Path
) -> None:
    directory = killed(whole, "last 1", tmp_path)
    settings = config.load({}, file=directory.config)
    directory.config.write_text(config.to_toml(config.replace(settings, {"hardware.device": "cuda:99"})))
    with pytest.raises(UserError, match="this machine has") as refused:
        resume(directory)
    assert "in a config.toml, a run's own too, it is device under [hardware]" in refused.value.hint
    directory.config.write_text(config.to_toml(config.replace(settings, {"hardware.device": "cpu"})))
    assert resume(directory).ended is not None
    assert_equal(directory, whole.directory)


def test_images_that_cannot_be_read_any_more_end_it(whole: Whole, tmp_path: Path) -> None:
    directory = killed(whole, "last 1", tmp_path)
    settings = config.load({}, file=directory.config)
    moved = Path(shutil.copytree(settings.data.root, tmp_path / "moved"))
    next((moved / "train" / "NORMAL").iterdir()).write_bytes(b"gone")
    directory.config.write_text(config.to_toml(config.replace(settings, {"data.root": str(moved)})))
    with pytest.raises(UserError, match="27 images can be read, but 28 could"):
        resume(directory)
    assert state.read(directory).status == "failed"


def test_an_image_that_is_another_now_is_named(whole: Whole, tmp_path: Path) -> None:
    """Its pixels count, not its file: one that was copied anew, or has another date, is the same."""
    directory = killed(whole, "last 1", tmp_path)
    settings = config.load({}, file=directory.config)
    moved = Path(shutil.copytree(settings.data.root, tmp_path / "moved"))
    one, *others = sorted((moved / "train" / "NORMAL").iterdir())
    write_image(one, bright=True, seed=99)
    for other in others:
        os.utime(other)
    directory.config.write_text(config.to_toml(config.replace(settings, {"data.root": str(moved)})))
    resumed = resume(directory)
    assert resumed.ended is not None
    assert resumed.ended.outcome == "done"
    (warning,) = [w for w in resumed.of(Warning) if w.kind == "images_changed"]
    assert warning.paths == [f"train/NORMAL/{one.name}"]
    assert warning.message.startswith("1 image changed since the run was left")


def at_the_end(data: Path, do: Callable[[], None]) -> React:
    def react(event: Event, _: Controls) -> None:
        if isinstance(event, StageEnded) and event.stage == "unfrozen":
            do()

    return react


def test_a_data_folder_that_vanishes_is_told_where_test_is_to_be_read(tmp_path: Path) -> None:
    """All the rest was read when the run began."""
    data = write_folder(tmp_path / "chest")
    run = run_recipe(data, tmp_path / "runs", CHANGES, at_the_end(data, lambda: shutil.rmtree(data)))
    assert run.ended is not None
    assert run.ended.outcome == "done"
    (test,) = run.of(TestEvaluated)
    assert test.skipped == f"the data folder {data} is not there any more"


def test_test_images_that_change_or_vanish_meanwhile_are_named(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "chest")
    gone, changed, *_ = sorted((data / "test" / "NORMAL").iterdir())

    def spoil() -> None:
        gone.unlink()
        write_image(changed, bright=True, size=(50, 50))

    run = run_recipe(data, tmp_path / "runs", CHANGES, at_the_end(data, spoil))
    told = {w.kind: w.paths for w in run.of(Warning)}
    assert told == {
        "images_changed": [f"test/NORMAL/{gone.name}", f"test/NORMAL/{changed.name}"],
        "unreadable": [f"test/NORMAL/{gone.name} (No such file or directory)"],
    }
    (test,) = run.of(TestEvaluated)
    assert test.images == 13


def test_the_weights_of_a_resumed_run_need_not_be_had(whole: Whole, tmp_path: Path) -> None:
    """Not from a hub and not from the file that the run began with."""
    directory = killed(whole, "last 1", tmp_path)
    settings = config.load({}, file=directory.config)
    changed = config.replace(settings, {"model.weights": "/gone/resnet.pth"})
    directory.config.write_text(config.to_toml(changed))
    resumed = resume(directory)
    assert resumed.ended is not None
    assert not resumed.of(RunStarted)
    assert type(resumed.journaled[0]) is Resumed


def test_stop_while_images_are_read_begins_anew(whole: Whole, start: Start) -> None:
    run = start(at("reading", None, 3))
    assert run.ended is not None
    assert run.ended.outcome == "interrupted"
    resume(run.directory)
    assert_equal(run.directory, whole.directory)


def test_waiting_for_a_person_is_resumed(whole: Whole, start: Start) -> None:
    run = start(at("waiting", None, 0), **{"training.unfreeze": "ask"})
    assert run.ended is not None
    assert run.ended.outcome == "interrupted"
    resume(run.directory, at("waiting", None, 0, Controls.unfreeze))
    assert_equal(run.directory, whole.directory)


def detached(monkeypatch: pytest.MonkeyPatch, answer: str) -> list[tuple[str, float | None]]:
    """No process is started; gives what was asked of the run in the meantime."""
    asked: list[tuple[str, float | None]] = []

    def hand_over(directory: RunDirectory, requests: Callable[[], list[tuple[Control, float | None]]]) -> str:
        Claim(directory, patience_seconds=0).close()  # nobody has it
        state.write(directory, "handover")
        for control, value in requests():
            asked.append((control, value))
            directory.request(control, value)
        return answer

    monkeypatch.setattr(launch, "hand_over", hand_over)
    return asked


@pytest.mark.parametrize(
    ("phase", "epoch", "done"),
    [("reading", None, 3), ("train", 1, 16), ("validation", 2, 4), ("test", None, 8)],
)
def test_taken_over_equals_never_detached(
    whole: Whole,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    phase: str,
    epoch: int | None,
    done: int,
) -> None:
    detached(monkeypatch, "")
    run = start(at(phase, epoch, done, Controls.detach))
    assert run.ended is None
    assert not run.of(RunEnded)
    assert state.read(run.directory).status == "handover"
    with pytest.raises(UserError, match="is live"):
        resume(run.directory)
    other = resume(run.directory, take_over=True)
    assert other.ended is not None
    assert other.ended.outcome == "done"
    assert_equal(run.directory, whole.directory)


def test_who_unfroze_now_and_left_finds_it_unfrozen(data: Path, start: Start) -> None:
    def react(event: Event, controls: Controls) -> None:
        if isinstance(event, Progress) and event.phase == "train" and event.epoch == 1:
            controls.unfreeze()
        if isinstance(event, StageEnded) and event.stage == "frozen":
            controls.stop()  # obeyed before the next stage begins: something has to be explained

    left = start(react, **{"evaluation.explain": True, "training.frozen.epochs": 3})
    assert left.ended is not None
    assert left.ended.outcome == "interrupted"
    assert not [event for event in left.of(StageStarted) if event.stage == "unfrozen"]
    rest = resume(left.directory)
    assert [event.stage for event in rest.of(EpochEnded)] == ["unfrozen"] * 2
    assert [event.why for event in rest.of(StageEnded)] == ["unfreeze now", "finished"]


def test_where_nobody_takes_over_it_goes_on_here(
    whole: Whole, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    detached(monkeypatch, "the process ended with code 7")
    run = start(at("train", 1, 16, Controls.detach))
    assert run.ended is not None
    assert run.ended.outcome == "done"
    (warning,) = run.of(Warning)
    assert (warning.kind, "it goes on here: the process ended with code 7" in warning.message) == (
        "handover",
        True,
    )
    assert_equal(run.directory, whole.directory)
    times = [event.t for event in run.journaled]
    assert times == sorted(times)


def test_where_a_full_disk_keeps_it_from_being_handed_over_it_goes_on_here(
    whole: Whole, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = state.write

    def write_or_fail(directory: RunDirectory, status: state.Status) -> None:
        if status == "handover":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(directory, status)

    monkeypatch.setattr(state, "write", write_or_fail)
    run = start(at("train", 1, 16, Controls.detach))
    assert run.ended is not None
    assert run.ended.outcome == "done"
    (warning,) = run.of(Warning)
    assert "it goes on here" in warning.message
    assert "No space left on device" in warning.message
    assert_equal(run.directory, whole.directory)


def test_a_paused_run_is_paused_where_it_goes_on(
    whole: Whole, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = detached(monkeypatch, "")

    pausing = at("train", 1, 8, Controls.pause)

    def react(event: Event, controls: Controls) -> None:
        pausing(event, controls)
        if isinstance(event, ControlUsed) and event.control == "pause":
            controls.detach()

    run = start(react)
    assert asked == [("pause", None)]

    def let_go(event: Event, controls: Controls) -> None:
        if isinstance(event, ControlUsed) and event.control == "pause":
            controls.resume()

    monkeypatch.setattr(recorder, "_TICK_SECONDS", 0.005)
    other = resume(run.directory, let_go, take_over=True)
    assert [c.control for c in other.of(ControlUsed)] == ["pause", "resume"]
    assert_equal(run.directory, whole.directory)

import errno
import json
import os
from pathlib import Path
from typing import NoReturn

import pytest
from making import NOON, die, keep, lines

from tests.test_events import epoch
from tests.tui.record_journals import whole_run
from xray_tui import event_lines
from xray_tui.errors import UserError
from xray_tui.events import (
    PRUNER,
    Best,
    CheckpointSaved,
    ControlUsed,
    Outcome,
    Progress,
    Resumed,
    RunEnded,
    RunStarted,
    Warning,
)
from xray_tui.runs import follow, index, upkeep
from xray_tui.runs.index import find, index_file, summaries
from xray_tui.runs.record import RunRecord
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.sources import FollowSource


def test_a_summary_says_what_the_whole_record_says(tmp_path: Path) -> None:
    directory = keep(tmp_path)
    (found,) = summaries(tmp_path)
    record = RunRecord.of(follow.read(directory))
    best = record.best_epoch
    assert best is not None
    assert record.started is not None
    assert (found.best_epoch, found.loss, found.accuracy, found.auc) == (
        best.epoch,
        best.validation_loss,
        best.accuracy,
        best.auc,
    )
    assert (found.started, found.seconds) == (record.first_t, record.seconds)
    assert (found.stage, found.epochs, found.status) == ("unfrozen", 15, "done")
    assert (found.backbone, found.data, found.note) == ("resnet50", "chest_xray", "")
    assert found.settings == record.started.settings


def test_newest_first_and_the_trash_left_out(tmp_path: Path) -> None:
    old, new, gone = keep(tmp_path), keep(tmp_path, at=NOON + 60), keep(tmp_path, at=NOON + 120)
    upkeep.delete(gone)
    assert [found.directory for found in summaries(tmp_path)] == [new, old]


def test_a_run_is_found_by_what_a_person_calls_it(tmp_path: Path) -> None:
    one, other = keep(tmp_path), keep(tmp_path, at=NOON + 60)
    upkeep.rename(one, "night run")
    assert find(tmp_path) == other
    assert find(tmp_path, other.name[:15]) == other
    assert find(tmp_path, "night run") == one
    upkeep.rename(other, "night run")
    with pytest.raises(UserError, match="2 runs are called 'night run'"):
        find(tmp_path, "night run")
    with pytest.raises(UserError, match="no run 'day run'"):
        find(tmp_path, "day run")


def test_the_index_saves_reading_journals_that_did_not_change(tmp_path: Path) -> None:
    directory = keep(tmp_path)
    before = summaries(tmp_path)
    stamp = directory.journal.stat()
    directory.journal.write_bytes(
        b"x" * (stamp.st_size - 1) + b"\n"
    )  # nobody would, but it shows who is asked
    os.utime(directory.journal, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert summaries(tmp_path) == before
    os.utime(directory.journal, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    assert summaries(tmp_path)[0].status == "unreadable"


def test_a_journal_that_could_not_be_read_just_then_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path)

    def fail(*_: object) -> NoReturn:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(index, "_events", fail)
        assert summaries(tmp_path)[0].status == "unreadable"
    assert summaries(tmp_path)[0].status == "done"


def test_a_run_that_a_sweep_cut_short_is_pruned(tmp_path: Path) -> None:
    ended = {"outcome": "interrupted", "best_epoch": None, "seconds": 1.0}
    told = [epoch(t=110.0), RunEnded(t=120.0, why=f"stopped by {PRUNER}: AUC 0.5 after 1 epochs", **ended)]
    keep(tmp_path, told, at=NOON, status="interrupted")
    keep(tmp_path, [*told, Resumed(t=130.0, epoch=1)], at=NOON + 1, status="interrupted")
    keep(tmp_path, [*told[:1], RunEnded(t=120.0, why="stopped by SIGINT", **ended)], status="interrupted")
    for _ in ("read", "as the index has it"):
        assert [run.status for run in summaries(tmp_path)] == ["interrupted", "interrupted", "pruned"]


def test_a_journal_that_grew_is_read_again(tmp_path: Path) -> None:
    told = list(whole_run())
    directory = keep(tmp_path, told[:20])
    assert summaries(tmp_path)[0].epochs < 15
    directory.journal.write_bytes(lines(told))
    assert summaries(tmp_path)[0].epochs == 15


def test_what_other_files_say_is_never_remembered(tmp_path: Path) -> None:
    directory = keep(tmp_path, list(whole_run())[:20])
    summaries(tmp_path)
    upkeep.set_note(directory, "a note")
    upkeep.rename(directory, "another name")
    die(directory)
    (found,) = summaries(tmp_path)
    assert (found.note, found.name, found.status) == ("a note", "another name", "interrupted")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"version":1,"runs":{"NAME":{}}}', b'{"version":0,"runs":{}}'],
)
def test_a_broken_index_is_made_anew(tmp_path: Path, content: bytes) -> None:
    directory = keep(tmp_path)
    expected = summaries(tmp_path)
    index_file(tmp_path).write_bytes(content.replace(b"NAME", directory.name.encode()))
    assert summaries(tmp_path) == expected
    assert directory.name in json.loads(index_file(tmp_path).read_bytes())["runs"]


def test_a_folder_that_cannot_be_written_is_listed_all_the_same(tmp_path: Path) -> None:
    keep(tmp_path)
    index_file(tmp_path).mkdir()  # root may write anywhere, but not over a folder
    (index_file(tmp_path) / "occupied").touch()
    assert summaries(tmp_path)[0].epochs == 15
    assert summaries(tmp_path)[0].epochs == 15


def test_a_live_run_alone_does_not_rewrite_the_index(tmp_path: Path) -> None:
    keep(tmp_path, list(whole_run())[:20], status="running")
    assert summaries(tmp_path)[0].status == "running"
    assert not index_file(tmp_path).exists()


def test_deleted_runs_leave_the_index_when_it_is_next_written(tmp_path: Path) -> None:
    gone = keep(tmp_path)
    summaries(tmp_path)
    upkeep.delete(gone)
    kept = keep(tmp_path, at=NOON + 60)
    summaries(tmp_path)
    assert list(json.loads(index_file(tmp_path).read_bytes())["runs"]) == [kept.name]


def test_a_run_that_never_began_has_the_settings_it_was_given(tmp_path: Path) -> None:
    directory = keep(tmp_path, [])
    for _ in ("an empty journal", "no journal"):
        (found,) = summaries(tmp_path)
        assert (found.backbone, found.data, found.epochs, found.started) == (
            "resnet50",
            "chest_xray",
            0,
            None,
        )
        directory.journal.unlink(missing_ok=True)


@pytest.mark.parametrize("content", [b"", b"\xff", b"{}"])
def test_a_broken_state_is_interrupted(tmp_path: Path, content: bytes) -> None:
    keep(tmp_path, list(whole_run())[:20]).state.write_bytes(content)
    assert summaries(tmp_path)[0].status == "interrupted"


@pytest.mark.parametrize("outcome", ["done", "failed", "interrupted"])
def test_without_a_state_the_journal_says_how_a_run_ended(tmp_path: Path, outcome: Outcome) -> None:
    ended = RunEnded(t=120.0, outcome=outcome, why="", best_epoch=None, seconds=20.0)
    keep(tmp_path, [epoch(t=110.0), ended]).state.unlink()
    keep(tmp_path, [epoch(t=110.0), ended, Resumed(t=130.0, epoch=1)], at=NOON + 1).state.unlink()
    for _ in ("read", "as the index has it"):
        assert [run.status for run in summaries(tmp_path)] == ["interrupted", outcome]


@pytest.mark.parametrize("content", [b"{\n", b'{"type":3}\n', b'{"t":1.0,"type":"warning","kind":"\xff"}\n'])
def test_a_broken_journal_is_unreadable(tmp_path: Path, content: bytes) -> None:
    directory = keep(tmp_path)
    directory.journal.write_bytes(content + directory.journal.read_bytes())
    (found,) = summaries(tmp_path)
    assert (found.status, found.backbone, found.epochs) == ("unreadable", "resnet50", 0)


def test_only_lines_of_those_types_are_passed_over(tmp_path: Path) -> None:
    told = list(whole_run())
    assert isinstance(told[0], RunStarted)
    told[0].settings["run"]["name"] = '","type":"mistakes"'
    directory = keep(tmp_path, told)
    with directory.journal.open("ab") as journal:
        # Another writer's order of keys, a type of another version, and a line on its way.
        journal.write(b'{"type":"resumed","epoch":3,"t":1795600000.0,"seq":1,"v":1}\n')
        journal.write(b'{"v":1,"seq":2,"t":1795600001.0,"type":"moon_landed"}\n{"v":1,"seq"')
    (found,) = summaries(tmp_path)
    assert found.name == '","type":"mistakes"'
    assert found.epochs == 3


def test_the_time_between_an_interruption_and_a_resume_does_not_count(tmp_path: Path) -> None:
    told = [
        Warning(t=100.0, kind="x", message="x"),
        epoch(t=110.0, epoch=0, validation_loss=0.5),
        Best(t=110.0, stage="frozen", epoch=0, validation_loss=0.5, accuracy=None),
        epoch(t=120.0, epoch=1, validation_loss=0.2),
        Best(t=120.0, stage="frozen", epoch=1, validation_loss=0.2, accuracy=None),
        Resumed(t=5000.0, epoch=1),
        epoch(t=5010.0, epoch=1, validation_loss=0.6),
    ]
    keep(tmp_path, told, status="interrupted")
    (found,) = summaries(tmp_path)
    assert found.seconds == 30.0
    assert (found.best_epoch, found.loss, found.epochs) == (0, 0.5, 2)


def test_a_killed_run_took_as_long_everywhere(tmp_path: Path) -> None:
    told = [
        Warning(t=100.0, kind="x", message="x"),
        epoch(t=110.0, epoch=0),
        ControlUsed(t=114.0, control="detach", stage="frozen", epoch=1),
        CheckpointSaved(t=115.0, checkpoint="last", epoch=1, path="checkpoints/last", bytes=1),
        Resumed(t=125.0, epoch=1, stage="frozen"),
        epoch(t=135.0, epoch=1),
    ]
    directory = keep(tmp_path, told, status="interrupted")
    directory.progress.write_bytes(event_lines.encode(Progress(t=150.0, phase="train")))
    follower = FollowSource(directory)
    follower.finished = True
    shown = ShownRun(follower)
    shown.apply(follow.Follower(directory).poll())
    assert [summaries(tmp_path)[0].seconds, RunRecord.of(follow.read(directory)).seconds] == [25.0, 25.0]
    assert shown.seconds == 25.0


def test_the_run_itself_knows_best_how_long_it_took(tmp_path: Path) -> None:
    keep(tmp_path, [epoch(t=110.0), RunEnded(t=120.0, outcome="done", why="", best_epoch=None, seconds=77.0)])
    assert summaries(tmp_path)[0].seconds == 77.0

"""A full disk: the run waits with one clear message, keeps its last checkpoint, and goes on with room."""

import json
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.conftest import short, write_folder
from tests.engine.conftest import Run, resume, run_recipe
from tests.faults.full_disk import CHANGES, WRITES, Write, results, run_and_stop, run_through
from xray_tui.engine import checkpoints, patience
from xray_tui.engine.controls import Controls
from xray_tui.errors import UserError
from xray_tui.events import EpochEnded, Event, Warning
from xray_tui.runs import follow, state
from xray_tui.runs.record import RunRecord

if sys.platform == "win32":
    pytest.skip("a file's size cannot be limited here", allow_module_level=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("data") / "chest")


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose disk never was full."""
    return run_recipe(data, tmp_path_factory.mktemp("runs"), CHANGES)


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_POLL_SECONDS", 0.01)


@pytest.mark.parametrize("write", short(WRITES, 2), ids=lambda write: write.name)
def test_the_run_waits_for_room_and_loses_nothing(
    write: Write, data: Path, whole: Run, tmp_path: Path
) -> None:
    run = run_through(write, data, tmp_path / "runs")
    assert run.ended is not None
    assert run.ended.outcome == "done"
    told = [w.message for w in run.of(Warning) if w.kind == "disk_full"]
    assert len(told) == 2, "once as it begins to wait, once when that is over"
    assert told[0].startswith("the disk is full, the run waits for room: ")
    assert write.where in told[0]
    assert results(run) == results(whole)
    for name in (checkpoints.BEST, checkpoints.LAST):
        kept = load_file(run.directory.checkpoints / name)
        assert all(
            tensor.equal(kept[key]) for key, tensor in load_file(whole.directory.checkpoints / name).items()
        )
    lines = [json.loads(line) for line in run.directory.journal.read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    journaled = [line["message"] for line in lines if line["type"] == "warning"]
    assert journaled == told[1:]
    assert run.directory.report.is_file()
    assert state.read(run.directory).status == "done"
    assert not list(run.directory.path.rglob("*.part"))


@pytest.mark.parametrize("write", short(reversed(WRITES), 2), ids=lambda write: write.name)
def test_stopped_while_it_waits_it_is_resumed_to_the_same_end(
    write: Write, data: Path, whole: Run, tmp_path: Path
) -> None:
    run = run_and_stop(write, data, tmp_path / "runs")
    assert run.ended is not None
    if write.name == "report":
        assert run.ended.outcome == "done", "all but the report had been written"
        return
    assert run.ended.outcome == "interrupted"
    record = RunRecord.of(follow.read(run.directory))
    assert record.started is not None or write.name == "pixel cache"
    rest = resume(run.directory)
    assert rest.ended is not None
    assert rest.ended.outcome == "done"
    assert results(run) == results(whole)


def test_a_run_whose_directory_is_gone_says_so(data: Path, tmp_path: Path) -> None:
    def remove(event: Event, _: Controls) -> None:
        if isinstance(event, EpochEnded) and event.epoch == 0:
            (tmp_path / "runs").rename(tmp_path / "elsewhere")

    with pytest.raises(UserError, match=r"run directory cannot be written|no checkpoint can be written"):
        run_recipe(data, tmp_path / "runs", CHANGES, remove)


def event_values(folder: Path) -> list[tuple[str, int]]:
    """Tags and steps, read by TensorBoard's own reader."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    board.Reload()
    tags = board.Tags()
    scalars = [(tag, value.step) for tag in tags["scalars"] for value in board.Scalars(tag)]
    return sorted(scalars + [(tag, value.step) for tag in tags["images"] for value in board.Images(tag)])


def test_the_event_files_are_whole(data: Path, whole: Run, tmp_path: Path) -> None:
    (write,) = (write for write in WRITES if write.name == "event file")
    run = run_through(write, data, tmp_path / "runs")
    for stage in ("frozen", "unfrozen"):
        values = event_values(run.directory.tensorboard / stage)
        assert values == event_values(whole.directory.tensorboard / stage)
        assert values

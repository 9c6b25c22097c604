"""What a shell, a scheduler or a hasty person sends: the run stops with its checkpoint, or only sleeps."""

import signal
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import write_folder
from tests.faults.signals import Command, gone, train
from xray_tui.engine import checkpoints
from xray_tui.errors import UserError
from xray_tui.events import RunEnded
from xray_tui.runs import follow, state
from xray_tui.runs.claim import Claim

if sys.platform == "win32":
    pytest.skip("no such signals here", allow_module_level=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("data") / "chest")


@pytest.mark.parametrize(
    ("sent", "code", "why"),
    [
        ((signal.SIGINT,), 130, "stopped by SIGINT"),
        pytest.param((signal.SIGTERM,), 143, "stopped by SIGTERM", marks=pytest.mark.long),
        ((signal.SIGTERM, signal.SIGTERM), 143, ""),
        pytest.param((signal.SIGINT, signal.SIGINT), 130, "", marks=pytest.mark.long),
    ],
    ids=lambda value: "+".join(each.name for each in value) if isinstance(value, tuple) else None,
)
def test_it_ends_with_its_checkpoint_and_is_resumed(
    data: Path, tmp_path: Path, sent: tuple[signal.Signals, ...], code: int, why: str
) -> None:
    command = train(tmp_path, data, "--json")
    run = command.wait_for_epoch()
    command.send(*sent)
    began = time.monotonic()
    assert command.wait() == code
    assert time.monotonic() - began < 20
    assert gone(run)
    said = command.log.read_text()
    assert "Traceback" not in said
    assert "bug" not in said
    last = follow.read(run)[-1]
    if why:
        assert isinstance(last, RunEnded)
        assert (last.outcome, last.why) == ("interrupted", why)
        assert '"type":"run_ended"' in said
    position = checkpoints.read_position(run.checkpoints)
    again = Command(tmp_path, "resume", str(run.path))
    while checkpoints.read_position(run.checkpoints).next_epoch <= position.next_epoch:
        assert again.process.poll() is None, again.log.read_text()
        time.sleep(0.02)
    again.send(signal.SIGTERM)
    assert again.wait() == 143


def test_a_stopped_process_has_not_died(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "STALE_SECONDS", 0.5)
    command = train(tmp_path, data)
    run = command.wait_for_epoch()
    command.send(signal.SIGSTOP)  # what ctrl+z comes to
    time.sleep(1)
    before = run.journal.stat().st_size
    assert state.read(run).status == "running", "no heartbeat, but it is there"
    with pytest.raises(UserError, match="is live in process"):
        Claim(run, patience_seconds=0.1)
    command.send(signal.SIGCONT)
    deadline = time.monotonic() + 30
    while run.journal.stat().st_size == before:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    command.send(signal.SIGSTOP)
    command.send(signal.SIGKILL)
    assert command.wait() == 128 + signal.SIGKILL
    assert gone(run)

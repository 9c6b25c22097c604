"""Handing a run over, with small programs in the place of the process that resumes it."""

import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from making import keep

from xray_tui import config, launch
from xray_tui.engine.controls import Controls
from xray_tui.errors import UserError
from xray_tui.events import Control
from xray_tui.runs import state
from xray_tui.runs.claim import Claim, check_resumable
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.handover import hand_over

Request = tuple[Control, float | None]

TAKES_OVER = """
import json, os, pathlib, socket, sys, time
told = {"status": "running", "pid": os.getpid(), "host": socket.gethostname(), "heartbeat": time.time()}
file = pathlib.Path(sys.argv[1])
part = file.with_name("part")
part.write_text(json.dumps(told))
part.replace(file)
"""


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    made = RunDirectory.create(config.load({"run.runs_dir": str(tmp_path)}))
    made.journal.touch()
    state.write(made, "running")
    return made


def program(directory: RunDirectory, code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code, str(directory.state)]


def nothing() -> list[Request]:
    return []


def test_it_is_over_when_the_other_process_says_so(directory: RunDirectory) -> None:
    then = program(directory, TAKES_OVER + "time.sleep(0.3)")
    assert hand_over(directory, nothing, command=then, limit_seconds=30) == ""
    found = state.written(directory)
    assert found is not None
    assert (found.status, found.pid == os.getpid()) == ("running", False)
    deadline = time.monotonic() + 10
    while state.read(directory).live:  # a zombie would look alive
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_its_last_words_tell_why_it_did_not(directory: RunDirectory) -> None:
    code = "import sys; sys.stderr.write('hm\\nerror: no room\\n  a hint\\n'); sys.exit(2)"
    why = hand_over(directory, nothing, command=program(directory, code))
    assert why == "no room"
    why = hand_over(directory, nothing, command=program(directory, "raise SystemExit(7)"))
    assert why == "the process ended with code 7"
    why = hand_over(directory, nothing, command=["/nowhere/python"])
    assert why.startswith("no process could be started")


def test_one_that_takes_too_long_is_ended(directory: RunDirectory, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    code = f"import os, time; open({str(file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    why = hand_over(directory, nothing, command=program(directory, code), limit_seconds=1.0)
    assert why == "the process did not take over within 1 seconds"
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)


def test_what_is_asked_meanwhile_waits_for_the_other_process(directory: RunDirectory) -> None:
    asked: list[list[Request]] = [[("learning_rate", 3e-4)], [("stop", None)]]

    def requests() -> list[Request]:
        return asked.pop(0) if asked else []

    code = "import time; time.sleep(0.4)\n" + TAKES_OVER
    assert hand_over(directory, requests, command=program(directory, code)) == ""
    assert list(directory.take_requests(print)) == [("learning_rate", 3e-4), ("stop", None)]


@pytest.mark.parametrize(
    ("status", "handed_over", "refused"),
    [
        ("running", False, "is live in process"),
        ("paused", False, "is live in process"),
        ("handover", False, "is live in process"),
        ("done", False, "is done"),
        ("interrupted", False, ""),
        ("failed", False, ""),
        ("handover", True, ""),
        ("running", True, "nobody hands"),
        ("interrupted", True, "nobody hands"),
    ],
)
def test_who_may_go_on_with_a_run(
    directory: RunDirectory, status: state.Status, handed_over: bool, refused: str
) -> None:
    state.write(directory, status)
    with pytest.raises(UserError, match=refused) if refused else nullcontext():
        check_resumable(directory, handed_over=handed_over)


def test_what_is_there_to_be_pasted_is_quoted(tmp_path: Path) -> None:
    done = keep(tmp_path / "sp ace")
    with pytest.raises(UserError) as error:
        check_resumable(done)
    assert error.value.hint.endswith(f": `xray-tui train DATA --config '{done.config}'`")
    lost, data = keep(tmp_path / "sp ace", status="interrupted"), tmp_path / "my data"
    data.mkdir()
    lost.config.write_text(config.to_toml(config.load({"data.root": str(data)})))
    with pytest.raises(UserError, match="no checkpoint") as error:
        launch.resume(lost, lambda event: None, Controls())
    assert error.value.hint.endswith(f": `xray-tui train '{data}' --config '{lost.config}'`")


@pytest.mark.parametrize("status", ["done", "interrupted", "failed"])
def test_a_run_that_is_written_into_after_its_end_is_not_called_live(
    directory: RunDirectory, status: state.Status
) -> None:
    state.write(directory, status)
    with Claim(directory), pytest.raises(UserError) as error:
        Claim(directory, patience_seconds=0)
    assert error.value.message == f"another command is writing into {directory.name}"
    assert error.value.hint == "try again when it has ended"


def test_the_one_who_hands_over_shows_that_it_lives(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xray_tui.runs import handover

    monkeypatch.setattr(handover, "_HEARTBEAT_SECONDS", 0.0)
    beats: list[float] = []

    def look() -> list[Request]:
        found = state.written(directory)
        beats.append(found.heartbeat if found else 0.0)
        return []

    code = "import time; time.sleep(0.8)"
    hand_over(directory, look, command=program(directory, code))
    assert beats[-1] > beats[0]
    Claim(directory, patience_seconds=0).close()  # it holds nothing any more

"""End to end: small runs on demo radiographs, in a real pseudo-terminal, steered by keys."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.forked import Program
from tests.terminal import Terminal
from xray_tui.data.demo import make_demo
from xray_tui.runs import follow, state
from xray_tui.runs.directory import RunDirectory, list_runs
from xray_tui.runs.record import RunRecord

COUNTS = {
    split: {"NORMAL": count, "PNEUMONIA": count} for split, count in (("train", 16), ("test", 10), ("val", 2))
}
QUICK = [
    "--split=recipe",
    "--backbone=shufflenet_v2_x0_5",
    "--weights=none",
    "--image-size=64",
    "--batch-size=8",
    "--device=cpu",
    "--runs-dir=runs",
]
ENDLESS = [*QUICK, "--frozen-epochs=9999"]


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Path]:
    """A runs folder; whatever process still has a run of it is ended."""
    folder = tmp_path / "runs"
    yield folder
    for run in list_runs(folder):
        found = state.read(run)
        if found.live:
            os.kill(found.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def radiographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo(tmp_path_factory.mktemp("my radiographs") / "demo", counts=COUNTS, size_px=96)


@pytest.mark.long
def test_a_run_goes_through_both_stages(radiographs: Path, tmp_path: Path) -> None:
    options = [*QUICK, "--frozen-epochs=2", "--unfrozen-epochs=1", "--name=first run"]
    fresh = ("-m", "xray_tui")  # as it is started from a shell, with nothing loaded
    with Terminal(str(radiographs), *options, folder=tmp_path, program=fresh) as terminal:
        terminal.wait_for("shufflenet_v2_x0_5", "NORMAL")
        terminal.press("s")
        terminal.wait_for("frozen", "confusion")
        text = terminal.wait_for("unfrozen", "done", seconds=90)
        assert "★" in text
        assert "PNEUMONIA" in text
        terminal.press("3")
        terminal.wait_for("first run", "done")
        terminal.press("1")
        terminal.wait_for("confusion")
        terminal.press("q")
        assert terminal.wait() == 0
    (run,) = list_runs(tmp_path / "runs")
    assert state.read(run).status == "done"
    assert [e.stage for e in RunRecord.of(follow.read(run)).epochs] == ["frozen", "frozen", "unfrozen"]


def test_a_run_of_another_process_is_watched_and_steered(radiographs: Path, tmp_path: Path) -> None:
    train = ("train", str(radiographs), *ENDLESS, "--unfrozen-epochs=9999")
    process = Program(train, tmp_path, str(tmp_path / "log"), os.environ)
    try:
        while not list_runs(tmp_path / "runs"):
            assert process.poll() is None, (tmp_path / "log").read_text()
        with Terminal("watch", folder=tmp_path, size=(160, 45)) as terminal:
            terminal.wait_for("frozen", "★", seconds=90)
            terminal.press("u")
            terminal.wait_for("unfrozen", seconds=90)
            terminal.press("x")
            terminal.wait_for("Stop the run?")
            terminal.press("x")
            terminal.wait_for("■ interrupted", seconds=90)
            terminal.press("q")
            assert terminal.wait() == 0
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
    (run,) = list_runs(tmp_path / "runs")
    record = RunRecord.of(follow.read(run))
    assert [control.control for control in record.controls] == ["unfreeze", "stop"]

    with Terminal("watch", "--replay", "1000x", folder=tmp_path, size=(80, 24)) as terminal:
        terminal.wait_for("■ interrupted")
        terminal.press("q")
        assert terminal.wait() == 0


def test_train_shows_progress_and_ctrl_c_ends_it_cleanly(radiographs: Path, tmp_path: Path) -> None:
    with Terminal("train", str(radiographs), *ENDLESS, folder=tmp_path) as terminal:
        # In one look: a line is printed above the bar by taking the bar away for a moment.
        terminal.wait_for("epoch  1 frozen", "━", seconds=90)
        terminal.press("\x03")
        terminal.wait_until(lambda text: "interrupted: stopped by SIGINT" in text, "the end")
        assert terminal.wait() == 130
    (run,) = list_runs(tmp_path / "runs")
    assert state.read(run).status == "interrupted"


def until(holds: Callable[[], bool], what: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.05)


def epochs(run: RunDirectory) -> int:
    return len(RunRecord.of(follow.read(run)).epochs)


def test_a_whole_sitting(radiographs: Path, tmp_path: Path, runs: Path) -> None:
    """Start, pause, unfreeze now, a mistake, history, compare, detach, quit, watch again, stop."""
    once = [option.replace("=9999", "=1") for option in ENDLESS] + ["--unfrozen-epochs=0", "--name=earlier"]
    train = ("train", str(radiographs), *once)
    assert Program(train, tmp_path, str(tmp_path / "log"), os.environ).wait(90) == 0
    options = [*ENDLESS, "--unfrozen-epochs=9999", "--name=later"]
    with Terminal(str(radiographs), *options, folder=tmp_path, size=(160, 45)) as terminal:
        terminal.wait_for("shufflenet_v2_x0_5", "NORMAL")
        terminal.press("s")
        terminal.wait_for("● frozen", "★", seconds=90)
        terminal.press(" ")
        terminal.wait_for("paused")
        terminal.press(" ")
        terminal.wait_for("● frozen")
        terminal.press("u")
        terminal.wait_for("● unfrozen")

        terminal.press("2")
        terminal.wait_for("threshold", "sensitivity", "verdict")
        terminal.press("g")
        terminal.wait_until(lambda text: "Grad-CAM" in text and "weights" in text, "Grad-CAM")

        terminal.press("3")
        terminal.wait_for("earlier", "later")
        terminal.press(" ")
        terminal.wait_for("1 selected")
        terminal.press("j ")
        terminal.wait_for("2 selected")
        terminal.press("c")
        terminal.wait_until(lambda text: "McNemar" in text or "nothing parts them" in text, "the paired test")

        ours = terminal.process.pid
        terminal.press("d")
        terminal.wait_for("handing over")
        run = list_runs(runs)[0]
        until(lambda: state.read(run).status == "running" and state.read(run).pid != ours, "another process")
        terminal.wait_for("It goes on without this dashboard")
        terminal.press("q")
        assert terminal.wait() == 0
    assert state.read(run).live
    there = state.read(run).pid
    before = epochs(run)
    until(lambda: epochs(run) > before, "another epoch")

    with Terminal("watch", folder=tmp_path, size=(160, 45)) as terminal:
        terminal.wait_for("● unfrozen", "★")
        terminal.press("l")
        terminal.wait_for("Learning rate", "enter")
        terminal.press("3e-4\r")
        until(lambda: any(c.value == 3e-4 for c in RunRecord.of(follow.read(run)).controls), "the rate")
        terminal.press("x")
        terminal.wait_for("Stop the run?")
        terminal.press("x")
        terminal.wait_for("■ interrupted", seconds=90)
        terminal.press("q")
        assert terminal.wait() == 0
    until(lambda: state.read(run).status == "interrupted", "the end")
    until(lambda: gone(there), "the end of the process")
    asked = [control.control for control in RunRecord.of(follow.read(run)).controls]
    assert asked == ["pause", "resume", "unfreeze", "detach", "learning_rate", "stop"]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.long
def test_a_hang_up_hands_the_run_over(radiographs: Path, tmp_path: Path, runs: Path) -> None:
    with Terminal(str(radiographs), *ENDLESS, folder=tmp_path) as terminal:
        terminal.wait_for("shufflenet_v2_x0_5", "NORMAL")
        terminal.press("s")
        terminal.wait_for("frozen", "★", seconds=90)
        (run,) = list_runs(runs)
        terminal.hang_up()
        assert terminal.wait(90) == 128 + signal.SIGHUP
    found = state.read(run)
    assert found.status == "running"
    assert found.pid != terminal.process.pid
    run.request("stop")
    until(lambda: state.read(run).status == "interrupted", "the end")


@pytest.mark.long
def test_a_killed_run_is_resumed(radiographs: Path, tmp_path: Path, runs: Path) -> None:
    options = [option.replace("=9999", "=3") for option in ENDLESS] + ["--unfrozen-epochs=1"]
    with Terminal("train", str(radiographs), *options, folder=tmp_path) as terminal:
        terminal.wait_for("epoch  0 frozen", seconds=90)
        terminal.process.kill()
        terminal.process.wait()
    (run,) = list_runs(runs)
    assert state.read(run).status == "interrupted"
    with Terminal("resume", folder=tmp_path) as terminal:
        assert terminal.wait(90) == 0
        text = terminal.text
    assert "resumed in epoch" in text
    rows = [line.split() for line in text.splitlines() if line[:2].strip().isdigit()]
    assert [row[0] for row in rows if row[-1] == "%"] == list("0123"), (
        "the table, which ends with the accuracy"
    )
    assert state.read(run).status == "done"

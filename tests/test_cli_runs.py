"""``xray-tui runs``, as a person or a script uses it."""

import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.runs.making import NOON, keep, validated
from xray_tui.cli import main
from xray_tui.errors import UserError
from xray_tui.runs.directory import RunDirectory, list_runs
from xray_tui.runs.index import find_resumable
from xray_tui.runs.state import State, Status

GOOD = [True] * 37 + [False] * 3
POOR = [True] * 25 + [False] * 15

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Calls the program in a folder of its own: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["runs", *arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture
def two(tmp_path: Path) -> tuple[RunDirectory, RunDirectory]:
    runs = tmp_path / "runs"
    return validated(runs, GOOD, run__name="good"), validated(runs, POOR, at=NOON + 60, run__name="poor")


def test_list_filters_and_sorts(call: Call, two: tuple[RunDirectory, RunDirectory]) -> None:
    def names(*arguments: str) -> list[str]:
        code, out, _ = call("list", "--json", *arguments)
        assert code == 0
        return [json.loads(line)["name"] for line in out.splitlines()]

    assert names() == ["poor", "good"], "newest first"
    assert names("--sort", "acc") == ["good", "poor"]
    assert names("--sort", "acc", "--reverse") == ["poor", "good"]
    assert names("--filter", "acc>=90%") == ["good"]
    code, out, err = call("list", "--filter", "acc>99%")
    assert (code, out) == (0, "")
    assert err == "no run in runs matches acc>99%\n"


def test_the_table_of_runs(call: Call, two: tuple[RunDirectory, RunDirectory]) -> None:
    call("note", two[0].name, "first\nsecond \x1b[31mline")
    call("rename", two[1].name, "放射線 [red]")
    _, out, _ = call("list")
    header, poor, good = out.splitlines()
    assert header.split() == ["run", "status", "epochs", "loss", "accuracy", "AUC", "time", "name", "note"]
    assert "放射線 [red]" in poor
    assert "92.5 %" in good
    assert good.endswith("first second ␛[31mline")
    # A Chinese character takes two cells: the note stands under its title all the same.
    assert header.index("note") == good.index("first")
    assert poor.index("放") == good.index("good") == header.index("name")


def test_accuracies_selected_on_test_have_a_mark_and_its_meaning(call: Call, tmp_path: Path) -> None:
    validated(tmp_path / "runs", GOOD, data__split="recipe")
    _, out, _ = call("list")
    assert "92.5 %*" in out
    assert out.splitlines()[-1].startswith("* selected on test")
    assert call("export", "runs.md")[0] == 0
    validated(tmp_path / "runs", POOR, at=NOON + 60, data__split="holdout")
    call("export", "runs.md")
    assert "92.5 %\\*" in (tmp_path / "runs.md").read_text()
    assert (tmp_path / "runs.md").read_text().endswith("\\* selected on test\n")


def test_show_has_the_name_and_the_note(call: Call, two: tuple[RunDirectory, RunDirectory]) -> None:
    call("note", two[0].name, "keep this one")
    code, out, _ = call("show", two[0].name)
    assert code == 0
    assert out.startswith("# good\n\n> keep this one\n")


def test_compare(call: Call, two: tuple[RunDirectory, RunDirectory]) -> None:
    names = [run.name for run in two]
    code, out, _ = call("compare", *names)
    assert code == 0
    assert "A is right on 12 images that B gets wrong, B on 0" in out
    code, out, _ = call("compare", *names, "--json")
    found = json.loads(out)
    assert found["tests"][0]["p"] == pytest.approx(2 / 2**12)
    assert [run["name"] for run in found["runs"]] == ["good", "poor"]


def test_notes_are_written_printed_and_taken_away(call: Call, two: tuple[RunDirectory, RunDirectory]) -> None:
    name = two[0].name
    assert call("note", name) == (0, "", f"no note about {name}\n")
    assert call("note", name, "one\ntwo \x1b[2J") == (0, "", "")
    assert call("note", name) == (0, "one\ntwo ␛[2J\n", "")
    for command in ("note", "rename"):
        code, _, err = call(command, name, "\udcff")
        assert code == 2
        assert "not UTF-8" in err
    assert call("note", name)[1] == "one\ntwo ␛[2J\n"
    call("note", name, "")
    assert call("note", name)[1] == ""


def test_rename(call: Call, two: tuple[RunDirectory, RunDirectory]) -> None:
    call("rename", two[0].name, "another name")
    assert "another name" in call("list")[1]
    call("rename", two[0].name, "")
    assert "good" in call("list")[1]


def test_delete_asks_on_a_terminal_only(
    call: Call, two: tuple[RunDirectory, RunDirectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    name = two[0].name
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    code, _, err = call("delete", name)
    assert code == 2
    assert err == "error: there is no terminal to ask on\n  --yes deletes without asking\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for answer in ("n\n", "\n", ""):
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        code, _, err = call("delete", name)
        assert code == 0
        assert err == f"move {name} into the trash? [y/N] nothing was deleted\n"
    assert len(list_runs(Path("runs"))) == 2
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    code, out, err = call("delete", name)
    assert (code, out) == (0, "")
    assert f"moved to {Path('runs').absolute()}/.trash/{name}" in err
    assert list_runs(Path("runs")) == [RunDirectory(Path("runs") / two[1].name)]


def test_delete_takes_several_and_all_or_none(call: Call, two: tuple[RunDirectory, RunDirectory]) -> None:
    live = keep(Path("runs"), at=NOON + 120, status="running")
    code, _, err = call("delete", two[0].name, live.name, "--yes")
    assert code == 2
    assert "a live run is not deleted" in err
    assert len(list_runs(Path("runs"))) == 3
    code, _, _ = call("delete", two[0].name, two[0].name, two[1].name, "--yes")
    assert code == 0
    assert [run.name for run in list_runs(Path("runs"))] == [live.name]


def test_export(call: Call, two: tuple[RunDirectory, RunDirectory]) -> None:
    assert call("export", "all.csv") == (0, "", "2 runs written to all.csv\n")
    assert len(Path("all.csv").read_text().splitlines()) == 3
    assert call("export", "some.json", "--filter", "good")[2] == "1 run written to some.json\n"
    assert [run["name"] for run in json.loads(Path("some.json").read_text())] == ["good"]
    call("export", "one.md", two[1].name)
    assert Path("one.md").read_text().startswith("# poor\n")
    code, _, err = call("export", "none.csv", "--filter", "zzz")
    assert (code, err) == (2, "error: no run in runs matches zzz\n  nothing was written\n")
    assert not Path("none.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "--filter", "acuracy>3"], "error: filter, character 1: no field acuracy"),
        (["list", "--sort", "colour"], "error: no field colour"),
        (["compare"], "error: a comparison wants two runs or more"),
        (["compare", "{run}", "{run}"], "error: {run} is named twice"),
        (["compare", "{run}", "zzz"], "error: no run 'zzz'"),
        (["export", "runs.xlsx"], "error: runs.xlsx: cannot export as .xlsx"),
        (["export", "nowhere/runs.csv"], "error: cannot write nowhere/runs.csv"),
        (["note", "zzz"], "error: no run 'zzz'"),
        (["rename", "{run}"], "error: "),
        (["delete"], "error: "),
        (["delete", "zzz", "--yes"], "error: no run 'zzz'"),
    ],
)
def test_wrong_usage(
    call: Call, two: tuple[RunDirectory, RunDirectory], arguments: list[str], message: str
) -> None:
    name = two[0].name
    code, out, err = call(*(argument.format(run=name) for argument in arguments))
    assert (code, out) == (2, "")
    assert err.startswith(message.format(run=name))
    assert 1 <= len(err.splitlines()) <= 4


@pytest.mark.parametrize("command", ["list", "show", "compare", "export", "note", "rename", "delete"])
def test_every_command_has_help_with_an_example(call: Call, command: str) -> None:
    code, out, _ = call(command, "--help")
    assert code == 0
    assert f"xray-tui runs {command}" in out.partition("Example")[2]
    assert "%%" not in out


@pytest.mark.parametrize(
    ("arguments", "forbidden"),
    [
        (["list", "--filter", "acc>1%"], ["torch", "textual", "numpy"]),
        (["note", "2026"], ["torch", "textual", "numpy"]),
        (["compare"], ["torch", "textual"]),
    ],
)
def test_looking_at_runs_imports_no_torch(tmp_path: Path, arguments: list[str], forbidden: list[str]) -> None:
    runs = tmp_path / "runs"
    names = [validated(runs, GOOD).name]
    if arguments == ["compare"]:
        arguments = ["compare", *names, validated(runs, POOR, at=NOON + 60).name]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\nfrom xray_tui.cli import main\n"
            f"try:\n    main({['runs', *arguments, '--runs-dir', str(runs)]!r})\n"
            "except SystemExit as ended:\n    assert not ended.code, ended.code\n"
            f"print([name for name in {forbidden!r} if name in sys.modules])",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_a_runs_folder_may_lie_at_home(
    call: Call, two: tuple[RunDirectory, RunDirectory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path / "runs")
    for given in (("--runs-dir", "~/runs"), ()):
        assert two[0].name in call("list", *given)[1]
        monkeypatch.setenv("XRAY_TUI_RUNS_DIR", "~/runs")


def test_the_environment_names_no_run(
    call: Call, two: tuple[RunDirectory, RunDirectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_TUI_NAME", "other")
    code, _, err = call("rename", two[0].name)
    assert code == 2
    assert "NAME requires an argument" in err


def test_a_device_or_a_pipe_is_not_replaced(
    call: Call, two: tuple[RunDirectory, RunDirectory], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "nothing.csv").symlink_to("/dev/null")
    for name, kind in (("pipe.csv", "a named pipe"), ("nothing.csv", "a device")):
        code, _, err = call("export", name)
        assert code == 2
        assert f"cannot write {name}: it is {kind}" in err
    assert (tmp_path / "pipe.csv").is_fifo()


def test_the_newest_run_that_can_go_on_is_found(tmp_path: Path) -> None:
    names: dict[str, str] = {}
    stati: tuple[Status, ...] = ("failed", "interrupted", "running", "done")
    for number, status in enumerate(stati):
        run = validated(tmp_path, GOOD, at=NOON + 60 * number)
        (run.checkpoints / "last.safetensors").touch()
        if status == "interrupted":  # else its journal says how it ended
            told_of = run.journal.read_text().splitlines(keepends=True)
            run.journal.write_text("".join(line for line in told_of if "run_ended" not in line))
        living = (os.getpid(), socket.gethostname(), time.time())
        pid, host, heartbeat = living if status == "running" else (1, "elsewhere", 0.0)
        told = State(status=status, pid=pid, host=host, heartbeat=heartbeat)
        run.state.write_bytes(msgspec.json.encode(told))
        names[status] = run.name
    found = find_resumable(tmp_path)
    assert found.name == names["interrupted"]
    (found.checkpoints / "last.safetensors").unlink()
    assert find_resumable(tmp_path).name == names["failed"]
    (tmp_path / names["failed"] / "checkpoints" / "last.safetensors").unlink()
    with pytest.raises(UserError, match="no interrupted run"):
        find_resumable(tmp_path)
    lines = found.journal.read_text().splitlines(keepends=True)
    found.journal.write_text("".join(line for line in lines if "run_started" in line))
    assert find_resumable(tmp_path).name == names["interrupted"], "stopped while it read its images"

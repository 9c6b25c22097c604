"""The commands, as a person or a script uses them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import write_folder
from tests.engine.conftest import run_recipe
from tests.test_events import operating_point
from tests.tui.record_journals import whole_run
from xray_tui import event_lines
from xray_tui.cli import main
from xray_tui.cli_options import DEMO
from xray_tui.console import ConsoleReporter
from xray_tui.engine.controls import Controls
from xray_tui.events import EpochEnded, Event, Progress, Resumed, RunEnded, RunStarted
from xray_tui.runs import state
from xray_tui.runs.directory import RunDirectory, list_runs

SMALL = [
    "--backbone=shufflenet_v2_x0_5",
    "--weights=none",
    "--image-size=32",
    "--batch-size=8",
    "--frozen-epochs=1",
    "--unfrozen-epochs=1",
    "--device=cpu",
]
ENDLESS = [option.replace("--frozen-epochs=1", "--frozen-epochs=9999") for option in SMALL]

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Calls the program in a folder of its own: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.mark.usefixtures("quick")
def test_train_ends_with_the_published_table(call: Call, chest: Path) -> None:
    code, out, err = call("train", str(chest), *SMALL)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["Epoch", "Training", "Loss", "Test", "Loss", "Accuracy"]
    assert [line.split()[0] for line in lines[1:3]] == ["0", "1"]
    assert "★" in out
    assert lines[-1].startswith("test (14 images")
    assert lines[-1].endswith("; test looked at once")
    assert "kept in" in err
    assert "positive: PNEUMONIA (the last by name)" in err
    (run,) = list_runs(Path("runs"))
    assert state.read(run).status == "done"
    assert run.report.read_text(encoding="utf-8").startswith(f"# {run.name}")


@pytest.mark.parametrize(("threshold", "told"), [(0.3829, "13, at p ≥ 0.3829): loss"), (None, "13): loss")])
def test_the_last_line_says_at_which_threshold_it_is(
    threshold: float | None, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    reporter = ConsoleReporter()
    reporter.recall([*whole_run(), operating_point(threshold=threshold)])
    reporter.print_results()
    assert told in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.usefixtures("quick")
def test_json_is_nothing_but_events(call: Call, chest: Path) -> None:
    code, out, _ = call("train", str(chest), "--json", *SMALL)
    assert code == 0
    found = [event_lines.decode(line) for line in out.splitlines()]
    assert isinstance(found[0], RunStarted)
    assert [event.epoch for event in found if isinstance(event, EpochEnded)] == [0, 1]
    assert isinstance(found[-1], RunEnded)


@pytest.mark.usefixtures("quick")
def test_environment_below_the_command_line_and_above_the_file(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_folder(tmp_path / "ünï code [x]")
    file = tmp_path / "my.toml"
    file.write_text("[training]\nseed = 1\nbatch_size = 4\nimage_size = 48\n")
    monkeypatch.setenv("XRAY_TUI_SEED", "2")
    monkeypatch.setenv("XRAY_TUI_BATCH_SIZE", "6")
    code, out, _ = call("train", str(data), "--json", "--config", str(file), *SMALL)
    assert code == 0
    started = event_lines.decode(out.splitlines()[0])
    assert isinstance(started, RunStarted)
    training = started.settings["training"]
    assert (training["seed"], training["batch_size"], training["image_size"]) == (2, 8, 32)


@pytest.mark.usefixtures("quick")
def test_runs_list_and_show(call: Call, chest: Path) -> None:
    assert call("runs", "list")[2].startswith("no runs in runs")
    call("train", str(chest), "--name", "night [red]run", *SMALL)
    _, out, _ = call("runs", "list")
    assert "night [red]run" in out
    assert "done" in out
    _, out, _ = call("runs", "list", "--json")
    line = json.loads(out)
    assert (line["status"], line["epochs"], line["backbone"]) == ("done", 2, "shufflenet_v2_x0_5")
    code, out, _ = call("runs", "show")
    assert code == 0
    assert "| 95 % interval |" in out
    assert "Positive is PNEUMONIA." in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "/nowhere"], "error: no such folder: /nowhere"),
        (["train"], "error: "),
        (["train", "{data}", "--backbone", "resnet5"], "error: "),
        (["train", "{data}", "--batch-size", "one"], "error: Invalid value"),
        (["train", "{data}", "--batch-size", "1"], "error: --batch-size 1: expected a whole number >= 2"),
        (["train", "{data}", "--batchsize", "1"], "error: Unknown option"),
        (["train", "{data}", "--config", "nowhere.toml"], "error: cannot read the config file"),
        (
            ["train", "{data}", *SMALL, "--runs-dir", "{data}/val/NORMAL/IM-2000-0001.png/x"],
            "error: cannot write",
        ),
        (["runs", "show", "zzz"], "error: no run 'zzz'"),
        (["watch"], "error: no runs in runs"),
        (["resume"], "error: no interrupted run in runs"),
        (["resume", "zzz"], "error: no run 'zzz'"),
        (["watch", "--replay", "fast"], "error: "),
    ],
)
def test_wrong_usage_is_two_lines_on_standard_error(
    call: Call, chest: Path, arguments: list[str], message: str
) -> None:
    code, out, err = call(*(argument.format(data=chest) for argument in arguments))
    assert code == 2
    assert out == ""
    assert err.startswith(message)
    assert 1 <= len(err.splitlines()) <= 4
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ("train", "train "),
        ("train --foo", "train "),
        ("train /data --limit abc", "train "),
        ("completion tcsh", "completion "),
        ("data fetch zzz", "data fetch "),
        ("runs list --foo", "runs list "),
        ("--foo", ""),
    ],
)
def test_wrong_usage_names_the_help_of_its_command(call: Call, arguments: str, command: str) -> None:
    code, _, err = call(*arguments.split())
    assert code == 2
    assert err.splitlines()[-1] == f"  see `xray-tui {command}--help`"


@pytest.mark.parametrize(
    "command", ["data check", "data demo", "config path", "config reference", "config show", "demo"]
)
def test_help_shows_examples_of_the_command_itself(call: Call, command: str) -> None:
    code, out, _ = call(*command.split(), "--help")
    first = out.partition("Examples:\n")[2].splitlines()[0]
    assert code == 0
    assert f"xray-tui {command}" in first


def test_the_demos_help_has_its_own_defaults(call: Call) -> None:
    of_demo, of_train = (" ".join(call(command, "--help")[1].split()) for command in ("demo", "train"))
    for default in DEMO.values():
        assert f"[default: {default}]" in of_demo.replace(" │ │ ", " ")
    assert "[default: resnet50]" not in of_demo.replace(" │ │ ", " ")
    assert "[default: resnet50]" in of_train.replace(" │ │ ", " ")


def test_a_weights_file_that_does_not_fit_names_its_keys(call: Call, chest: Path) -> None:
    from safetensors.torch import save_file
    from torch import zeros

    save_file({"conv1.weight": zeros(2, 2), "surprise": zeros(1)}, "odd.safetensors")
    code, _, err = call("train", str(chest), "--backbone=resnet18", "--weights=odd.safetensors")
    assert code == 2
    assert "odd.safetensors" in err
    assert "surprise" in err


def stopped(data: Path) -> RunDirectory:
    """A run of two epochs that was stopped in the first, in the folder ``runs``."""

    def stop(event: Event, controls: Controls) -> None:
        if isinstance(event, Progress) and event.phase == "train":
            controls.stop()

    return run_recipe(data, Path("runs"), {"training.frozen.epochs": 1}, stop).directory


def test_resume_ends_with_the_published_table(call: Call, chest: Path) -> None:
    run = stopped(chest)
    code, out, err = call("resume")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:3]] == ["0", "1"]
    assert "resumed in epoch 0" in err
    assert state.read(run).status == "done"
    code, out, err = call("resume", run.name)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {run.name} is done: nothing is left to resume\n")


@pytest.mark.long
def test_resume_prints_new_events_as_json(call: Call, chest: Path) -> None:
    stopped(chest)
    code, out, _ = call("resume", "--json")
    assert code == 0
    found = [event_lines.decode(line) for line in out.splitlines()]
    assert isinstance(found[0], Resumed)
    assert isinstance(found[-1], RunEnded)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("lost", ["a full disk", "a closed pipe"])
def test_a_run_ends_well_whoever_listens(
    call: Call, chest: Path, monkeypatch: pytest.MonkeyPatch, quick: None, lost: str, stream: str
) -> None:
    if lost == "a full disk":
        write = os.open("/dev/full", os.O_WRONLY)
    else:
        read, write = os.pipe()
        os.close(read)
    nobody = os.fdopen(write, "w")
    with monkeypatch.context() as patch:
        patch.setattr(sys, stream, nobody)
        code, _, err = call("train", str(chest), "--json", *SMALL, "--runs-dir=runs")
    with suppress(OSError):
        nobody.close()
    assert code == 0
    (run,) = list_runs(Path("runs"))
    assert state.read(run).status == "done"
    if stream == "stdout":
        assert err.count("nothing more can be printed") == 1


def test_a_run_whose_terminal_hangs_up_is_handed_over(
    call: Call, chest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xray_tui import console, launch

    def hang_up(event: Event) -> None:
        if isinstance(event, EpochEnded):
            os.kill(os.getpid(), signal.SIGHUP)

    handed: list[RunDirectory] = []

    def hand_over(directory: RunDirectory, requests: object) -> str:
        handed.append(directory)
        return ""

    monkeypatch.setattr(console, "print_json", hang_up)
    monkeypatch.setattr(launch, "hand_over", hand_over)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup the tests' own process ignores it
    code, _, err = call("train", str(chest), "--json", *ENDLESS)
    assert code == 128 + signal.SIGHUP
    assert f"the run goes on in a process of its own: `xray-tui watch {handed[0].path}`" in err
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "forbidden"),
    [
        (["--help"], ["torch", "textual", "sklearn", "tensorboard"]),
        (["runs", "list"], ["torch", "textual", "sklearn", "tensorboard"]),
        (["train", "--help"], ["torch", "textual", "sklearn", "tensorboard"]),
        (["resume", "--help"], ["torch", "textual", "sklearn", "tensorboard"]),
        (["sweep", "--help"], ["torch", "textual", "sklearn", "tensorboard", "optuna"]),
        (["doctor", "--help"], ["torch", "textual", "sklearn", "tensorboard"]),
        (["lr-find", "--help"], ["torch", "textual", "sklearn", "tensorboard"]),
    ],
)
def test_what_needs_no_torch_does_not_import_it(arguments: list[str], forbidden: list[str]) -> None:
    done = python(
        "import sys\nfrom xray_tui.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as ended:\n    assert not ended.code, ended.code\n"
        f"print([name for name in {forbidden!r} if name in sys.modules])"
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("xray_tui.engine.recipe", ["textual", "rich", "tensorboard"]),
        ("xray_tui.launch", ["torch", "textual"]),
        ("xray_tui.doctor.examination", ["torch", "tensorboard"]),
        ("xray_tui.sweep.trials", ["torch", "textual", "rich", "optuna"]),
        ("xray_tui.runs.report", ["torch", "textual", "rich"]),
        ("xray_tui.board.writer", ["torch", "textual", "rich"]),
        ("xray_tui.console", ["torch", "textual"]),
        ("xray_tui.console_lr", ["torch", "textual"]),
    ],
)
def test_imports_stay_deferred(module: str, forbidden: list[str]) -> None:
    done = python(f"import sys, {module}\nprint([name for name in {forbidden!r} if name in sys.modules])")
    assert done.stdout.splitlines()[-1] == "[]", done.stderr

"""The way into the bare dashboard, which leaves the commands out."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import xray_tui
from xray_tui import cli, entry
from xray_tui.entry import is_bare
from xray_tui.front_page import FRONT_PAGE
from xray_tui.talking import end_with


@pytest.mark.parametrize(
    ("words", "bare"),
    [
        ([], True),
        (["/data/chest_xray"], True),
        (["./runs"], True),
        (["~/chest_xray"], True),
        (["runs"], False),
        (["chest_xray"], False),
        (["--help"], False),
        (["-h"], False),
        (["--config=/a/b.toml"], False),
        (["/data", "--limit", "3"], False),
        (["--debug"], False),
    ],
)
def test_only_a_folder_or_nothing_is_bare(words: list[str], bare: bool) -> None:
    assert is_bare(words, {"HOME": "/root", "XRAY_TUI_STATE_DIR": "/s", "XRAY_TUI_CONFIG_DIR": "/c"}) is bare


@pytest.mark.parametrize("name", ["XRAY_TUI_BATCH_SIZE", "XRAY_TUI_RUNS_DIR", "XRAY_TUI_ASCII"])
def test_an_option_in_the_environment_is_not_bare(name: str) -> None:
    assert not is_bare([], {name: "1"})


@pytest.mark.parametrize("words", [[], ["/data/chest_xray"]], ids=str)
@pytest.mark.parametrize("with_file", [False, True])
def test_both_ways_open_the_same_dashboard(
    words: list[str], with_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XRAY_TUI_CONFIG_DIR", str(tmp_path))
    if with_file:
        (tmp_path / "config.toml").write_text(
            "[training]\nbatch_size = 7\n[dashboard]\ntheme = 'light-box'\n"
        )
    opened: list[dict[str, Any]] = []
    monkeypatch.setattr("xray_tui.tui.app.run_dashboard", lambda **how: opened.append(how) or 0)
    assert entry.open_dashboard(words) == 0
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 0
    usual = {"file": None, "ascii_only": None}
    assert usual | opened[0] == opened[1]
    assert opened[0]["settings"].training.batch_size == (
        7 if with_file else opened[1]["settings"].training.batch_size
    )


def test_the_program_answers_and_errors_are_two_lines() -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "xray_tui", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert run("--version").returncode == 0
    wrong = run("--no-such-option")
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") <= 3
    assert "xray-tui --help" in wrong.stderr
    assert "Traceback" in run("--no-such-option", "--debug").stderr


def test_the_first_page_of_help_names_every_command() -> None:
    named = [line.split()[0] for line in FRONT_PAGE.splitlines() if line[:2] == "  " and line[2] not in "x "]
    shown = {name for name in cli.app if not name.startswith("-") and cli.app[name].show}
    assert sorted(named) == sorted(shown), "xray_tui/front_page.py has a line for each command"
    assert max(map(len, FRONT_PAGE.splitlines())) < 80
    assert FRONT_PAGE.isascii()


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_the_first_page_of_help_needs_nothing(flag: str) -> None:
    code = "import sys, xray_tui.entry as entry\ntry:\n    entry.main()\nfinally:\n    print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, flag], capture_output=True, text=True, check=True)
    *page, modules = done.stdout.splitlines(keepends=True)
    assert "".join(page) == FRONT_PAGE
    assert not {"cyclopts", "rich", "msgspec", "textual", "torch", "numpy"} & set(modules.split())


def test_the_version_is_the_one_of_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["xray-tui", "--version"])
    for answer in (entry.main, lambda: cli.main(["--version"])):
        with pytest.raises(SystemExit) as ended:
            answer()
        assert not ended.value.code
    assert capsys.readouterr().out.split() == [xray_tui.__version__] * 2


def test_a_stream_that_is_closed_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SystemExit) as ended:
        end_with(lambda: int(sys.stdout.isatty()), debug=False)
    assert ended.value.code == 0
    sys.stdout.close()


def test_ctrl_c_while_the_program_is_read_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(words: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["xray-tui", "runs", "list"])
    monkeypatch.setattr("xray_tui.cli.main", interrupted)
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == 130


def test_where_the_folder_is_gone_it_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr(sys, "argv", ["xray-tui", "doctor"])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: the folder you are in is gone\n  change to another one\n"

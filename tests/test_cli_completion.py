"""``xray-tui completion``, loaded by a shell."""

import shutil
import subprocess
from pathlib import Path

import pytest

from xray_tui.cli import main

bash = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash to load it")


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(("completion", *arguments))
    assert not ended.value.code
    return capsys.readouterr().out


def run_bash(*arguments: str) -> str:
    done = subprocess.run(["bash", "--norc", *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@bash
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("xray-tui tra", ["train"]),
        ("xray-tui completion ''", ["bash", "fish", "zsh"]),
        ("xray-tui train --frozen-", ["--frozen-epochs", "--frozen-lr"]),
        ("xray-tui train --precision b", ["bfloat16"]),
    ],
)
def test_bash_loads_it_and_completes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: str, offered: list[str]
) -> None:
    script = tmp_path / "script"
    script.write_text(printed(capsys, "bash"))
    ask = "_xray_tui; printf '%s\\n' \"${COMPREPLY[@]}\""
    place = f"COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))"
    told = run_bash("-c", f"source '{script}' && complete -p xray-tui && {place}; {ask}")
    registered, *found = told.splitlines()
    assert registered == "complete -F _xray_tui xray-tui"
    assert sorted(found) == offered


@pytest.mark.parametrize(("shell", "sign"), [("zsh", "#compdef xray-tui"), ("fish", "complete -c xray-tui")])
def test_other_shells_have_scripts_of_their_own(
    capsys: pytest.CaptureFixture[str], shell: str, sign: str
) -> None:
    assert sign in printed(capsys, shell)


@bash
def test_it_is_installed_where_bash_finds_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".bashrc").write_text("export MINE=1")
    assert printed(capsys, "bash", "--install") == "", "what it did is no result"
    assert (tmp_path / ".bashrc").read_text().startswith("export MINE=1\n")
    before = (tmp_path / ".bashrc").read_text()
    printed(capsys, "bash", "--install")
    assert (tmp_path / ".bashrc").read_text() == before, "once is enough"
    told = run_bash(
        "--rcfile", str(tmp_path / ".bashrc"), "-c", f". {tmp_path}/.bashrc; complete -p xray-tui"
    )
    assert "_xray_tui" in told

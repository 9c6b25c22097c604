import os
from pathlib import Path

import pytest

from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.runs.directory import RunDirectory, list_runs

MIDNIGHT = 1_795_478_400.0


def make(runs: Path, now: float = MIDNIGHT) -> RunDirectory:
    return RunDirectory.create(config.load({"run.runs_dir": str(runs)}), now)


def test_a_directory_is_named_by_time_and_backbone_and_never_shared(tmp_path: Path) -> None:
    runs = tmp_path / "my runs ü"
    one, two = make(runs), make(runs)
    assert one.name.endswith("-resnet50")
    assert two.name == f"{one.name}-2"
    assert config.load({}, file=one.config).run.runs_dir == str(runs)


def test_an_unwritable_runs_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()  # root may write anywhere, but not below a file
    with pytest.raises(UserError, match="cannot write into the runs folder") as error:
        make(tmp_path / "file" / "runs")
    assert "--runs-dir" in error.value.hint


def test_newest_first_and_strangers_left_out(tmp_path: Path) -> None:
    old, new = make(tmp_path), make(tmp_path, MIDNIGHT + 3600)
    (tmp_path / "notes").mkdir()
    (tmp_path / "20200101-000000-broken").mkdir()
    assert [run.name for run in list_runs(tmp_path)] == [new.name, old.name]
    assert list_runs(tmp_path / "nowhere") == []


def test_a_run_whose_folder_was_renamed_stays_one_where_it_was(tmp_path: Path) -> None:
    runs = [make(tmp_path, MIDNIGHT + hour * 3600) for hour in range(3)]
    for run, hour in zip(runs, range(3), strict=True):
        run.journal.touch()
        os.utime(run.config, (MIDNIGHT + hour * 3600,) * 2)
    for run, name in ((runs[1], "A"), (runs[2], ".hidden")):
        run.path.rename(tmp_path / name)
    (tmp_path / "latest").symlink_to(runs[0].path)  # another name for a run is no other run
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "config.toml").touch()  # a stranger's: there is no journal
    assert [run.name for run in list_runs(tmp_path)] == ["A", runs[0].name]
    assert RunDirectory.find(tmp_path).name == "A"


def test_find(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no runs in"):
        RunDirectory.find(tmp_path)
    old, new = make(tmp_path), make(tmp_path, MIDNIGHT + 3600)
    assert RunDirectory.find(tmp_path).path == new.path
    assert RunDirectory.find(tmp_path, old.name).path == old.path
    assert RunDirectory.find(tmp_path, str(old.path)).path == old.path
    assert RunDirectory.find(tmp_path, old.name[:15]).path == old.path
    with pytest.raises(UserError, match="2 runs begin with"):
        RunDirectory.find(tmp_path, old.name[:8])
    with pytest.raises(UserError, match="no run 'zzz'"):
        RunDirectory.find(tmp_path, "zzz")
    with pytest.raises(UserError, match="its name is empty"):
        RunDirectory.find(tmp_path, "")  # as of a shell's variable that is not set


def test_the_folder_one_is_in_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = RunDirectory.create(config.load({"run.runs_dir": str(tmp_path)}))
    monkeypatch.chdir(made.path)
    assert RunDirectory.find(Path("runs"), ".").name == made.name
    monkeypatch.chdir(made.checkpoints)
    assert RunDirectory.find(Path("runs"), "..").name == made.name


def test_requests_are_taken_once_and_in_order(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.request("pause")
    run.request("learning_rate", 3e-4)
    run.request("resume")
    (run.control / ".half-stop").touch()
    refused: list[str] = []
    assert list(run.take_requests(refused.append)) == [
        ("pause", None),
        ("learning_rate", 3e-4),
        ("resume", None),
    ]
    assert list(run.take_requests(refused.append)) == []
    assert refused == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("1-dance", b""),
        ("stop", b""),
        ("x-stop", b""),
        ("1-learning_rate", b""),
        ("1-learning_rate", b"fast"),
        ("1-learning_rate", b"-0.1"),
        ("1-learning_rate", b"1e999"),
        ("1-learning_rate", b"\xff" * 100_000),
    ],
)
def test_what_is_no_request_is_refused_and_gone(tmp_path: Path, name: str, content: bytes) -> None:
    run = make(tmp_path)
    (run.control / name).write_bytes(content)
    run.request("stop")
    refused: list[str] = []
    assert list(run.take_requests(refused.append)) == [("stop", None)]
    assert len(refused) == 1
    assert f"control/{name} is no request" in refused[0]
    assert not list(run.control.iterdir())

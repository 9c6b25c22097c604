"""Links in a run directory, and runs that are links: nothing outside is deleted, changed or copied."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runs.making import NOON, keep, lines, whole_run
from xray_tui.cli import main
from xray_tui.errors import UserError
from xray_tui.runs import upkeep
from xray_tui.runs.claim import check_resumable
from xray_tui.runs.directory import RunDirectory, list_runs
from xray_tui.runs.index import find, summaries, summary
from xray_tui.runs.predictions import KeptPredictions, write_mistakes
from xray_tui.runs.report import write_report

SECRET = "the secret of another folder"
FILES = ("events.jsonl", "config.toml", "state.json", "about.json", "progress.json", "report.md")
FOLDERS = ("checkpoints", "predictions", "tensorboard", "control")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What is nobody's business: a run of somebody else, and files beside it."""
    other = keep(tmp_path / "outside", [*whole_run()])
    (other.path / "about.json").write_text(f'{{"note":"{SECRET}"}}')
    (other.path / "report.md").write_text(SECRET)
    (other.predictions / "images.csv").write_text("path,actual,patient\n")
    (other.predictions / "0000.npz").write_bytes(b"kept")
    (other.checkpoints / "last.safetensors").write_bytes(b"kept")
    (other.control / "1-stop").write_bytes(b"")
    return tmp_path / "outside"


@pytest.fixture
def unchanged(outside: Path) -> Callable[[], None]:
    """Says whether all of it is as it was."""

    def look() -> dict[str, bytes]:
        return {
            str(path.relative_to(outside)): path.read_bytes() if path.is_file() else b"a folder"
            for path in sorted(outside.rglob("*"))
        }

    was = look()

    def check() -> None:
        assert look() == was

    return check


def linked(runs: Path, outside: Path, names: tuple[str, ...]) -> RunDirectory:
    """A run some of whose things are links to those of the run outside."""
    directory = keep(runs)
    (other,) = list_runs(outside)
    for name in names:
        path = directory.path / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(other.path / name)
    return directory


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(str(ended.value.code))


@pytest.mark.parametrize("names", [*((name,) for name in (*FILES, *FOLDERS)), FILES + FOLDERS], ids=str)
def test_deleting_a_run_with_links_moves_the_links(
    tmp_path: Path, outside: Path, unchanged: Callable[[], None], names: tuple[str, ...]
) -> None:
    directory = linked(tmp_path / "runs", outside, names)
    assert call("runs", "delete", directory.name, "--yes", "--runs-dir", str(tmp_path / "runs")) == 0
    unchanged()
    assert not directory.path.exists()
    (there,) = (tmp_path / "runs" / ".trash").iterdir()
    assert all((there / name).is_symlink() for name in names)
    shutil.rmtree(there)  # as a person empties the trash
    unchanged()


def test_deleting_a_run_whose_journal_leads_nowhere_makes_none(tmp_path: Path) -> None:
    directory = keep(tmp_path / "runs")
    directory.journal.unlink()
    directory.journal.symlink_to(tmp_path / "made")
    assert upkeep.delete(directory).is_dir()
    assert not (tmp_path / "made").exists()


def test_a_journal_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    directory = keep(tmp_path)
    directory.journal.unlink()
    os.mkfifo(directory.journal)
    assert upkeep.delete(directory).is_dir()


def test_deleting_a_run_that_is_a_link_moves_the_link(
    tmp_path: Path, outside: Path, unchanged: Callable[[], None]
) -> None:
    (other,) = list_runs(outside)
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / other.name).symlink_to(other.path)
    there = upkeep.delete(find(runs, other.name))
    assert there.is_symlink()
    assert list_runs(runs) == []
    unchanged()


def test_a_run_that_is_a_link_to_one_without_a_journal_gets_none(tmp_path: Path, outside: Path) -> None:
    (other,) = list_runs(outside)
    other.journal.unlink()
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / other.name).symlink_to(other.path)
    assert upkeep.delete(find(runs, other.name)).is_symlink()
    assert not other.journal.exists()


def test_a_trash_that_is_a_link_takes_nothing(tmp_path: Path, outside: Path) -> None:
    directory = keep(tmp_path / "runs")
    (tmp_path / "runs" / ".trash").symlink_to(outside)
    with pytest.raises(UserError, match=r"\.trash is a link"):
        upkeep.delete(directory)
    assert directory.journal.is_file()
    assert not (outside / directory.name).is_symlink()


@pytest.mark.parametrize("names", [*((name,) for name in FILES), FILES], ids=str)
@pytest.mark.parametrize("suffix", [".csv", ".json", ".md"])
def test_nothing_outside_is_exported(
    tmp_path: Path, outside: Path, unchanged: Callable[[], None], names: tuple[str, ...], suffix: str
) -> None:
    (other,) = list_runs(outside)
    hidden = lines([*whole_run()]).replace(b"chest_xray", SECRET.encode())
    other.journal.write_bytes(hidden)
    other.config.write_text(other.config.read_text().replace("/data/chest_xray", SECRET))
    was = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    directory = linked(tmp_path / "runs", outside, names)
    keep(tmp_path / "runs", at=NOON + 60)
    file = tmp_path / f"x{suffix}"
    for which in ((), (directory.name,)):
        file.unlink(missing_ok=True)
        code = call("runs", "export", str(file), *which, "--runs-dir", str(tmp_path / "runs"))
        words = file.read_text() if file.exists() else ""
        assert code == 0 or suffix == ".md"
        assert SECRET not in words
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == was
    unchanged_links = [directory.path / name for name in names]
    assert all(path.is_symlink() for path in unchanged_links)


def test_a_run_that_is_a_link_is_not_exported(
    tmp_path: Path, outside: Path, unchanged: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    (other,) = list_runs(outside)
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / other.name).symlink_to(other.path)
    assert call("runs", "export", str(tmp_path / "x.json"), "--runs-dir", str(runs)) == 2
    assert not (tmp_path / "x.json").exists()
    assert "is a link" in capfd.readouterr().err
    upkeep.export([summary(other)], tmp_path / "x.json")  # by its own folder
    assert SECRET in (tmp_path / "x.json").read_text()
    unchanged()


def test_predictions_that_lie_elsewhere_are_not_read(tmp_path: Path, outside: Path) -> None:
    directory = linked(tmp_path / "runs", outside, ("predictions",))
    with pytest.raises(UserError, match="a link"):
        KeptPredictions(directory, ["NORMAL", "PNEUMONIA"]).images()


def test_requests_that_lie_elsewhere_are_not_deleted(
    tmp_path: Path, outside: Path, unchanged: Callable[[], None]
) -> None:
    directory = linked(tmp_path / "runs", outside, ("control",))
    assert list(directory.take_requests(print)) == []
    directory.drop_requests()
    unchanged()
    directory = keep(tmp_path / "more")
    for name in ("1-stop", "2-learning_rate", "3-junk"):
        (directory.control / name).symlink_to(outside / "nowhere" / name)
    (directory.control / "folder").mkdir()
    assert [control for control, _ in directory.take_requests(lambda why: None)] == ["stop"]
    assert [path.name for path in directory.control.iterdir()] == ["folder"]
    shutil.rmtree(directory.control)
    assert list(directory.take_requests(print)) == []
    unchanged()


def test_what_is_written_into_a_run_replaces_links(
    tmp_path: Path, outside: Path, unchanged: Callable[[], None]
) -> None:
    """A note, the report, a list of mistakes: each takes the place of the link that stood there."""
    directory = linked(tmp_path / "runs", outside, ("report.md",))
    (directory.path / "mistakes-epoch-0003.csv").symlink_to(outside / "nowhere")
    (directory.path / "about.json").symlink_to(outside / "nowhere")
    with pytest.raises(UserError, match="cannot read"):
        upkeep.set_note(directory, "a note")
    (directory.path / "about.json").unlink()
    upkeep.set_note(directory, "a note")
    write_report(directory)
    write_mistakes(directory, 3, [("a.png", "A", "B", 0.5, 0.7, "p")])
    unchanged()
    assert not directory.report.is_symlink()
    assert [run.note for run in summaries(tmp_path / "runs")] == ["a note"]


def test_exporting_over_a_link_replaces_the_link(
    tmp_path: Path, outside: Path, unchanged: Callable[[], None]
) -> None:
    directory = keep(tmp_path / "runs")
    (other,) = list_runs(outside)
    file = tmp_path / "x.md"
    file.symlink_to(other.report)
    upkeep.export([summary(directory)], file)
    assert not file.is_symlink()
    unchanged()


@pytest.mark.parametrize("name", ["about.json", "report.md"])
def test_a_link_in_the_place_of_the_temporary_file_is_not_written_through(
    tmp_path: Path, outside: Path, unchanged: Callable[[], None], name: str
) -> None:
    directory = keep(tmp_path / "runs")
    (other,) = list_runs(outside)
    (directory.path / f".{name}.{os.getpid()}.part").symlink_to(other.report)
    upkeep.set_note(directory, "a note")
    write_report(directory)
    unchanged()


@pytest.mark.parametrize("name", ["events.jsonl", *FOLDERS])
def test_a_run_whose_parts_lie_elsewhere_is_not_gone_on_with(
    name: str, outside: Path, tmp_path: Path, unchanged: Callable[[], None]
) -> None:
    directory = linked(tmp_path / "runs", outside, (name,))
    with pytest.raises(UserError, match="a run is written in its own folder alone"):
        check_resumable(directory)
    unchanged()


def test_a_run_whose_journal_is_a_pipe_is_not_gone_on_with(tmp_path: Path) -> None:
    directory = keep(tmp_path / "runs")
    directory.journal.unlink()
    os.mkfifo(directory.journal)
    with pytest.raises(UserError, match="is a named pipe"):
        check_resumable(directory)

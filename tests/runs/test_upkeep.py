import csv
import json
from pathlib import Path

import pytest
from making import NOON, die, keep

from tests.tui.record_journals import whole_run
from xray_tui.errors import UserError
from xray_tui.events import RunStarted
from xray_tui.runs import about, upkeep
from xray_tui.runs.claim import Claim
from xray_tui.runs.directory import RunDirectory, list_runs
from xray_tui.runs.index import Summary, summaries
from xray_tui.runs.markdown import plain
from xray_tui.runs.state import Status


def known(directory: RunDirectory) -> Summary:
    return next(run for run in summaries(directory.path.parent) if run.directory == directory)


def test_a_note_comes_and_goes(tmp_path: Path) -> None:
    directory = keep(tmp_path)
    config = directory.config.read_bytes()
    upkeep.set_note(directory, "  with jitter\nand without ")
    assert known(directory).note == "with jitter\nand without"
    upkeep.rename(directory, "night run")
    assert (known(directory).name, known(directory).note) == ("night run", "with jitter\nand without")
    upkeep.set_note(directory, "")
    upkeep.rename(directory, " ")
    assert (known(directory).name, known(directory).note) == (directory.name, "")
    assert directory.config.read_bytes() == config


def test_a_name_given_at_the_start_comes_back(tmp_path: Path) -> None:
    told = list(whole_run())
    assert isinstance(told[0], RunStarted)
    told[0].settings["run"]["name"] = "first name"
    directory = keep(tmp_path, told)
    upkeep.rename(directory, "second name")
    assert known(directory).name == "second name"
    upkeep.rename(directory, "")
    assert known(directory).name == "first name"


def test_a_broken_about_is_shown_as_nothing_and_never_overwritten(tmp_path: Path) -> None:
    directory = keep(tmp_path)
    file = directory.path / "about.json"
    file.write_text('{"note": "half a no')
    assert about.read(directory) == about.About()
    assert known(directory).note == ""
    with pytest.raises(UserError, match=r"about\.json is broken"):
        upkeep.set_note(directory, "another")
    assert file.read_text() == '{"note": "half a no'


def test_what_another_version_wrote_about_a_run_is_read(tmp_path: Path) -> None:
    directory = keep(tmp_path)
    (directory.path / "about.json").write_text('{"note": "n", "colour": "blue"}')
    assert about.load(directory) == about.About(note="n")


def test_deleted_runs_are_in_the_trash(tmp_path: Path) -> None:
    directory, other = keep(tmp_path), keep(tmp_path, at=NOON + 60)
    there = upkeep.delete(directory)
    assert there == tmp_path / ".trash" / directory.name
    assert (there / "events.jsonl").is_file()
    assert not directory.path.exists()
    assert list_runs(tmp_path) == [other]


def test_the_trash_keeps_two_of_one_name(tmp_path: Path) -> None:
    there = [upkeep.delete(keep(tmp_path)) for _ in range(3)]
    names = [path.name for path in there]
    assert names[1:] == [f"{names[0]}-2", f"{names[0]}-3"]
    assert all((path / "config.toml").is_file() for path in there)


@pytest.mark.parametrize("status", ["running", "paused", "handover"])
def test_a_live_run_is_never_deleted(tmp_path: Path, status: Status) -> None:
    directory = keep(tmp_path, status=status)
    with pytest.raises(UserError, match=f"is {status}: a live run is not deleted"):
        upkeep.delete(directory)
    assert directory.journal.is_file()
    die(directory)
    assert upkeep.delete(directory).is_dir()


def test_a_run_that_is_just_being_resumed_is_never_deleted(tmp_path: Path) -> None:
    directory = keep(tmp_path, status="interrupted")
    with Claim(directory), pytest.raises(UserError, match="another command is writing into"):
        upkeep.delete(directory)
    assert directory.journal.is_file()
    assert upkeep.delete(directory).is_dir()


def test_what_is_no_run_is_never_deleted(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "config.toml").touch()
    with pytest.raises(UserError, match="project is no run"):
        upkeep.delete(RunDirectory.find(tmp_path, str(tmp_path / "project")))
    assert (tmp_path / "project" / "config.toml").is_file()


def test_a_trash_that_cannot_be_made(tmp_path: Path) -> None:
    directory = keep(tmp_path)
    (tmp_path / ".trash").touch()
    with pytest.raises(UserError, match="cannot move") as error:
        upkeep.delete(directory)
    assert error.value.hint == "nothing was deleted"
    assert directory.journal.is_file()


def two(tmp_path: Path) -> list[Summary]:
    first, second = keep(tmp_path / "runs"), keep(tmp_path / "runs", [], at=NOON + 60, status="failed")
    upkeep.rename(first, 'a "quoted", name')
    upkeep.set_note(first, "two\nlines | and a pipe")
    del second
    return summaries(tmp_path / "runs")


def test_csv_can_be_read_back(tmp_path: Path) -> None:
    runs = two(tmp_path)
    upkeep.export(runs, tmp_path / "runs.CSV")
    with (tmp_path / "runs.CSV").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == [run.directory.name for run in runs]
    whole, failed = rows[1], rows[0]
    assert (whole["name"], whole["note"]) == ('a "quoted", name', "two\nlines | and a pipe")
    assert float(whole["loss"]) == runs[1].loss
    assert float(whole["seconds"]) == runs[1].seconds
    assert whole["cfg.training.frozen.learning_rate"] == "0.001"
    assert (failed["status"], failed["loss"], failed["started"]) == ("failed", "", "")


def test_json_is_exact(tmp_path: Path) -> None:
    runs = two(tmp_path)
    upkeep.export(runs, tmp_path / "runs.json")
    failed, whole = json.loads((tmp_path / "runs.json").read_bytes())
    assert (whole["accuracy"], whole["auc"]) == (runs[1].accuracy, runs[1].auc)
    assert whole["settings"] == runs[1].settings
    assert failed["accuracy"] is None


@pytest.mark.usefixtures("figures")
def test_markdown_is_a_table_and_of_one_run_its_report(tmp_path: Path) -> None:
    runs = two(tmp_path)
    upkeep.export(runs, tmp_path / "runs.md")
    lines = (tmp_path / "runs.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert "two lines \\| and a pipe" in lines[3]
    upkeep.export(runs[1:], tmp_path / "one.md")
    assert (tmp_path / "one.md").read_text(encoding="utf-8").startswith(f"# {plain(runs[1].name)}\n")
    assert (tmp_path / "one-figures" / "epochs.png").is_file()


@pytest.mark.parametrize("name", ["table.xlsx", "table", ".csv"])
def test_another_suffix_names_the_three(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError) as error:
        upkeep.export(two(tmp_path), tmp_path / name)
    assert ".csv, .json or .md" in error.value.hint
    assert not (tmp_path / name).exists()


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write"):
        upkeep.export(two(tmp_path), tmp_path / "nowhere" / "runs.csv")

"""Keeping runs from the History tab: notes, names, the trash, files; going on with one, doing one again."""

import time
from pathlib import Path

import pytest
from listed_runs import keep, listed_names, opened, several, under_cursor, write
from test_train_tab import rows
from textual.message import Message
from textual.widgets import Input, Static
from tui_support import JOURNAL, dashboard, in_front, keys, toasts, until

from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.runs import about, state
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.index import summaries
from xray_tui.tui.app import XrayApp
from xray_tui.tui.keeping import Keeping
from xray_tui.tui.screens.ask import AskScreen
from xray_tui.tui.tabs.history import HistoryTab


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


async def test_notes_and_names_are_written_and_seen(runs: Path) -> None:
    directory = keep(runs, time.time())
    app = dashboard(settings=config.load({"run.runs_dir": str(runs)}), find_runs=summaries)
    async with app.run_test(size=(200, 50)) as pilot:
        await opened(pilot, app, 1)
        await pilot.press("n")
        await write(pilot, "[b]best[/b] so far")
        await pilot.press("enter")
        await until(pilot, lambda: "[b]best[/b] so far" in rows(app, "runs")[1])
        subtitle = app.query_one("#history-pane").border_subtitle
        assert r"\[b]best\[/b] so far" in str(subtitle), "never as markup"
        await pilot.press("n")
        assert app.screen.query_one(Input).value == "[b]best[/b] so far"
        await pilot.press("ctrl+u", "escape")
        assert about.read(directory).note == "[b]best[/b] so far", "escape changes nothing"
        await pilot.press("e")
        await write(pilot, "night run")
        await pilot.press("enter")
        await until(pilot, lambda: "night run" in rows(app, "runs")[1])


async def test_delete_asks_moves_to_the_trash_and_goes_on_to_the_run_below(runs: Path) -> None:
    for age in (120, 60, 0):
        keep(runs, time.time() - age)
    app = dashboard(settings=config.load({"run.runs_dir": str(runs)}), find_runs=summaries)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, 3)
        first, middle, last = listed_names(app)
        await pilot.press("down", "delete")
        assert isinstance(app.screen, AskScreen)
        await pilot.press("escape")
        await pilot.press("delete", "y")
        await until(pilot, lambda: listed_names(app) == [first, last])
        assert under_cursor(app) == last
        assert (runs / ".trash" / middle / "events.jsonl").is_file()
        assert middle in toasts(app)[-1]


def verdict(app: XrayApp) -> str:
    """What the dialog says to the words in it."""
    return str(app.screen.query_one("#words-verdict", Static).render())


async def test_what_cannot_be_done_says_why_and_what_goes_wrong_is_said_where_it_was_asked() -> None:
    def fail(*given: object) -> None:
        raise UserError("the disk is full", "make room")

    def refuse(*given: object) -> None:
        raise PermissionError(13, "Permission denied", "/runs/about.json")

    keeping = Keeping(set_note=fail, rename=refuse)
    app = dashboard(find_runs=lambda folder: several(), keeping=keeping)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, 5)
        await pilot.press("delete")
        assert toasts(app)[-1] == "The run is live: open it, and x stops it."
        await pilot.press("y")
        assert "comparison" in toasts(app)[-1]
        await pilot.press("down", "r")
        assert "only one that was cut short" in toasts(app)[-1]
        await pilot.press("down", "r")
        assert toasts(app)[-1] == "The run has no checkpoint to go on from."
        await pilot.press("n", "a", "enter")
        await until(pilot, lambda: verdict(app) == "the disk is full\nmake room")
        assert app.screen.query_one(Input).value == "a", "nothing that was typed is lost"
        await pilot.press("escape", "e", "a", "enter")
        await until(pilot, lambda: verdict(app) == "Permission denied: /runs/about.json")
        await pilot.press("escape", "a")
        await until(pilot, lambda: "cannot read the config file" in toasts(app)[-1])


async def test_keys_without_a_run_say_that_there_is_none(runs: Path) -> None:
    app = dashboard(settings=config.load({"run.runs_dir": str(runs)}), find_runs=summaries)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: "No runs yet" in str(app.query_one("#no-runs", Static).render()))
        await pilot.press("slash", "space", "c", "n", "e", "a", "r", "delete", "w", "o", "O", "enter")
        assert set(toasts(app)) == {"No runs yet."}
        assert len(app.screen_stack) == 1
        assert "export" not in keys(app)


async def test_export_writes_what_the_filter_shows_or_what_is_selected(tmp_path: Path) -> None:
    exported: list[tuple[list[str], Path]] = []
    keeping = Keeping(export=lambda runs, file: exported.append(([run.name for run in runs], file)))
    settings = config.load({"run.runs_dir": str(tmp_path)})
    app = dashboard(settings=settings, find_runs=lambda folder: several(), keeping=keeping)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, 5)
        await pilot.press("slash")
        await write(pilot, "night")
        await pilot.press("enter", "w", "enter")
        await until(pilot, lambda: len(exported) == 1)
        assert exported[0] == (listed_names(app), tmp_path / "runs.csv")
        await until(pilot, lambda: str(tmp_path / "runs.csv") in toasts(app)[-1])
        await until(pilot, lambda: len(app.screen_stack) == 1)
        await pilot.press("escape")
        await until(pilot, lambda: len(listed_names(app)) == 5)
        await pilot.press("space", "w")
        await write(pilot, "runs.txt")
        await pilot.press("enter")
        assert ".csv or .json or .md" in verdict(app)
        await write(pilot, "runs.json")
        await pilot.press("enter")
        await until(pilot, lambda: len(exported) == 2)
        assert exported[1] == ([under_cursor(app)], tmp_path / "runs.json")


async def test_what_is_typed_replaces_the_proposed_file_and_one_that_cannot_be_written_is_asked_for_again(
    tmp_path: Path,
) -> None:
    settings = config.load({"run.runs_dir": str(tmp_path)})
    app = dashboard(settings=settings, find_runs=lambda folder: several())
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, 5)
        await pilot.press("w")
        field = app.screen.query_one(Input)
        await pilot.press(*"no/such.csv", "enter")
        assert field.value == "no/such.csv"
        await until(pilot, lambda: "cannot write" in verdict(app))
        assert field.value == "no/such.csv"
        assert toasts(app) == []
        await pilot.press(*"ab")
        assert "It ends in" in verdict(app)
        await write(pilot, "such.csv")
        assert verdict(app) == ""
        await pilot.press("enter")
        await until(pilot, (tmp_path / "such.csv").exists)
        await until(pilot, lambda: str(tmp_path / "such.csv") in toasts(app)[-1])
        assert len(app.screen_stack) == 1


@pytest.mark.long
async def test_export_asks_before_it_replaces_a_file(tmp_path: Path) -> None:
    exported: list[Path] = []
    keeping = Keeping(export=lambda runs, file: exported.append(file))
    (tmp_path / "runs.csv").write_text("mine")
    settings = config.load({"run.runs_dir": str(tmp_path)})
    app = dashboard(settings=settings, find_runs=lambda folder: several(), keeping=keeping)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, 5)
        await pilot.press("w", "enter")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press("escape")
        assert exported == []
        await until(pilot, lambda: "stays as it is" in verdict(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press("y")
        await until(pilot, lambda: exported == [tmp_path / "runs.csv"])


async def test_an_interrupted_run_can_go_on_or_be_done_again_in_this_runs_folder(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed: list[RunDirectory] = []
    monkeypatch.setattr(XrayApp, "_resume_run", lambda app, directory: resumed.append(directory))
    settings = config.load(
        {"run.runs_dir": "elsewhere", "run.name": "night run", "data.root": "/data", "training.seed": 7}
    )
    here = config.replace(settings, {"run.runs_dir": str(runs)})
    directory = RunDirectory.create(here, time.time())
    directory.config.write_text(config.to_toml(settings))
    directory.journal.write_bytes(b"".join(JOURNAL.read_bytes().splitlines(keepends=True)[:-1]))
    state.write(directory, "interrupted")
    (directory.checkpoints / "last.safetensors").touch()
    posted: list[Message] = []
    app = dashboard(settings=config.load({"run.runs_dir": str(runs)}), find_runs=summaries)
    async with app.run_test(size=(120, 40), message_hook=posted.append) as pilot:
        await opened(pilot, app, 1)
        assert "resume" in keys(app)
        await pilot.press("r")
        assert resumed == [directory]
        await pilot.press("a")
        await until(pilot, lambda: in_front(app) == "form")
    again = next(message for message in posted if isinstance(message, HistoryTab.Again)).settings
    assert (again.training.seed, again.run.runs_dir, again.run.name) == (7, str(runs), "")

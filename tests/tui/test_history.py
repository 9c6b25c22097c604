"""History, and runs of other processes: the same panes, fed from a run directory."""

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from listed_runs import counted, keep, lines, listed, listed_names, opened, several, under_cursor, write
from test_train_tab import rows
from textual.pilot import Pilot
from textual.widgets import Static
from tui_support import (
    SMALL,
    TALL,
    WIDE,
    FakeEngine,
    Script,
    dashboard,
    header,
    in_front,
    keys,
    recorded,
    toasts,
    until,
    until_epoch,
)

from xray_tui import config, events
from xray_tui.errors import UserError
from xray_tui.runs import state
from xray_tui.runs.index import Summary, summaries
from xray_tui.tui.keeping import Keeping
from xray_tui.tui.panes.filter_line import FilterInput, FilterLine
from xray_tui.tui.panes.run_rows import RunRows
from xray_tui.tui.panes.runs import RunsPane
from xray_tui.tui.run_colours import run_colour, run_colours
from xray_tui.tui.sources import FollowSource, ReplaySource
from xray_tui.tui.tabs.history import HistoryTab
from xray_tui.tui.themes import Palette


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


async def test_history_lists_the_runs_and_enter_opens_one_in_the_same_panes(runs: Path) -> None:
    keep(runs, time.time() - 60)
    keep(runs, time.time(), journal=lines(until_epoch(4)), status="interrupted")
    app = dashboard(settings=config.load({"run.runs_dir": str(runs)}), find_runs=summaries)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: len(rows(app, "runs")) == 3)
        newest, oldest = rows(app, "runs")[1:]
        assert "interrupted" in newest
        assert "done" in oldest
        assert "89.1 %" in oldest, "accuracy at the best epoch"
        await pilot.press("down", "enter")
        assert in_front(app) == "train"
        await until(pilot, lambda: "done" in header(app))
        await until(pilot, lambda: "0.278" in "".join(rows(app, "epochs")))
        await pilot.press("left")
        assert app.shown is not None
        assert app.shown.epoch == 13
        await pilot.press("escape", "escape")
        assert in_front(app) == "history"


async def test_an_opened_run_gives_way_to_the_live_one_which_went_on(runs: Path) -> None:
    old = keep(runs, time.time() - 60)
    engine = FakeEngine(until_epoch(2))
    settings = config.load({"data.root": "/data", "run.runs_dir": str(runs)})
    app = dashboard(settings=settings, start=True, launch=engine, find_runs=summaries)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: len(rows(app, "epochs")) == 4)
        await pilot.press("3")
        await until(pilot, lambda: len(rows(app, "runs")) == 2)
        await pilot.press("enter")
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 15)
        assert app.shown is not None
        assert app.shown.source.directory == old
        await pilot.press("escape")
        assert app.shown.ours
        await pilot.press("1")
        await until(pilot, lambda: len(rows(app, "epochs")) == 4)
        engine.let_go.set()


async def test_an_empty_runs_folder_says_how_to_begin(runs: Path) -> None:
    app = dashboard(settings=config.load({"run.runs_dir": str(runs)}), find_runs=summaries)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: "No runs yet" in str(app.query_one("#no-runs").render()))


async def test_live_runs_are_on_top_whatever_the_order_and_what_has_no_value_is_at_the_bottom() -> None:
    app = dashboard(find_runs=lambda folder: several())
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, 5)
        assert [run.started for run in several()] == [run.started for run in app.query_one(RunsPane).shown]
        assert "started▾" in rows(app, "runs")[0]
        await pilot.press(*"oooooo")
        assert "acc▾" in rows(app, "runs")[0]
        by_accuracy = [row.split("%")[0].split()[-1] for row in rows(app, "runs")[2:]]
        assert by_accuracy[:3] == ["91.3", "89.1", "87.4"]
        assert "failed" in rows(app, "runs")[-1]
        assert "running" in rows(app, "runs")[1]
        await pilot.press("O")
        assert "acc▴" in rows(app, "runs")[0]
        assert "87.4" in rows(app, "runs")[2]
        assert "failed" in rows(app, "runs")[-1]
        await pilot.press("o")
        assert "AUC▾" in rows(app, "runs")[0], "another column begins in its own usual order"


async def test_a_click_on_a_head_sorts_and_a_second_one_reverses() -> None:
    app = dashboard(find_runs=lambda folder: several())
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, 5)
        head = rows(app, "runs")[0]
        await pilot.click("#runs", offset=(head.index("loss") + 1, 0))
        assert "loss▴" in rows(app, "runs")[0]
        assert "0.251" in rows(app, "runs")[2], "the lowest loss is what one looks for"
        await pilot.click("#runs", offset=(head.index("loss") + 1, 0))
        assert "loss▾" in rows(app, "runs")[0]


async def test_the_filter_narrows_the_list_while_one_types_and_escape_clears_it() -> None:
    app = dashboard(find_runs=lambda folder: several())
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, 5)
        await pilot.press("down", "down")
        line = app.query_one(FilterLine)
        await pilot.press("slash")
        assert line.query_one(".filter-hint").display
        assert "has:note" in str(line.query_one(".filter-hint", Static).render())
        await pilot.press(*"night")
        assert listed_names(app)[0] == "night run"
        assert counted(app) == "2 of 5", "a name and a note"
        await write(pilot, "night acc>=")
        assert counted(app) == "2 of 5", "the last good list stays"
        assert "acc" in str(line.query_one(".filter-hint", Static).render())
        assert line.has_class("-wrong")
        await write(pilot, "night acc>=0.91")
        assert listed_names(app) == ["night run"]
        assert not line.has_class("-wrong")
        await pilot.press("enter")
        assert isinstance(app.focused, RunRows)
        await pilot.press("escape")
        assert counted(app) == "5 runs"
        assert app.query_one(RunRows).cursor == 2, "the cursor is back on its run"
        assert in_front(app) == "history"
        await pilot.press("escape")
        assert in_front(app) == "form"


async def test_escape_while_typing_clears_the_filter_and_goes_to_the_list() -> None:
    app = dashboard(find_runs=lambda folder: several())
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, 5)
        await pilot.press("slash")
        await write(pilot, "zzz")
        told = app.query_one(RunRows).render_line(2)
        assert "No run matches" in told.text
        assert all(segment.style and segment.style.bgcolor for segment in told), "on the list's own ground"
        first = next(iter(told)).style
        assert first is not None
        assert first.color is not None
        assert first.color.name == Palette.of(app).muted.lower()
        await pilot.press("escape")
        assert counted(app) == "5 runs"
        assert isinstance(app.focused, RunRows)


async def test_what_is_wrong_with_a_filter_is_one_line_its_remedy_first_and_a_cut_is_seen() -> None:
    def complaint() -> str:
        hint = app.query_one(".filter-hint", Static)
        return hint.render_line(0).text.rstrip()

    app = dashboard(find_runs=lambda folder: several())
    async with app.run_test(size=TALL) as pilot:
        await opened(pilot, app, 5)
        await pilot.press("slash")
        await write(pilot, "foo>=3")
        said = complaint()
        assert 'no field foo: to look for the words, quote them: "foo>=3" · fi' in said
        assert said.endswith("…")
        assert "\N{SYMBOL FOR LINE FEED}" not in said
        await write(pilot, "name:")
        assert complaint().endswith('name: wants a value: such as name:"night run"')


async def test_cursor_selection_filter_and_order_outlast_a_visit_to_another_tab() -> None:
    found = several()
    app = dashboard(find_runs=lambda folder: list(found))
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, 5)
        await pilot.press("slash")
        await write(pilot, "!failed")
        await pilot.press("enter", "o", "down", "down", "space")
        chosen = under_cursor(app)
        before = rows(app, "runs")
        await pilot.press("1")
        await pilot.press("3")
        await pilot.pause()
        assert rows(app, "runs") == before
        assert under_cursor(app) == chosen
        assert "1 selected" in str(app.query_one(".filter-count", Static).render())
        found.insert(0, listed(11))
        app.query_one(HistoryTab).refresh_runs()
        await until(pilot, lambda: app.query_one(RunRows).count == 5)
        assert under_cursor(app) == chosen, "a run that comes does not move the cursor off its own"


async def test_a_live_run_goes_on_before_one_s_eyes_and_a_new_one_appears(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xray_tui.tui.tabs.history._LOOK_SECONDS", 0.05)
    told = recorded()
    live = keep(runs, time.time(), journal=lines(until_epoch(2)), status="running")
    reads: list[Path] = []

    def find(folder: Path) -> list[Summary]:
        reads.append(folder)
        return summaries(folder)

    app = dashboard(settings=config.load({"run.runs_dir": str(runs)}), find_runs=find)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, 1)
        await pilot.pause(0.3)
        read = len(reads)
        live.journal.write_bytes(lines([event for event in told if event.t <= told[-1].t]))
        await until(pilot, lambda: " 15 " in rows(app, "runs")[1])
        assert len(reads) == read, "only the live run was read again"
        keep(runs, time.time() + 60, status="done")
        await until(pilot, lambda: len(rows(app, "runs")) == 3)


async def test_the_next_key_is_for_the_run_that_one_looked_at(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xray_tui.tui.tabs.history._LOOK_SECONDS", 0.05)
    there = keep(runs, time.time() - 60)
    app = dashboard(settings=config.load({"run.runs_dir": str(runs)}), find_runs=summaries)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, 1)
        keep(runs, time.time(), status="done")
        await until(pilot, lambda: len(rows(app, "runs")) == 3)
        assert under_cursor(app) == there.path.name


def test_runs_that_are_read_while_the_tab_is_taken_down_are_not_shown() -> None:
    pane, found = RunsPane(), several()[:2]
    pane.show(found)
    assert list(pane.runs) == list(found)


async def test_of_many_runs_the_newest_are_seen_while_the_rest_is_read() -> None:
    let_go = threading.Event()

    def slow(folder: Path) -> list[Summary]:
        let_go.wait(10)
        return several()

    app = dashboard(find_runs=slow, keeping=Keeping(newest=lambda folder: several()[:2]))
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, 2)
        assert "reading more" in counted(app)
        await pilot.press("down")
        let_go.set()
        await until(pilot, lambda: counted(app) == "5 runs")
        assert under_cursor(app) == "night run"


async def test_space_or_a_click_on_the_dot_selects_and_two_are_needed_to_compare() -> None:
    app = dashboard(find_runs=lambda folder: several())
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, 5)
        assert " ○ " in rows(app, "runs")[1]
        await pilot.press("space")
        assert " ● " in rows(app, "runs")[1]
        assert "compare" not in keys(app)
        await pilot.press("c")
        assert toasts(app) == ["Select two or more runs with space."]
        await pilot.click("#runs", offset=(1, 3))
        await until(pilot, lambda: " ● " in rows(app, "runs")[3] and "compare" in keys(app))
        await pilot.press("escape")
        assert "●" not in "".join(rows(app, "runs"))


async def test_the_run_that_the_other_tabs_show_is_marked(runs: Path) -> None:
    keep(runs, time.time() - 60)
    directory = keep(runs, time.time())
    settings = config.load({"run.runs_dir": str(runs)})
    app = dashboard(FollowSource(directory), settings=settings, find_runs=summaries)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, app, 2)
        assert rows(app, "runs")[1].startswith("▸")
        assert not rows(app, "runs")[2].startswith("▸")


def test_a_run_keeps_its_colour_and_no_two_together_are_alike() -> None:
    app = dashboard()
    palette = Palette.of(app)
    names = [f"20261124-{number:06}-resnet50" for number in range(30)]
    together = run_colours(names[:12], palette)
    assert len(set(together.values())) == 12
    assert together[names[0]] == run_colour(names[0], palette)
    assert run_colours(names, palette).keys() == set(names), "more runs than colours share them"
    assert len({run_colour(name, palette) for name in names}) > 6


async def test_a_watched_run_is_followed_and_steered_through_its_directory(runs: Path) -> None:
    told = until_epoch(3)[:-1]
    directory = keep(runs, time.time(), journal=lines(told), status="running")
    app = dashboard(FollowSource(directory))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 3)
        assert "frozen 3/10" in header(app)
        await pilot.press("space")
        assert [file.name.partition("-")[2] for file in directory.control.iterdir()] == ["pause"]
        assert "pausing …" in header(app)
        rest = recorded()[len(told) :]
        with directory.journal.open("ab") as journal:
            journal.write(lines(rest))
        state.write(directory, "done")
        await until(pilot, lambda: "done" in header(app))
        assert len(rows(app, "epochs")) == 16
        assert "pause" not in keys(app)
        await pilot.press("q")
    assert app.return_value == 0, "a run of another process is left alone, without a question"


async def test_a_run_whose_process_died_shows_as_interrupted(runs: Path) -> None:
    directory = keep(runs, time.time(), journal=lines(until_epoch(3)), status="running")
    dead = state.State(status="running", pid=0, host="elsewhere", heartbeat=0.0)
    directory.state.write_bytes(msgspec.json.encode(dead))
    app = dashboard(FollowSource(directory))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "interrupted" in header(app))


async def test_a_broken_journal_is_told_and_the_app_lives(runs: Path) -> None:
    directory = keep(runs, time.time(), journal=b'{"v":1,"seq":0,"t":0,"type":"epoch_ended"}\n')
    app = dashboard(FollowSource(directory))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "is not an event" in str(app.query_one("OpeningPane").render()))
        await pilot.press("3")
        assert in_front(app) == "history"


async def test_a_replay_shows_each_epoch_in_turn_and_space_holds_it(runs: Path) -> None:
    directory = keep(runs, time.time())
    app = dashboard(ReplaySource(directory, speed=100.0))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) >= 1)
        assert "replay" in header(app)
        await pilot.press("space")
        assert "paused" in header(app)
        assert app.shown is not None
        await pilot.pause(0.2)
        held = len(app.shown.record.epochs)
        await pilot.pause(0.2)
        assert len(app.shown.record.epochs) == held < 15
        await pilot.press("space")
        await until(pilot, lambda: "done" in header(app))
        assert len(app.shown.record.epochs) == 15


@pytest.mark.parametrize("own", ["done", "failed", "interrupted"])
async def test_a_replay_that_is_stopped_leaves_its_run_as_it_is(runs: Path, own: state.Status) -> None:
    directory = keep(runs, time.time(), status=own)
    app = dashboard(ReplaySource(directory, speed=20.0))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) >= 1)
        await pilot.press("x")
        await until(pilot, lambda: app.shown is not None and not app.shown.live)
        assert re.search(rf"replay stopped at \d\d:\d\d   ■ {own}$", header(app).strip())
        assert "parameters learn" not in header(app), "not any more"
        await pilot.resize_terminal(30, 20)
        await until(pilot, lambda: header(app).strip() == f"replay stopped   ■ {own}"[:30])


async def test_a_replay_without_an_end_was_not_stopped(runs: Path) -> None:
    directory = keep(runs, time.time(), journal=lines(until_epoch(3)), status="interrupted")
    app = dashboard(ReplaySource(directory, speed=1e6))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and not app.shown.live)
        assert "■ interrupted" in header(app)
        assert "stopped" not in header(app)


def test_a_source_keeps_only_the_newest_progress_and_every_other_event() -> None:
    source = Script()
    for done in range(1000):
        source.put(events.Progress(phase="train", done=done))
    source.put(recorded()[0])
    source.put(events.Progress(phase="train", done=1000))
    assert [getattr(event, "done", None) for event in source.take()] == [999, None, 1000]
    assert source.take() == []


def test_a_person_s_error_reaches_the_source_s_owner_as_words() -> None:
    class Mistaken(Script):
        def _run(self) -> None:
            raise UserError("no such thing", "try another")

    stirred: list[bool] = []
    source = Mistaken()
    source.begin(lambda: stirred.append(source.finished))
    source.join()
    assert stirred == [True]
    assert source.failure is not None
    assert (source.failure.message, source.failure.hint, source.failure.bug) == (
        "no such thing",
        "try another",
        False,
    )


async def test_a_run_that_has_not_started_changes_no_others_date() -> None:
    app = dashboard(find_runs=lambda folder: [listed(9, status="running", started=None), *several()[1:]])
    async with app.run_test(size=WIDE) as pilot:
        await opened(pilot, app, 5)
        assert "25 Nov 17:46" in rows(app, "runs")[2]


@pytest.mark.parametrize(
    ("size", "theme"), [(WIDE, "reading-room"), (SMALL, "light-box")], ids=["wide-dark", "small-light"]
)
def test_the_list_looks(
    snap_compare: Callable[..., bool],
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    theme: str,
) -> None:
    monkeypatch.setattr("xray_tui.tui.tabs.history._LOOK_SECONDS", 600)  # its live run is nowhere to be read
    app = dashboard(find_runs=lambda folder: several())

    async def run(pilot: Pilot[int]) -> None:
        app.theme = theme
        await opened(pilot, app, 5)
        app.query_one(FilterInput).cursor_blink = False
        await pilot.press("down", "space", "slash")
        await write(pilot, "has:note | night")

    assert snap_compare(app, terminal_size=size, run_before=run)


async def test_accuracies_selected_on_test_have_a_mark_and_its_meaning() -> None:
    recipe = listed(8, settings={"data": {"split": "recipe"}}, accuracy=1.0)
    app = dashboard(find_runs=lambda folder: [recipe, listed(7, settings={"data": {"split": "holdout"}})])
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, app, 2)
        assert "100.0 %*" in rows(app, "runs")[1]
        assert "89.1 %" in rows(app, "runs")[2]
        assert "89.1 %*" not in rows(app, "runs")[2]
        assert "* selected on test" in counted(app)


LONG = "densenet121 at 512 px with mixup and label smoothing, third attempt, seed 17"


async def test_a_name_that_is_cut_is_read_below_with_the_note() -> None:
    runs = [listed(9, name=LONG, note="keep"), *several()[1:]]
    app = dashboard(find_runs=lambda folder: runs)
    async with app.run_test(size=TALL) as pilot:
        await opened(pilot, app, 5)
        pane = app.query_one("#history-pane")
        await until(pilot, lambda: f"{LONG} · keep" in str(pane.border_subtitle))
        await pilot.press("down")
        assert str(pane.border_subtitle) == "", "nothing of it is cut, and there is no note"
        await pilot.press("up")
        await pilot.resize_terminal(*WIDE)
        await until(pilot, lambda: f"{LONG} · keep" in str(pane.border_subtitle))


async def test_where_no_run_has_a_note_names_have_its_room() -> None:
    runs = [listed(9, name=LONG), listed(8)]
    app = dashboard(find_runs=lambda folder: runs)
    async with app.run_test(size=WIDE) as pilot:
        await opened(pilot, app, 2)
        assert "note" not in rows(app, "runs")[0]
        assert LONG in rows(app, "runs")[1]
        await until(pilot, lambda: str(app.query_one("#history-pane").border_subtitle) == "")
        runs[1] = listed(8, note="keep")
        app.query_one(HistoryTab).runs_changed()
        await until(pilot, lambda: "note" in rows(app, "runs")[0])
        assert "keep" in rows(app, "runs")[2]


@pytest.mark.parametrize(("second", "alike"), [("182230", True), ("182300", False)])
async def test_the_backbone_gives_way_to_names_that_would_look_the_same(second: str, alike: bool) -> None:
    names = [f"20261127-{at}-efficientnet_lite0" for at in ("182200", second)]
    runs = [listed(at, name=name, backbone="efficientnet_lite0") for at, name in enumerate(names)]
    app = dashboard(find_runs=lambda folder: runs)
    async with app.run_test(size=SMALL) as pilot:
        await opened(pilot, app, 2)
        head, *shown = rows(app, "runs")
        assert ("backbone" not in head) == alike
        assert len({row.split("2026")[1].split()[0] for row in shown}) == 2

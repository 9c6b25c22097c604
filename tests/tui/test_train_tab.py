"""What the panes of a run show, from the events that arrive."""

import re
from pathlib import Path

import msgspec
import pytest
from tui_support import (
    FakeEngine,
    Script,
    dashboard,
    film,
    header,
    in_front,
    keys,
    recorded,
    toasts,
    training,
    until,
    until_epoch,
)

from tests.test_events import operating_point
from xray_tui import config
from xray_tui.events import (
    Best,
    EpochEnded,
    Event,
    Mistake,
    Mistakes,
    Progress,
    RunStarted,
    TestEvaluated,
    TestUnsealed,
)
from xray_tui.tui.app import XrayApp
from xray_tui.tui.panes.confusion import ConfusionPane
from xray_tui.tui.panes.picture import RadiographView, read_radiograph
from xray_tui.tui.panes.rows import RowList


def rows(app: XrayApp, name: str) -> list[str]:
    """The lines of a table as they are on the screen, its head first."""
    table = app.screen_stack[0].query_one(f"#{name}", RowList)
    return [table.render_line(y).text for y in range(min(table.count + 1, table.size.height))]


async def test_an_epoch_that_ends_appears_in_every_pane() -> None:
    source = Script(until_epoch(3))
    app = dashboard(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "61 %" in rows(app, "epochs")[4] and "411/s" in rows(app, "epochs")[4])
        assert "0.274" in rows(app, "epochs")[3]
        assert "★" in rows(app, "epochs")[3]
        assert "2.1 of 25.6 M parameters learn" in header(app)
        fourth = [event for event in recorded() if getattr(event, "epoch", None) == 3][:3]
        for event in fourth:
            source.put(event)
        await until(pilot, lambda: "0.365" in rows(app, "epochs")[4] and "★" in rows(app, "epochs")[4])
        assert "★" not in rows(app, "epochs")[3]
        assert "epoch 3" in str(app.query_one("#confusion").border_title)
        assert "epoch 3" in str(app.query_one("#quality").border_subtitle)
        assert "mistakes" in str(app.query_one("#mistakes-pane").border_title)


async def test_what_happens_out_of_sight_is_there_when_it_comes_back() -> None:
    source = Script(until_epoch(3))
    app = dashboard(source)
    async with app.run_test(size=(160, 45)) as pilot:
        await until(pilot, lambda: len(rows(app, "epochs")) == 5)
        title = app.query_one("#loss").border_title
        await pilot.press("3")
        for event in recorded():
            if getattr(event, "epoch", None) == 3 and not isinstance(event, Progress):
                source.put(event)
        await until(pilot, lambda: "epoch 3" in str(app.query_one("#confusion").border_title))
        assert not app.query_one("#confusion").is_on_screen
        await pilot.press("1")
        await pilot.pause()
        assert "0.365" in rows(app, "epochs")[4]
        assert app.query_one("#loss").border_title == title, "as much of the legend as there is room for"
        painted = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert painted.count("epoch 3  ") == 2, "below both charts"


async def test_progress_moves_the_live_row_without_an_event_in_the_journal() -> None:
    source = Script(until_epoch(2))
    app = dashboard(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "61 %" in rows(app, "epochs")[-1])
        for done in range(3200, 5200, 10):
            source.put(training(2, done=done))
        await until(pilot, lambda: "100 %" in rows(app, "epochs")[-1])
        assert len(rows(app, "epochs")) == 4


async def test_weights_and_reading_show_a_bar_in_place_of_empty_panes() -> None:
    source = Script([Progress(phase="weights", note="loading resnet50")])
    app = dashboard(source)
    async with app.run_test(size=(120, 40)) as pilot:
        opening = app.query_one("OpeningPane")
        await until(pilot, lambda: "Loading the backbone" in str(opening.render()))
        source.put(Progress(phase="reading", done=1204, total=5216))
        await until(pilot, lambda: "1,204 of 5,216" in str(opening.render()))
        assert "reading radiographs" in header(app)
        assert not app.query_one("#board").display


async def test_a_finished_run_shows_its_test_result_and_the_end() -> None:
    app = dashboard(Script(recorded(), ended=True))
    async with app.run_test(size=(160, 50)) as pilot:
        await until(pilot, lambda: "done" in header(app))
        result = str(app.query_one("#test-result").render())
        assert "87.5 %" in result
        assert "images 16" in result
        assert "test" in str(app.query_one(ConfusionPane).render())
        assert "new run" in keys(app)
        assert "pause" not in keys(app)


async def test_numbers_selected_on_test_are_called_so_and_looks_at_test_are_counted() -> None:
    told = list(recorded())
    (started,) = [event for event in told if isinstance(event, RunStarted)]
    settings = {**started.settings, "data": {**started.settings["data"], "split": "recipe"}}
    told[told.index(started)] = msgspec.structs.replace(started, settings=settings)
    told.insert(-2, TestUnsealed(images=16, times=3))
    app = dashboard(Script(told, ended=True))
    async with app.run_test(size=(160, 50)) as pilot:
        await until(pilot, lambda: "done" in header(app))
        assert str(app.query_one("#epochs-pane").border_subtitle).endswith(", selected on test")
        assert "87.5 %" in str(app.query_one("#test-result").render())
        await pilot.resize_terminal(320, 50)
        await until(pilot, lambda: "test looked at 3 times" in str(app.query_one("#test-result").render()))


async def test_what_is_called_from_where_stands_beside_validation_and_test() -> None:
    point = operating_point(epoch=9, threshold=0.5641, accuracy=0.8, sensitivity=0.8, specificity=0.8)
    told = recorded()
    app = dashboard(Script([*told[:-2], point, *told[-2:]], ended=True))
    async with app.run_test(size=(200, 50)) as pilot:
        await until(pilot, lambda: "p ≥ 0.5641" in str(app.query_one("#test-result").render()))
        words = "validation: the likeliest class, test: p ≥ 0.5641"
        assert words in str(app.query_one("#confusion").border_subtitle)
        assert re.search(
            r"validation, epoch \d+ · test, epoch \d+", str(app.query_one("#confusion").border_title)
        )


async def test_a_skipped_test_says_why() -> None:
    skipped = TestEvaluated(
        skipped="no folder plays test",
        epoch=None,
        images=0,
        loss=None,
        accuracy=None,
        auc=None,
        sensitivity=None,
        specificity=None,
        confusion=[],
    )
    app = dashboard(Script([*until_epoch(2), skipped]))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "no folder plays test" in str(app.query_one("#test-result").render()))


async def test_an_epoch_without_numbers_says_so_in_place_of_mistakes_and_confusion() -> None:
    told: list[Event] = []
    nothing = dict.fromkeys(("validation_loss", "accuracy", "auc", "sensitivity", "specificity"))
    for event in until_epoch(2):
        if isinstance(event, EpochEnded):
            event = msgspec.structs.replace(event, **nothing, confusion=[[0, 0], [0, 0]])
        elif isinstance(event, Mistakes):
            event = msgspec.structs.replace(event, total=0, worst=[])
        told.append(event)
    app = dashboard(Script(told))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "are no numbers" in str(app.query_one("#no-mistakes").render()))
        assert app.query_one(ConfusionPane).words().plain == (
            "Probabilities of this epoch are no numbers: nothing can be counted."
        )


NASTY = "IM-\x1b[31m[red]x[bold]\u202eevil\n.jpeg"


def with_nasty_names() -> list[Event]:
    """The recorded run with a class and mistakes whose names are markup and escape sequences."""
    told: list[Event] = []
    for event in until_epoch(2):
        if isinstance(event, Mistakes):
            mistake = Mistake(path=f"test/NORMAL/{NASTY}", actual=0, predicted=1, probability=0.9, loss=2.0)
            event = msgspec.structs.replace(event, total=1, worst=[mistake])
        told.append(event)
    told[0] = msgspec.structs.replace(told[0], classes=["[bold]N", "P\x1b[0m"])
    return told


async def test_names_with_markup_and_escapes_are_shown_harmlessly() -> None:
    def unreadable(path: Path) -> object:
        raise OSError(f"[blink]no[/] {path}")

    app = dashboard(Script(with_nasty_names()), read=unreadable)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 2)
        await until(pilot, lambda: any("␛[31m" in line for line in rows(app, "mistakes")))
        await until(pilot, lambda: "cannot read" in str(app.query_one("#picture-words").render()))
        for size, keys_pressed in (((120, 40), ()), ((60, 24), ("tab", "tab", "tab"))):
            await pilot.resize_terminal(*size)
            await pilot.press(*keys_pressed)
            await pilot.pause()
            lines = [
                "".join(piece.text for piece in strip) for strip in app.screen._compositor.render_strips()
            ]
            assert any("[31m" in line for line in lines)
            for line in lines:
                assert not {"\x1b", "\n", "\u202e"} & set(line)


async def test_the_radiograph_under_the_cursor_is_read_once_and_keeps_its_aspect() -> None:
    read: list[str] = []

    def wide_film(path: Path) -> object:
        read.append(path.name)
        return film(path).resize((200, 100))

    app = dashboard(Script(recorded(), ended=True), read=wide_film)
    async with app.run_test(size=(160, 50)) as pilot:
        await until(pilot, lambda: len(read) == 1)
        app.query_one("#mistakes").focus()
        await pilot.press("down")
        await until(pilot, lambda: len(read) == 2)
        await pilot.press("up", "down", "up")
        await pilot.pause(0.2)
        assert len(read) == 2, "what was read is kept"
        shown = app.query_one(RadiographView).children[0]
        assert shown.size.width == pytest.approx(4 * shown.size.height, abs=2)


async def test_an_unreadable_radiograph_is_told_in_its_place(tmp_path: Path) -> None:
    settings = msgspec.to_builtins(config.load({"data.root": str(tmp_path)}))
    told = [msgspec.structs.replace(recorded()[0], settings=settings), *recorded()[1:]]
    app = dashboard(Script(told, ended=True), read=read_radiograph)
    async with app.run_test(size=(160, 50)) as pilot:
        await until(pilot, lambda: "cannot read" in str(app.query_one("#picture-words").render()))


@pytest.mark.parametrize("epochs", [1, 2, 300])
async def test_charts_stand_with_one_point_two_and_many_and_with_gaps(epochs: int) -> None:
    first = next(event for event in recorded() if isinstance(event, EpochEnded))
    many: list[Event] = [*recorded()[:3]]
    for number in range(epochs):
        gap = number % 7 == 3
        many.append(
            msgspec.structs.replace(
                first,
                epoch=number,
                validation_loss=None if gap else 1 / (1 + number),
                auc=None if gap else 0.9,
                train_loss=0.0 if epochs == 2 else 2 / (1 + number),
            )
        )
    many.append(Best(stage="frozen", epoch=epochs - 1, validation_loss=0.1, accuracy=0.8))
    app = dashboard(Script(many))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.best is not None)
        chart = app.query_one("#loss Chart")
        drawn = "".join(chart.render_line(y).text for y in range(chart.size.height))
        assert drawn.count("★") == (0 if (epochs - 1) % 7 == 3 else 1)
        assert "└" in drawn or "┴" in drawn
        if epochs > 1:
            assert any("\u2800" < character <= "\u28ff" for character in drawn)


async def test_small_screens_show_one_pane_at_a_time_and_wide_ones_all() -> None:
    panes = ("epochs-pane", "charts", "confusion", "mistakes-pane")
    app = dashboard(Script(until_epoch(12)))

    def shown() -> list[str]:
        return [name for name in panes if app.query_one(f"#{name}").display]

    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 12)
        for size, pane in (((80, 24), 0), ((40, 20), 1), ((130, 20), 2), ((20, 8), 3)):
            await pilot.resize_terminal(*size)
            assert shown() == [panes[pane]]
            await pilot.press("tab")
        assert shown() == ["epochs-pane"]
        await pilot.press("shift+tab")
        assert shown() == ["mistakes-pane"]
        await pilot.resize_terminal(120, 30)
        await pilot.pause()
        assert shown() == list(panes)


async def test_a_bug_in_the_engine_leaves_the_app_alive_and_says_where_to_look(tmp_path: Path) -> None:
    engine = FakeEngine(until_epoch(2), raises=ZeroDivisionError("no [bold]images[/]"), directory=tmp_path)
    app = dashboard(settings=config.load({"data.root": "/data"}), start=True, launch=engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "failed" in header(app))
        trouble = str(app.query_one("#trouble").render())
        assert "ZeroDivisionError: no [bold]images[/]" in trouble
        assert "error.txt" in trouble
        assert "in __call__" in (tmp_path / "error.txt").read_text()
        assert any("ZeroDivisionError" in words for words in toasts(app))
        assert len(rows(app, "epochs")) == 3, "what was learned is still seen"
        await pilot.press("3")
        assert in_front(app) == "history"
        await pilot.press("q")
    assert app.return_value == 1


async def test_a_new_run_can_be_set_up_after_one_has_ended() -> None:
    engine = FakeEngine(until_epoch(2))
    app = dashboard(settings=config.load({"data.root": "/data"}), start=True, launch=engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: len(rows(app, "epochs")) == 4)
        await pilot.press("s")
        assert toasts(app) == ["A run is live already: x stops it."]
        engine.let_go.set()
        await until(pilot, lambda: "done" in header(app))
        await pilot.press("s")
        assert in_front(app) == "form"
        await pilot.press("escape")
        assert in_front(app) == "train"


async def test_without_colour_everything_is_still_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = dashboard(Script(until_epoch(12)))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 12)
        assert "nocolor" in app.pseudo_classes
        picture = app.export_screenshot()
        colours = set(re.findall(r"fill: (#[0-9a-f]{6})", picture))
        assert all(colour[1:3] == colour[3:5] == colour[5:7] for colour in colours - {"#c5c8c6"}), colours
        assert "unfrozen" in picture


async def test_a_radiograph_is_fitted_without_asking_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app reads what a terminal answers, so whoever asked under it would wait for ever."""

    def asked() -> None:
        raise AssertionError("the terminal was asked")

    monkeypatch.setattr("textual_image._terminal.get_cell_size", asked)
    app = dashboard(Script(until_epoch(3)))
    async with app.run_test(size=(200, 50)) as pilot:
        view = app.query_one(RadiographView)
        await until(pilot, lambda: getattr(view.children[0], "image", None) is not None)
        assert view.children[0].region.area


async def test_names_of_mistakes_that_are_cut_keep_both_ends() -> None:
    told = [
        msgspec.structs.replace(
            event,
            worst=[
                msgspec.structs.replace(
                    mistake, path=f"test/NORMAL/a-name-that-all-of-them-have-{number:04}.jpeg"
                )
                for number, mistake in enumerate(event.worst)
            ],
        )
        if isinstance(event, Mistakes)
        else event
        for event in until_epoch(3)
    ]
    app = dashboard(Script(told))
    async with app.run_test(size=(120, 40)) as pilot:
        rows = app.query_one("#mistakes", RowList)
        await until(pilot, lambda: bool(rows.count))
        for number in range(3):
            name = rows.render_line(1 + number).text.split()[0]
            assert name.startswith("a-name")
            assert "…" in name
            assert name.endswith(f"{number:04}")

"""The charts of the Train tab: what is drawn where, smoothed, on a logarithmic axis, and marked."""

import random

import msgspec
import pytest
from rich.style import Style
from textual.content import Content
from textual.pilot import Pilot
from tui_support import Script, dashboard, recorded, until, until_epoch

from xray_tui.drawing.raster import Raster
from xray_tui.drawing.ticks import log_labels, log_limits, log_ticks
from xray_tui.events import Control, ControlUsed, EpochEnded, Event, Resumed
from xray_tui.runs.record import RunRecord
from xray_tui.tui.app import XrayApp
from xray_tui.tui.panes.chart import Chart, Points, side_by_side, thin
from xray_tui.tui.panes.charts import CurvePane, smooth
from xray_tui.tui.panes.notches import _asked


def test_smoothing_is_tensorboards() -> None:
    """Its moving average without the pull towards 0; what is no number is left out of it."""
    points: Points = [(0, 1.0), (1, 0.0), (2, None), (3, 0.5)]
    assert smooth(points, 0.0) == points
    values = [value for _, value in smooth(points, 0.6)]
    assert values[0] == pytest.approx(1.0)
    assert values[1] == pytest.approx(0.6 * 0.4 / (1 - 0.36))
    assert values[2] is None
    assert values[3] == pytest.approx((0.4 * 0.36 + 0.4 * 0.5) / (1 - 0.216))


def test_smoothing_begins_anew_with_the_unfrozen_stage() -> None:
    points: Points = [(0, 1.0), (1, 1.0), (2, 0.2), (3, 0.4)]
    smoothed = smooth(points, 0.9, again_at=2)
    assert smoothed[2] == (2, pytest.approx(0.2))
    assert smoothed[3] == (3, pytest.approx(0.3, abs=0.01))


@pytest.mark.parametrize(("told", "at"), [([], 0), (until_epoch(4), 3)])
def test_what_is_asked_between_two_stages_is_marked_where_the_first_ended(told: list[Event], at: int) -> None:
    record = RunRecord()
    for event in told:
        record.apply(event)
    record.apply(ControlUsed(control="unfreeze", stage="frozen", epoch=None))
    assert [asked.epoch for asked in _asked(record)] == [at]


def test_a_logarithmic_axis_has_round_ends_and_ticks() -> None:
    assert log_limits([0.26, 0.48, 0.0, -1.0]) == (0.2, 0.5)
    assert log_limits([0.0]) == (0.1, 1.0)
    assert log_limits([0.5, 0.5]) == (0.5, 1.0)
    assert log_ticks(0.02, 1.0, 6) == [0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
    assert log_ticks(0.02, 1.0, 3) == [0.02, 0.1, 1.0]
    assert log_ticks(0.2, 0.5, 4) == [0.2, 0.3, 0.4, 0.5], "between two ends, what lies evenly"
    assert log_ticks(1e-6, 1.0, 4) == [1e-6, 1e-4, 1e-2, 1.0]
    assert log_labels([0.001, 0.02, 1.0, 50.0]) == ["0.001", "0.02", "1", "50"]
    assert log_labels([1e-5, 2e-12]) == ["1e-5", "2e-12"]


def test_a_gap_breaks_a_curve() -> None:
    pieces = thin([(0, None), (1, 0.5), (2, 0.4), (3, None), (4, 0.3)], start=0, slope=2)
    assert [[column[0] for column in piece] for piece in pieces] == [[2, 4], [8]]
    assert thin([(0, None)], start=0, slope=2) == []
    assert [len(piece) for piece in thin([(0, 1.0), (1, 0.0), (2, 1.0)], 0, 2, above=0.0)] == [1, 1]


def test_thinning_loses_no_peak() -> None:
    rng = random.Random(0)
    points: Points = [(number, rng.random()) for number in range(10_000)]
    (piece,) = thin(points, start=10, slope=150 / 10_000)
    assert len(piece) == 150
    assert max(column[3] for column in piece) == max(value for _, value in points if value is not None)
    assert min(column[2] for column in piece) == min(value for _, value in points if value is not None)
    assert piece[0][1] == points[0][1]
    assert piece[-1][4] == points[-1][1]


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ([3, 3, 3, 4, 8], [3, 4, 5, 6, 8]),
        ([1, 9, 9, 9], [2, 7, 8, 9]),
        ([2] * 9, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ([], []),
    ],
)
def test_marks_stand_side_by_side_in_their_order(wanted: list[int], places: list[int]) -> None:
    assert side_by_side(wanted, 2, 9) == places


def drawn(raster: Raster) -> list[str]:
    return ["".join(segment.text for segment in row) for row in raster.rows(Style())]


def test_lines_of_dots_join_in_a_cell_and_a_faint_one_gives_way() -> None:
    raster = Raster(2, 1)
    raster.line(0, 0, 3, 0, "#ff0000")
    raster.upright(0, 0, 3, "#00ff00")
    assert drawn(raster) == ["⡏⠉"]
    raster = Raster(2, 1)
    raster.line(0, 3, 3, 3, "#333333", faint=True)
    raster.upright(0, 0, 1, "#00ff00")
    assert drawn(raster) == ["⠃⣀"]
    raster.line(0, 3, 3, 3, "#333333", faint=True)
    assert drawn(raster) == ["⠃⣀"]
    raster.put(1, 0, "★", "#ffffff")
    raster.line(-5, -5, 50, 50, "#ffffff")
    assert drawn(raster)[0][1] != "⣀"


def controlled() -> list[Event]:
    """The recorded run in its twelfth epoch; a person has asked for all there is."""
    told: list[Event] = []
    for event in until_epoch(12):
        if isinstance(event, EpochEnded) and event.epoch == 3:
            asked: list[tuple[Control, float | None]] = [("pause", None), ("resume", None)]
            for control, value in [*asked, ("learning_rate", 3e-4)]:
                told.append(ControlUsed(control=control, stage="frozen", epoch=3, value=value))
        if isinstance(event, EpochEnded) and event.epoch == 6:
            told += [
                ControlUsed(control="stop", stage="frozen", epoch=6),
                Resumed(epoch=6),
                ControlUsed(control="detach", stage="frozen", epoch=6),
            ]
        if isinstance(event, EpochEnded) and event.epoch == 10:
            told.append(ControlUsed(control="unfreeze", stage="unfrozen", epoch=10))
        told.append(event)
    return told


def plain(title: object) -> str:
    """A border's words; the toolkit keeps them as markup."""
    return Content.from_markup(str(title)).plain


def picture(app: XrayApp, name: str = "loss") -> list[str]:
    chart = app.query_one(f"#{name} Chart", Chart)
    return [chart.render_line(y).text for y in range(chart.size.height)]


async def twelve(app: XrayApp, pilot: Pilot[int]) -> None:
    await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 12)


async def test_everything_asked_of_the_run_stands_on_the_epoch_axis_of_both_charts() -> None:
    app = dashboard(Script(controlled()))
    async with app.run_test(size=(200, 50)) as pilot:
        await twelve(app, pilot)
        for name in ("loss", "quality"):
            axis = picture(app, name)[-2]
            marks = [character for character in axis if character.isalpha() or character == "‖"]
            assert sorted(marks) == sorted("‖lxrdu")
            assert axis.index("‖") < axis.index("x") < axis.index("u")
            assert abs(axis.index("‖") - axis.index("l")) == 1, "side by side at their epoch"
            subtitle = plain(app.query_one(f"#{name}").border_subtitle)
            for words in ("‖ pause", "l rate 0.0003", "x stop", "r resume", "d detach", "u unfreeze"):
                assert words in subtitle
            assert "epoch 11" in subtitle
        await pilot.resize_terminal(120, 40)
        await pilot.press(*["left"] * 9)
        await pilot.pause()
        assert app.shown is not None
        assert app.shown.epoch == 3
        subtitle = plain(app.query_one("#loss").border_subtitle)
        assert "l rate 0.0003" in subtitle, "where all find no room, first those of the epoch looked at"
        assert "epoch 3" in subtitle
        assert len(subtitle) < 56


async def test_smoothing_shows_in_the_title_and_values_are_read_raw() -> None:
    app = dashboard(Script(until_epoch(12)))
    async with app.run_test(size=(120, 40)) as pilot:
        await twelve(app, pilot)
        pane = app.query_one("#loss", CurvePane)
        raw, reading = picture(app), plain(pane.border_subtitle)
        await pilot.press("plus", "plus")
        assert "smoothed 0.6" in plain(pane.border_title)
        assert "smoothed 0.6" in plain(app.query_one("#quality").border_title)
        assert picture(app) != raw
        assert plain(pane.border_subtitle) == reading
        curves = pane.query_one(Chart)._drawing.curves
        assert [curve.faint for curve in curves] == [True, False, True, False], "the raw ones lie behind"
        await pilot.press("minus")
        assert "smoothed 0.3" in plain(pane.border_title)
        await pilot.press("0")
        assert "smoothed" not in plain(pane.border_title)
        assert picture(app) == raw
        await pilot.press(*["plus"] * 20)
        assert "smoothed 0.95" in plain(pane.border_title)


async def test_a_logarithmic_axis_for_the_losses_only_and_zeros_left_out() -> None:
    told = [
        msgspec.structs.replace(event, train_loss=0.0 if event.epoch == 5 else event.train_loss / 300)
        if isinstance(event, EpochEnded) and event.train_loss is not None
        else event
        for event in until_epoch(12)
    ]
    app = dashboard(Script(told))
    async with app.run_test(size=(200, 60)) as pilot:
        await twelve(app, pilot)
        pane, quality = app.query_one("#loss", CurvePane), app.query_one("#quality", CurvePane)
        before = picture(app, "quality")
        await pilot.press("y")
        assert "log" in plain(pane.border_title)
        assert "log" not in plain(quality.border_title)
        assert picture(app, "quality") == before
        heights = {line[:6].strip(): height for height, line in enumerate(picture(app)) if line[:6].strip()}
        assert heights["0.01"] - heights["0.1"] == pytest.approx(heights["0.001"] - heights["0.01"], abs=1)
        await pilot.press("y")
        assert "log" not in plain(pane.border_title)


async def test_a_click_on_a_chart_looks_at_the_epoch_there_on_every_pane() -> None:
    app = dashboard(Script(until_epoch(12)))
    async with app.run_test(size=(120, 40)) as pilot:
        await twelve(app, pilot)
        assert app.shown is not None
        axis = picture(app)[-1]
        await pilot.click("#loss Chart", offset=(axis.index("4"), 2))
        await pilot.pause()
        assert app.shown.epoch == 4
        assert "epoch 4" in plain(app.query_one("#quality").border_subtitle)
        upright = [line[axis.index("4")] for line in picture(app)[:-2]]
        assert upright.count("●") == 2, "a mark on each curve"
        assert upright.count("│") >= len(upright) - 4
        await pilot.click("#quality Chart", offset=(len(axis) - 3, 2))
        await pilot.pause()
        assert app.shown.epoch == 11, "right of the newest epoch, that is the nearest"
        await pilot.click("#loss Chart", offset=(1, 2))
        await pilot.pause()
        assert app.shown.epoch == 11, "a click on the value axis picks nothing"


async def test_dragging_over_a_chart_scrubs() -> None:
    app = dashboard(Script(recorded(), ended=True))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        axis = picture(app)[-1]
        await pilot.mouse_down("#loss Chart", offset=(axis.index("2"), 2))
        await pilot.hover("#loss Chart", offset=(axis.index("8"), 3))
        await pilot.pause()
        assert app.shown is not None
        assert app.shown.epoch == 8
        await pilot.mouse_up("#loss Chart", offset=(axis.index("8"), 3))
        await pilot.hover("#loss Chart", offset=(axis.index("4"), 3))
        await pilot.pause()
        assert app.shown.epoch == 8


@pytest.mark.parametrize("epochs", [1, 2])
async def test_a_run_of_one_or_two_epochs_can_be_smoothed_and_read(epochs: int) -> None:
    app = dashboard(Script(until_epoch(epochs)))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == epochs)
        await pilot.press("plus", "y", "left")
        assert "epoch" in plain(app.query_one("#loss").border_subtitle)
        assert any("●" in line or "★" in line for line in picture(app))


async def test_epochs_that_end_are_added_to_smoothed_curves_and_a_resumed_run_draws_them_anew() -> None:
    """What a chart keeps of its curves is what it would make of them anew."""
    source = Script(until_epoch(8))
    app = dashboard(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 8)
        await pilot.press("plus", "plus")
        rest = [event for event in recorded() if isinstance(event, EpochEnded) and event.epoch in (8, 9)]
        for event in rest:
            source.put(event)
            await pilot.pause(0.3)  # one by one: each is added to what is there
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 10)
        assert app.shown is not None

        def check() -> None:
            assert app.shown is not None
            ended = [(epoch.epoch, epoch.train_loss) for epoch in app.shown.record.epochs]
            raw, smoothed = app.query_one("#loss Chart", Chart)._drawing.curves[:2]
            assert list(raw.points) == ended
            assert list(smoothed.points) == list(smooth(ended, 0.6))

        check()
        source.put(Resumed(epoch=5))
        source.put(msgspec.structs.replace(rest[0], epoch=5, train_loss=0.9))
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 6)
        check()

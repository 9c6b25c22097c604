"""The comparison of several runs."""

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kept_runs import kept_run
from listed_runs import listed, opened, several
from rich.console import Console
from textual.widgets import Static
from tui_support import SMALL, TALL, TINY, WIDE, dashboard, in_front, keys, recorded, toasts, until

from tests.conftest import short
from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.events import EpochEnded
from xray_tui.runs.compare import ComparedRun, Comparison, Difference, PairedTest
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.index import summaries
from xray_tui.runs.record import RunRecord
from xray_tui.tui.app import XrayApp
from xray_tui.tui.keeping import Keeping
from xray_tui.tui.panes.charts import View
from xray_tui.tui.panes.comparison import MOST_RUNS, ComparedCurves, ComparisonPane, LegendLine
from xray_tui.tui.panes.comparison_words import Look, differences, metrics
from xray_tui.tui.panes.run_rows import RunRows
from xray_tui.tui.themes import Palette

Compare = Callable[..., bool]


def compared(directory: RunDirectory, name: str, better: float) -> ComparedRun:
    """The recorded run, whose rates are that much better."""
    told = [
        msgspec.structs.replace(
            event,
            validation_loss=event.validation_loss - better,
            train_loss=event.train_loss - better,
            accuracy=event.accuracy + better,
            auc=event.auc + better,
        )
        if isinstance(event, EpochEnded)
        else event
        for event in recorded()
    ]
    record = RunRecord.of(told)
    best = record.best_epoch
    assert best is not None
    rates = {rate: getattr(best, rate) for rate in ("accuracy", "auc", "sensitivity", "specificity")}
    intervals = {rate: (value - 0.025, min(1.0, value + 0.02)) for rate, value in rates.items()}
    return ComparedRun(directory, name, record, best, 624, dict(intervals))


def made_up(directories: Sequence[RunDirectory]) -> Comparison:
    names = ["night run", "[red]x[/]", *(directory.name for directory in directories[2:])]
    runs = [
        compared(directory, name, 0.02 * place)
        for place, (directory, name) in enumerate(zip(directories, names, strict=True))
    ]
    sizes = [str(32 * 2**place) for place in range(len(runs))]
    words = "A is right on 12 images that B gets wrong, B on 25 that A gets wrong: B is better."
    return Comparison(
        runs=runs,
        differences=[
            Difference("training.batch_size", sizes, "images per batch"),
            Difference(
                "training.unfrozen.learning_rate",
                ["1e-06", "1e-05", "0.001"][: len(runs)],
                "Adam's learning rate in the stage",
            ),
        ],
        tests=[PairedTest(0, 1, 12, 25, 0.047, words)],
        notes=["Each best epoch was chosen on these same images: the numbers are optimistic."],
    )


def history(**keeping: Any) -> XrayApp:
    """A dashboard whose runs are compared as :func:`made_up` says."""
    folder = keeping.pop("folder", Path("runs"))
    return dashboard(
        settings=config.load({"run.runs_dir": str(folder)}),
        find_runs=lambda _: several(),
        keeping=Keeping(**({"compare": made_up} | keeping)),
    )


def pane(app: XrayApp) -> ComparisonPane:
    return app.query_one(ComparisonPane)


def plain(app: XrayApp) -> str:
    """All words below the curves."""
    words = pane(app).query_one(".words")
    return "\n".join(strip.text.rstrip() for strip in words.render_lines(words.size.region))


async def comparing(pilot: Any, app: XrayApp) -> None:
    await opened(pilot, app, 5)
    await pilot.press("down", "space", "down", "space", "c")
    await until(pilot, lambda: pane(app).comparison is not None)


async def test_the_comparison_says_that_it_is_being_made_and_escape_leaves_it() -> None:
    let_go = threading.Event()

    def slow(directories: Sequence[RunDirectory]) -> Comparison:
        let_go.wait(10)
        return made_up(directories)

    app = history(compare=slow)
    async with app.run_test(size=TALL) as pilot:
        await opened(pilot, app, 5)
        await pilot.press("down", "space", "down", "space", "c")
        assert "Comparing night run, 20261124-100700-resnet50 …" in plain(app)
        await pilot.press("y")
        assert toasts(app) == ["The runs are still being compared."]
        await pilot.press("escape")
        let_go.set()
        await pilot.pause(0.1)
        assert not pane(app).display
        assert isinstance(app.focused, RunRows)
        assert "2 selected" in str(app.query_one(".filter-count", Static).render()), "they stay selected"


async def test_metrics_settings_and_tests_stand_below_the_curves() -> None:
    app = history()
    async with app.run_test(size=TALL) as pilot:
        await comparing(pilot, app)
        words = plain(app)
        assert "● A  night run" in words
        assert "[red]x[/]" in words, "names are no markup"
        assert "86.6–91.1" in words
        assert "training.batch_size" in words
        assert "images per batch" in words
        assert "B is better" in words
        assert "optimistic" in words
        assert isinstance(app.focused, ComparisonPane), "so that keys scroll it"
        await pilot.press("end")
        assert pane(app).scroll_offset.y > 0
        await pilot.press("n")
        assert toasts(app) == ["esc goes back to the runs."]
        await pilot.press("escape")
        assert in_front(app) == "history"
        assert not pane(app).display


async def test_every_curve_ends_in_its_letter_and_has_its_star() -> None:
    app = history()
    async with app.run_test(size=WIDE) as pilot:
        await comparing(pilot, app)
        _, accuracy, *_ = pane(app).query(ComparedCurves)
        drawn = accuracy.query_one("Chart")
        await until(pilot, lambda: drawn.size.height > 10)
        text = "\n".join(strip.text for strip in drawn.render_lines(drawn.size.region))
        assert text.count("A") == text.count("B") == 1
        assert text.count("★") == 2


@pytest.mark.long
async def test_keys_smooth_the_curves_and_turn_the_loss_axis() -> None:
    app = history()
    async with app.run_test(size=WIDE) as pilot:
        await comparing(pilot, app)
        loss, accuracy, *_ = pane(app).query(ComparedCurves)
        await pilot.press("y", "plus")
        assert pane(app).view == View(smoothing=0.3, log=True)
        assert "smoothed 0.3 · log" in str(loss.border_title)
        assert "log" not in str(accuracy.border_title)
        await pilot.press("plus", "minus", "0", "y")
        assert pane(app).view == View()


async def test_the_values_of_an_epoch_are_read_off_by_key_and_by_click() -> None:
    app = history()
    async with app.run_test(size=WIDE) as pilot:
        await comparing(pilot, app)
        loss, *_ = pane(app).query(ComparedCurves)
        assert str(loss.border_subtitle) == ""
        await pilot.press("left", "left")
        assert "epoch 13" in str(loss.border_subtitle)
        assert "A 0.278" in str(loss.border_subtitle)
        assert "B 0.258" in str(loss.border_subtitle)
        await pilot.press("right", "right")
        assert str(loss.border_subtitle) == "", "past the newest none is read off"
        await pilot.click(loss, offset=(8, 5))
        assert "epoch 0" in str(loss.border_subtitle)


@pytest.mark.long
async def test_a_comparison_is_written_as_markdown(tmp_path: Path) -> None:
    app = history(to_markdown=lambda comparison: f"# {len(comparison.runs)} runs\n", folder=tmp_path)
    async with app.run_test(size=TALL) as pilot:
        await comparing(pilot, app)
        assert "export" in keys(app)
        await pilot.press("w", "enter")
        await until(pilot, lambda: any(tmp_path.glob("comparison-*.md")))
        (file,) = tmp_path.glob("comparison-*.md")
        assert file.read_text() == "# 2 runs\n"
        await until(pilot, lambda: toasts(app) == [str(file)])


async def test_runs_that_cannot_be_compared_are_a_toast_and_the_list_is_back() -> None:
    def refuse(directories: Sequence[RunDirectory]) -> Comparison:
        raise UserError("runs/x/events.jsonl, line 3, is not an event")

    app = history(compare=refuse)
    async with app.run_test(size=TALL) as pilot:
        await opened(pilot, app, 5)
        await pilot.press("space", "down", "space", "c")
        await until(pilot, lambda: toasts(app) == ["runs/x/events.jsonl, line 3, is not an event"])
        assert not pane(app).display


async def test_more_runs_than_colours_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_RUNS == 12
    monkeypatch.setattr("xray_tui.tui.tabs.history.MOST_RUNS", 2)
    app = history()
    async with app.run_test(size=TALL) as pilot:
        await opened(pilot, app, 5)
        await pilot.press("space", "down", "space", "down", "space", "c")
        assert toasts(app) == ["At most 2 runs can be compared."]


async def test_two_real_runs_with_mcnemar_s_test(tmp_path: Path) -> None:
    kept_run(tmp_path, seed=1, images=30)
    kept_run(tmp_path, seed=1, images=30, epochs=4)
    app = dashboard(settings=config.load({"run.runs_dir": str(tmp_path)}), find_runs=summaries)
    async with app.run_test(size=TALL) as pilot:
        await opened(pilot, app, 2)
        await pilot.press("space", "down", "space", "c")
        await until(pilot, lambda: pane(app).comparison is not None)
        assert "A" in plain(app)
        comparison = pane(app).comparison
        assert comparison is not None
        assert len(comparison.tests) == 1
        assert comparison.tests[0].words.split()[-1] in plain(app)


@pytest.mark.parametrize("width", [36, 60, 76, 115, 150, 195])
def test_no_line_is_wider_than_the_room_and_the_best_values_are_bold(width: int) -> None:
    directories = [listed(number).directory for number in (1, 2, 3)]
    comparison = made_up(directories)
    palette = Palette.of(dashboard())
    look = Look(["#ff0000", "#00ff00", "#0000ff"], palette, width)
    console = Console(width=width)
    for table in (metrics(comparison, look), differences(comparison, look)):
        lines = console.render_lines(table, console.options.update(width=width), pad=False)
        texts = ["".join(segment.text for segment in line) for line in lines]
        assert max(len(text.rstrip()) for text in texts) <= width
    bold = [
        segment.text.strip()
        for line in console.render_lines(metrics(comparison, look))
        for segment in line
        if segment.style and segment.style.bold
    ]
    assert bold == ["93.1 %", "0.994", "0.238"]


@pytest.mark.parametrize("size", short([SMALL, TINY, TALL, WIDE], 2), ids=["small", "tiny", "tall", "wide"])
async def test_all_of_a_comparison_can_be_reached_at_every_size(size: tuple[int, int]) -> None:
    app = history()
    async with app.run_test(size=size) as pilot:
        await comparing(pilot, app)
        for curves in pane(app).query(ComparedCurves):
            assert curves.size.width >= 20
            assert curves.size.height >= 8
            assert curves.virtual_region.right <= pane(app).size.width
        words = pane(app).query_one(".words")
        assert words.virtual_region.bottom <= pane(app).virtual_size.height
        assert "optimistic" in " ".join(plain(app).split())


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=["wide", "small"])
def test_a_comparison_looks(snap_compare: Compare, size: tuple[int, int]) -> None:
    app = history()

    async def run(pilot: Any) -> None:
        await comparing(pilot, app)
        chart = pane(app).query("Chart").first()
        await until(pilot, lambda: chart.size.height > 5)

    assert snap_compare(app, terminal_size=size, run_before=run)


async def test_names_that_differ_at_their_ends_do_so_when_they_are_cut() -> None:
    def alike(directories: Sequence[RunDirectory]) -> Comparison:
        names = [
            f"densenet121 at 512 px with mixup and label smoothing, {seed}" for seed in ("seed 1", "seed 2")
        ]
        runs = [compared(one, name, 0.0) for one, name in zip(directories, names, strict=True)]
        return Comparison(runs=runs, differences=[], tests=[], notes=[])

    app = history(compare=alike)
    async with app.run_test(size=SMALL) as pilot:
        await comparing(pilot, app)
        legend = str(pane(app).query_one(LegendLine).render())
        for words in (legend, plain(app)):
            assert re.search(r"A  densenet.*?….*?seed 1", words)
            assert re.search(r"B  densenet.*?….*?seed 2", words)


async def test_runs_of_one_day_and_backbone_are_told_apart_by_their_time() -> None:
    def alike(directories: Sequence[RunDirectory]) -> Comparison:
        names = [f"20261128-{at}-efficientnet_lite0" for at in ("151200", "162300")]
        runs = [compared(one, name, 0.0) for one, name in zip(directories, names, strict=True)]
        return Comparison(runs=runs, differences=[], tests=[], notes=[])

    app = history(compare=alike)
    async with app.run_test(size=TALL) as pilot:
        await comparing(pilot, app)
        legend, words = str(pane(app).query_one(LegendLine).render()), plain(app)
        for at in ("151200", "162300"):
            assert at in legend
            assert at in words


async def test_a_description_ends_in_an_ellipsis_only_where_it_is_cut() -> None:
    long = "images per batch, as many as the memory has room for, " * 4

    def one_is_long(directories: Sequence[RunDirectory]) -> Comparison:
        comparison = made_up(directories)
        first, second = comparison.differences
        second = replace(second, values=["1", "2"], description=long)  # narrower than a run's letter
        return replace(comparison, differences=[first, second])

    app = history(compare=one_is_long)
    async with app.run_test(size=WIDE) as pilot:
        await comparing(pilot, app)
        lines = plain(app).splitlines()
        short, cut = (
            next(line for line in lines if path in line) for path in ("batch_size", "learning_rate")
        )
        assert short.endswith("images per batch")
        assert cut.endswith("…")
        assert len(cut) == pane(app).query_one(".words").size.width, "as much of it as there is room for"

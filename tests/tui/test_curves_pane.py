"""ROC, precision and recall, calibration on the Mistakes tab."""

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kept_runs import KeptRun, kept_run
from test_mistakes_tab import to_mistakes as _to_mistakes
from textual.content import Content
from textual.pilot import Pilot
from tui_support import Script, dashboard, toasts, until

from xray_tui import metrics
from xray_tui.runs.predictions import Images
from xray_tui.tui.app import XrayApp
from xray_tui.tui.curves import SplitCurves, nearest_threshold
from xray_tui.tui.panes.curves import CurvesPane
from xray_tui.tui.panes.film import FilmPane
from xray_tui.tui.panes.slider import Slider

EPOCHS, LAST = 4, 3
"""As `to_mistakes` waits for."""


@pytest.fixture
def run(tmp_path: Path) -> KeptRun:
    return kept_run(tmp_path, epochs=EPOCHS, images=80, test=60)


def opened(run: KeptRun, **look: object) -> XrayApp:
    source = Script(run.told, ended=True)
    source.directory = run.directory
    return dashboard(source, **look)


def painted(app: XrayApp) -> list[str]:
    """The rows of the pane, without its border."""
    pane = app.screen_stack[0].query_one(CurvesPane)
    return [pane.render_line(y).text for y in range(pane.size.height)]


def said(app: XrayApp) -> str:
    """All that stands in the pane and on its border, in one line."""
    pane = app.screen_stack[0].query_one(CurvesPane)
    border = [
        Content.from_markup(str(words or "")).plain for words in (pane.border_title, pane.border_subtitle)
    ]
    return re.sub(r"\s+", " ", " ".join([*border, *painted(app)]))


def where(app: XrayApp, sign: str) -> list[tuple[int, int]]:
    """Columns and rows where a sign is seen."""
    return [(x, y) for y, row in enumerate(painted(app)) for x, one in enumerate(row) if one == sign]


def on_roc(app: XrayApp) -> tuple[int, int]:
    """Where the knob is on the ROC curve: the chart at the top left."""
    return min(where(app, "●"))


async def to_curves(pilot: Pilot[int], app: XrayApp, *, test: bool = True) -> None:
    await _to_mistakes(pilot, app)
    await pilot.press("c")
    await until(pilot, lambda: "AUC" in said(app) and (not test or "━ test" in said(app)))


def scores_of(run: KeptRun, epoch: int = LAST) -> tuple[np.ndarray, np.ndarray]:
    return run.probabilities[epoch, :, 1], run.actual == 1


async def test_the_curves_come_with_their_numbers_in_place_of_the_radiograph(run: KeptRun) -> None:
    app = opened(run)
    async with app.run_test(size=(140, 44)) as pilot:
        await to_curves(pilot, app)
        assert not app.query_one(FilmPane).display
        scores, is_positive = scores_of(run)
        expected = {
            "AUC": metrics.auc(scores, is_positive),
            "AP": metrics.average_precision(scores, is_positive),
        }
        for name, value in expected.items():
            assert re.search(rf"val\S* {name} {value:.3f} \(0\.\d{{3}}–[01]\.\d{{3}}\)", said(app)), name
        assert f"ECE {metrics.calibration_error(scores, is_positive):.3f}" in said(app)
        assert "ROC sensitivity ↑" in said(app)
        assert "1 − specificity →" in said(app)
        assert f"{100 * metrics.sensitivity_at(scores, is_positive, 0.95):.1f} %" in said(app)
        assert "80 images" in said(app)
        await pilot.press("c")
        assert app.query_one(FilmPane).display
        assert not app.query_one(CurvesPane).display


async def test_the_threshold_moves_along_the_curve(run: KeptRun) -> None:
    app = opened(run)
    async with app.run_test(size=(140, 44)) as pilot:
        await to_curves(pilot, app)

        seen = [on_roc(app)]
        for _ in range(4):
            for _ in range(6):
                await pilot.press("right_square_bracket")
            seen.append(on_roc(app))
        assert len(set(seen)) > 2
        assert seen == sorted(seen, key=lambda place: (-place[0], place[1])), "fewer alarms, fewer hits"
        await pilot.press("backspace")
        assert on_roc(app) == seen[0]


async def test_a_click_on_the_roc_curve_brings_the_threshold_there(run: KeptRun) -> None:
    app = opened(run)
    async with app.run_test(size=(140, 44)) as pilot:
        await to_curves(pilot, app)
        for _ in range(20):
            await pilot.press("left_square_bracket")
        there = on_roc(app)
        await pilot.press("backspace")
        assert on_roc(app) != there
        await pilot.click(CurvesPane, offset=(there[0] + 2, there[1] + 1))  # beyond border and padding
        await pilot.pause()
        assert abs(on_roc(app)[0] - there[0]) <= 1
        assert abs(on_roc(app)[1] - there[1]) <= 1
        title = Content.from_markup(str(app.query_one("#threshold").border_title)).plain
        assert "0.50" not in title
        await pilot.click(CurvesPane, offset=(3, 2))  # the words above it move nothing
        assert Content.from_markup(str(app.query_one("#threshold").border_title)).plain == title


@pytest.mark.long
async def test_dragging_over_calibration_moves_the_threshold(run: KeptRun) -> None:
    app = opened(run)
    async with app.run_test(size=(140, 44)) as pilot:
        await to_curves(pilot, app)
        (x, y), *_ = where(app, "┊")
        await pilot.mouse_down(CurvesPane, offset=(x + 2, y + 3))
        await pilot.hover(CurvesPane, offset=(x + 12, y + 3))
        await pilot.mouse_up(CurvesPane, offset=(x + 12, y + 3))
        assert where(app, "┊")[0] == (x + 10, y)


async def test_the_operating_point_is_marked_where_it_was_chosen(run: KeptRun) -> None:
    app = opened(run)
    async with app.run_test(size=(140, 44)) as pilot:
        await to_curves(pilot, app)
        assert "◆ the run's" in said(app)
        # Of validation on two charts and in words, of test likewise; where they meet one covers the other.
        assert len(where(app, "◆")) >= 4
        chosen = len(where(app, "◆"))
        await pilot.press("left")
        await until(pilot, lambda: f"epoch {LAST - 1}" in said(app))
        assert len(where(app, "◆")) < chosen, "it was chosen with another epoch's weights"
        assert f"━ test, epoch {LAST}, calibrated" in said(app)


async def test_measuring_is_off_the_ui_thread_and_done_once_an_epoch(
    run: KeptRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    of = SplitCurves.of

    def noted(images: Images, *rest: Any) -> SplitCurves:
        threads.append(threading.get_ident())
        return of(images, *rest)

    monkeypatch.setattr(SplitCurves, "of", noted)
    app = opened(run)
    async with app.run_test(size=(140, 44)) as pilot:
        await _to_mistakes(pilot, app)
        assert threads == [], "nobody looks at them"
        await pilot.press("c")
        await until(pilot, lambda: "━ test" in said(app))
        await pilot.press("right_square_bracket", "c", "c", "left")
        await until(pilot, lambda: f"· epoch {LAST - 1}" in said(app))
        await pilot.press("right")
        await until(pilot, lambda: f"· epoch {LAST}" in said(app))
        assert len(threads) == 3, "two epochs and test"
        assert threading.get_ident() not in threads


async def test_without_test_there_is_one_curve(tmp_path: Path) -> None:
    app = opened(kept_run(tmp_path, epochs=EPOCHS))
    async with app.run_test(size=(140, 44)) as pilot:
        await to_curves(pilot, app, test=False)
        assert "test" not in said(app).replace("chosen on test", "")
        assert "◆" not in said(app)


@pytest.mark.long
async def test_test_predictions_that_are_gone_are_told(run: KeptRun) -> None:
    run.directory.test_predictions.unlink()
    app = opened(run)
    async with app.run_test(size=(200, 50)) as pilot:
        await to_curves(pilot, app, test=False)
        await until(pilot, lambda: "test: The predictions of test are damaged." in said(app))
        assert "AUC" in said(app)


@pytest.mark.parametrize(
    ("size", "at_once"), [((80, 24), 2), pytest.param((40, 20), 1, marks=pytest.mark.long)]
)
async def test_where_it_is_small_the_charts_take_turns(
    run: KeptRun, size: tuple[int, int], at_once: int
) -> None:
    app = opened(run)
    titles = ["ROC", "precision–recall", "calibration"]

    def seen() -> list[str]:
        return [title for title in titles if title in said(app)]

    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        await pilot.press("2")
        await until(pilot, lambda: bool(app.query_one("#list-pane").region.area))
        await pilot.press("c")
        await until(pilot, lambda: "AUC" in said(app))
        for first in range(len(titles) - at_once + 1):
            assert seen() == titles[first : first + at_once]
            await pilot.press("c")
        assert not app.query_one(CurvesPane).display
        await pilot.press("shift+tab")
        assert app.query_one(CurvesPane).display, "the last turn"
        assert app.focused is app.query_one(CurvesPane)
        assert "sens" in said(app)
        before = where(app, "●")
        for _ in range(30):
            await pilot.press("left_square_bracket")
        assert where(app, "●") != before


async def test_grad_cam_brings_the_radiograph_back(run: KeptRun) -> None:
    app = opened(run)
    async with app.run_test(size=(140, 44)) as pilot:
        await to_curves(pilot, app)
        await pilot.press("g")
        assert app.query_one(FilmPane).display


async def test_without_predictions_there_are_no_curves() -> None:
    app = dashboard()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("2", "c")
        assert toasts(app) == ["No mistakes are in sight."]


@pytest.mark.long
@pytest.mark.parametrize("look", [{"ascii_only": True}, {}])
async def test_without_colours_the_curves_have_letters(
    run: KeptRun, look: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not look:
        monkeypatch.setenv("NO_COLOR", "1")
    app = opened(run, **look)
    async with app.run_test(size=(140, 44)) as pilot:
        await to_curves(pilot, app)
        rows = painted(app)
        plot = [row[5 : len(row) // 2] for row in rows[4 : len(rows) // 2 - 2]]
        assert any("v" in row for row in plot)
        assert any("t" in row for row in plot)


def curves_of(scores: Sequence[float], positive: Sequence[int]) -> SplitCurves:
    p = np.array(scores, np.float32)
    labels = np.array(positive, np.int64)
    images = Images([f"{n}.jpeg" for n in range(len(p))], labels, [str(n) for n in range(len(p))])
    return SplitCurves.of(images, np.stack([1 - p, p], 1), np.ones(len(p), np.float32), 1)


def test_the_nearest_threshold() -> None:
    curve = curves_of([0.9, 0.8, 0.7, 0.3], [1, 0, 1, 0]).roc
    assert curve is not None
    assert nearest_threshold(curve, 0.0, 0.5) == pytest.approx(0.9)
    assert nearest_threshold(curve, 0.45, 1.0) == pytest.approx(0.7)
    assert nearest_threshold(curve, 0.0, 0.0) == 1.0, "calls none"


def test_precision_follows_from_the_rates_and_the_share_of_positives() -> None:
    curves = curves_of([0.9, 0.8, 0.7, 0.3], [1, 0, 1, 0])
    assert curves.best is not None
    assert curves.best == (0.5, 1.0, 1.0)
    assert curves.precision_at(1.0, 0.5) == pytest.approx(2 / 3)
    assert curves.precision_at(0.0, 1.0) is None
    assert curves.precision_at(None, 1.0) is None


@pytest.mark.parametrize(
    ("scores", "positive"),
    [
        ([0.2, 0.9], [1, 1]),
        ([float("nan"), 0.4], [0, 1]),
        pytest.param([], [], marks=pytest.mark.long),
        pytest.param([0.5] * 4, [0, 1] * 2, marks=pytest.mark.long),
    ],
)
async def test_degenerate_predictions_are_drawn_as_far_as_they_go(
    tmp_path: Path, scores: list[float], positive: list[int]
) -> None:
    run = kept_run(tmp_path, epochs=EPOCHS)
    curves = curves_of(scores, positive)
    app = opened(run)
    async with app.run_test(size=(140, 44)) as pilot:
        await to_curves(pilot, app, test=False)
        pane = app.query_one(CurvesPane)
        ((key, (found, _)),) = pane._measured.items()
        pane._measured[key] = (found, curves)
        pane._draw_anew()
        await pilot.pause()
        assert "ROC" in said(app)
        assert ("AUC –" in said(app)) == (curves.roc is None)


async def test_the_slider_and_the_curves_say_the_same(run: KeptRun) -> None:
    app = opened(run)
    async with app.run_test(size=(140, 44)) as pilot:
        await to_curves(pilot, app)
        slider = app.query_one(Slider)
        await pilot.click(Slider, offset=(slider.size.width - 1, 4))
        scores, is_positive = scores_of(run)
        assert not (scores >= 1).any()
        assert f"{100 * is_positive.mean():.1f} % PNEUMONIA" in said(app)
        assert re.search(r"● sens\S* 0\.0 % spec\S* 100\.0 %", said(app))


async def test_words_beside_the_charts_are_whole_or_not_there(
    run: KeptRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    longest = "100.0 %"
    monkeypatch.setattr("xray_tui.tui.panes.curve_drawings.percent", lambda share, digits=1: longest)
    app = opened(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await to_curves(pilot, app)
        for columns in range(120, 132):
            await pilot.resize_terminal(columns, 40)
            rows = [row.rstrip() for row in painted(app)]
            rates = [row[row.index(sign) :] for row in rows for sign in "●▲◆" if f"{sign} sens" in row]
            whole = r"\S sens\S* +\S+ %  spec\S* +\S+ %(  (val|test))?"
            assert rates
            assert all(re.fullmatch(whole, row) for row in rates), rates
            legends = [row[row.index("● threshold") :] for row in rows if "● threshold" in row]
            whole = r"● threshold(  ▲ best)?(  ◆ (the run's|operating point))?"
            assert all(re.fullmatch(whole, row) for row in legends), legends

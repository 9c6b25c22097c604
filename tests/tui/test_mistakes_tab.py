"""The Mistakes tab: list, filter, threshold, Grad-CAM, and what it says where there is nothing."""

import csv
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from kept_runs import KeptRun, kept_run
from textual.content import Content
from textual.pilot import Pilot
from tui_support import Script, dashboard, keys, recorded, toasts, until

from tests.test_events import operating_point
from xray_tui.engine.explanation import Explanation
from xray_tui.errors import UserError
from xray_tui.events import CheckpointSaved, EpochEnded, Event
from xray_tui.runs.directory import RunDirectory
from xray_tui.tui.app import XrayApp
from xray_tui.tui.panes.film import Explain, FilmPane
from xray_tui.tui.panes.filter_line import FilterInput
from xray_tui.tui.panes.halfblocks import HalfBlocks
from xray_tui.tui.panes.mistake_list import MistakeRows
from xray_tui.tui.panes.picture import RadiographView
from xray_tui.tui.panes.rates import RatesPane
from xray_tui.tui.panes.slider import Slider
from xray_tui.tui.panes.verdict import VerdictPane
from xray_tui.tui.screens.film import FilmScreen

CLASSES = ("NORMAL", "PNEUMONIA")
EPOCHS, LAST = 4, 3


@pytest.fixture
def run(tmp_path: Path) -> KeptRun:
    return kept_run(tmp_path, epochs=EPOCHS)


def told_by(run: KeptRun, events: Sequence[Event] | None = None, *, ended: bool = True) -> Script:
    script = Script(run.told if events is None else events, ended=ended)
    script.directory = run.directory
    return script


class Explains:
    """Stands in for the engine: a hot corner, or what a test wants; notes what it was asked and where."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int | None]] = []
        self.threads: set[int] = set()
        self.let_go = threading.Event()
        self.let_go.set()
        self.silent = False
        self.trouble = ""

    def __call__(self, directory: RunDirectory, classes: int) -> Explain:
        def explain(radiograph: Path, epoch: int | None) -> Explanation:
            self.asked.append((radiograph.name, epoch))
            self.threads.add(threading.get_ident())
            self.let_go.wait(10)
            if self.trouble:
                raise UserError(self.trouble)
            heat = np.zeros((2, 2), np.float32)
            heat[0, 0] = 0.0 if self.silent else 1.0
            likely = np.array([0.25, 0.75], np.float32)
            return Explanation(heat, (0.1, 0.1, 0.9, 0.9), 1, likely, 3)

        return explain


def opened(source: Script, **parts: object) -> XrayApp:
    return dashboard(source, **({"explain": Explains()} | parts))


def listed(app: XrayApp) -> list[str]:
    """The names in the list, as far as they are on the screen."""
    rows = app.screen_stack[0].query_one(MistakeRows)
    lines = [rows.render_line(y).text for y in range(1, min(rows.count + 1, rows.size.height))]
    return [line.replace("✓", "").split()[0] for line in lines]


def under_cursor(app: XrayApp) -> str:
    rows = app.screen_stack[0].query_one(MistakeRows)
    assert rows.cursor is not None
    return rows.render_line(1 + rows.cursor - rows.scroll_offset.y).text


def title(app: XrayApp, name: str) -> str:
    return _plain(app.screen_stack[0].query_one(name).border_title)


def subtitle(app: XrayApp, name: str) -> str:
    return _plain(app.screen_stack[0].query_one(name).border_subtitle)


def _plain(markup: object) -> str:
    return Content.from_markup(str(markup or "")).plain


def words(app: XrayApp, kind: type) -> str:
    return str(app.screen_stack[0].query_one(kind).render())


async def to_mistakes(pilot: Pilot[int], app: XrayApp, epoch: int = LAST) -> None:
    await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
    await pilot.press("2")
    await until(
        pilot, lambda: f"epoch {epoch} " in title(app, "#list-pane") and f"/{EPOCHS}" in under_cursor(app)
    )


def by_loss(run: KeptRun, epoch: int) -> list[str]:
    """The mistakes of an epoch, the worst first."""
    of_actual = run.probabilities[epoch][np.arange(len(run.actual)), run.actual]
    return [f"film-{image:04}" for image in sorted(run.wrong(epoch), key=lambda image: of_actual[image])]


async def test_all_mistakes_of_the_newest_epoch_worst_first(run: KeptRun) -> None:
    app = opened(told_by(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await to_mistakes(pilot, app)
        wrong = by_loss(run, LAST)
        assert listed(app) == wrong
        assert f"{len(wrong)} of 40" in title(app, "#list-pane")
        worst = int(wrong[0][-4:])
        assert f"film-{worst:04}.jpeg" in title(app, "#film")
        verdict = words(app, VerdictPane)
        actual = CLASSES[run.actual[worst]]
        assert f"{actual} called {CLASSES[1 - run.actual[worst]]}" in verdict
        for probability in run.probabilities[LAST, worst]:
            assert f"{100 * probability:.1f} %" in verdict
        times = sum(worst in run.wrong(epoch) for epoch in range(EPOCHS))
        assert f"wrong in {'all 4' if times == EPOCHS else f'{times} of 4'} epochs" in verdict
        assert f"patient{worst}" in subtitle(app, "#verdict")


async def test_in_how_many_of_a_hundred_epochs_is_not_cut(tmp_path: Path) -> None:
    run = kept_run(tmp_path, epochs=120)
    app = opened(told_by(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        await pilot.press("2")
        await until(pilot, lambda: "epoch 119 " in title(app, "#list-pane"))
        worst = int(by_loss(run, 119)[0][-4:])
        times = sum(worst in run.wrong(epoch) for epoch in range(120))
        assert times >= 100
        await until(pilot, lambda: under_cursor(app).split()[-1] == str(times))


async def test_arrows_go_through_the_epochs_and_the_image_stays(run: KeptRun) -> None:
    first_wrong_last_right = next(image for image in run.wrong(0) if image not in run.wrong(LAST))
    app = opened(told_by(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await to_mistakes(pilot, app)
        for epoch in range(LAST - 1, -1, -1):
            await pilot.press("left")
            await until(pilot, lambda epoch=epoch: f"epoch {epoch} " in title(app, "#list-pane"))
        name = f"film-{first_wrong_last_right:04}"
        await until(pilot, lambda: bool(listed(app)))
        for _ in range(40):
            if name in under_cursor(app):
                break
            await pilot.press("down")
        assert name in under_cursor(app)
        for epoch in range(1, LAST + 1):
            await pilot.press("right")
            await until(pilot, lambda epoch=epoch: f"epoch {epoch} " in title(app, "#list-pane"))
            assert name in under_cursor(app)
            assert ("✓" in under_cursor(app)) == (first_wrong_last_right not in run.wrong(epoch))
        assert "called right" in words(app, VerdictPane)
        assert f"{len(run.wrong(LAST))} of 40" in title(app, "#list-pane")


async def test_directions_and_orders_by_key_and_by_a_click_on_the_head(run: KeptRun) -> None:
    app = opened(told_by(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await to_mistakes(pilot, app)
        missed = {f"film-{image:04}" for image in run.wrong(LAST) if run.actual[image] == 1}
        alarms = {f"film-{image:04}" for image in run.wrong(LAST) if run.actual[image] == 0}
        assert missed
        assert alarms
        for found, said in ((missed, "missed only"), (alarms, "false alarms only"), (missed | alarms, "")):
            await pilot.press("f")
            assert set(listed(app)) == found
            assert subtitle(app, "#list-pane") == said
        await pilot.press("O")
        assert listed(app) == by_loss(run, LAST)[::-1]
        await pilot.press("o")
        sure = {f"film-{image:04}": run.probabilities[LAST, image].max() for image in run.wrong(LAST)}
        assert listed(app) == sorted(sure, key=lambda name: -sure[name])
        await pilot.click(MistakeRows, offset=(2, 0))
        assert listed(app) == sorted(sure)
        await pilot.click(MistakeRows, offset=(2, 0))
        assert listed(app) == sorted(sure, reverse=True)


async def test_the_filter_is_previewed_keeps_the_last_good_list_and_escape_clears_it(run: KeptRun) -> None:
    app = opened(told_by(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await to_mistakes(pilot, app)
        everything = listed(app)
        sure = [name for name in everything if run.probabilities[LAST, int(name[-4:])].max() >= 0.6]
        assert 0 < len(sure) < len(everything)
        await pilot.press("slash", *"p>=0.6")
        assert isinstance(app.focused, FilterInput)
        assert listed(app) == sure
        await pilot.press(*" x>3")
        assert listed(app) != everything
        assert "only p, loss and wrong compare" in str(app.query_one(".filter-hint").render())
        shown = listed(app)
        await pilot.press("backspace", "backspace", "backspace", "enter")
        assert isinstance(app.focused, MistakeRows)
        assert "filter" in keys(app)
        await pilot.press("escape")
        assert listed(app) == everything
        await pilot.press("slash", *"nobody")
        assert "No mistake matches" in str(app.query_one("#none-listed").render())
        await pilot.press("escape")
        assert listed(app) == everything
        assert shown != everything


async def test_the_threshold_moves_everything_together_and_backspace_resets(run: KeptRun) -> None:
    app = opened(told_by(run))
    positive = run.probabilities[LAST, :, 1]

    def expected(threshold: float) -> tuple[set[str], str]:
        called = positive >= np.float32(threshold)
        wrong = {f"film-{image:04}" for image in np.flatnonzero(called != (run.actual == 1))}
        return wrong, f"{100 * (called & (run.actual == 1)).sum() / (run.actual == 1).sum():.1f} %"

    async with app.run_test(size=(120, 40)) as pilot:
        await to_mistakes(pilot, app)
        assert "from p ≥ 0.50" in title(app, "#threshold")
        assert "view only" in subtitle(app, "#threshold")
        own = words(app, RatesPane)
        looked_at = listed(app)[0]
        for _ in range(5):
            await pilot.press("left_square_bracket")
            await pilot.pause(0.2)  # slower than a key held down
        wrong, sensitivity = expected(0.45)
        assert "from p ≥ 0.45" in title(app, "#threshold")
        assert set(listed(app)) == wrong | {looked_at}
        assert sensitivity in words(app, RatesPane)
        await pilot.press("right_square_bracket")
        assert "from p ≥ 0.46" in title(app, "#threshold")
        await pilot.press("backspace")
        assert words(app, RatesPane) == own
        assert "from p ≥ 0.50" in title(app, "#threshold")
        await pilot.press("backspace")
        assert toasts(app) == ["The threshold is where the run has it."]
        # by mouse
        slider = app.query_one(Slider)
        await pilot.click(Slider, offset=(slider.size.width - 1, 4))
        assert "from p ≥ 1.00" in title(app, "#threshold")
        assert "0.0 %" in words(app, RatesPane)
        await pilot.press("right_square_bracket")
        assert toasts(app)[-1] == "The threshold is at its end."
        await pilot.mouse_down(Slider, offset=(slider.size.width - 1, 4))
        await pilot.hover(Slider, offset=(0, 4))
        await pilot.mouse_up(Slider, offset=(0, 4))
        assert "from p ≥ 0.00" in title(app, "#threshold")
        await pilot.hover(Slider, offset=(slider.size.width // 2, 4))
        assert "from p ≥ 0.00" in title(app, "#threshold"), "the button is up"


async def test_the_threshold_begins_at_the_operating_point(run: KeptRun) -> None:
    point = operating_point(epoch=LAST, threshold=0.3)
    app = opened(told_by(run, [*run.told[:-1], point, run.told[-1]]))
    async with app.run_test(size=(120, 40)) as pilot:
        await to_mistakes(pilot, app)
        called = run.probabilities[LAST, :, 1] >= np.float32(0.3)
        wrong = {f"film-{image:04}" for image in np.flatnonzero(called != (run.actual == 1))}
        assert set(listed(app)) == wrong
        assert "from p ≥ 0.30" in title(app, "#threshold")
        assert "operating point is 0.30" in subtitle(app, "#threshold")
        await pilot.press("backspace")
        assert toasts(app) == ["The threshold is where the run has it."]
        await pilot.press("left_square_bracket")
        assert "from p ≥ 0.29" in title(app, "#threshold")
        await pilot.press("backspace")
        assert "from p ≥ 0.30" in title(app, "#threshold")


async def test_an_operating_point_chosen_while_one_reads_is_taken_over(run: KeptRun) -> None:
    """Of calibrated probabilities, which those of the epochs are not."""
    point = operating_point(epoch=LAST, threshold=0.4, temperature=2.0)
    app = opened(source := told_by(run, run.told[:-1], ended=False))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == EPOCHS)
        await pilot.press("2")
        await until(pilot, lambda: "from p ≥ 0.50" in title(app, "#threshold"))
        assert "own numbers are at 0.5" in subtitle(app, "#threshold")
        source.put(point)
        await until(pilot, lambda: "from p ≥ 0.3077" in title(app, "#threshold"))
        assert "operating point is 0.40, calibrated: 0.3077 here" in subtitle(app, "#threshold")
        called = run.probabilities[LAST, :, 1] >= np.float32(0.3077)
        assert f"{(called != (run.actual == 1)).sum()} of 40" in title(app, "#list-pane")


@pytest.mark.parametrize(("own", "shown"), [(8.979e-05, "0.00008979"), (0.99999, "0.99999")])
async def test_an_operating_point_at_an_end_is_not_rounded_to_it(
    run: KeptRun, own: float, shown: str
) -> None:
    point = operating_point(epoch=LAST, threshold=own)
    app = opened(told_by(run, [*run.told[:-1], point, run.told[-1]]))
    async with app.run_test(size=(120, 40)) as pilot:
        await to_mistakes(pilot, app)
        assert f"from p ≥ {shown}" in title(app, "#threshold")
        assert f"operating point is {shown}" in subtitle(app, "#threshold")


async def test_grad_cam_is_laid_over_off_the_ui_thread_and_asked_once(run: KeptRun) -> None:
    explains = Explains()
    app = opened(told_by(run), explain=explains)
    async with app.run_test(size=(160, 44)) as pilot:
        await to_mistakes(pilot, app)
        view = app.query_one(FilmPane).query_one(RadiographView)
        await until(pilot, lambda: getattr(view.children[0], "image", None) is not None)

        def coloured() -> bool:
            image = view.query_one(HalfBlocks).image
            assert image is not None
            pixels = np.asarray(image.convert("RGB")).astype(int)
            return bool((pixels.max(2) - pixels.min(2)).max() > 30)

        assert not coloured()
        explains.let_go.clear()
        await pilot.press("g")
        assert "looking …" in subtitle(app, "#film")
        explains.let_go.set()
        await until(pilot, coloured)
        assert "what speaks for PNEUMONIA 75 %, weights of epoch 3" in subtitle(app, "#film")
        assert threading.get_ident() not in explains.threads
        first = listed(app)[0]
        assert explains.asked == [(f"{first}.jpeg", LAST)]
        await pilot.press("g")
        await until(pilot, lambda: not coloured())
        assert subtitle(app, "#film") == ""
        await pilot.press("down", "g")
        await until(pilot, coloured)
        await pilot.press("up")
        await until(pilot, coloured)
        assert len(explains.asked) == 2, "what was asked is kept"


async def test_grad_cam_says_where_there_is_none(run: KeptRun) -> None:
    explains = Explains()
    explains.silent = True
    app = opened(told_by(run), explain=explains)
    async with app.run_test(size=(160, 44)) as pilot:
        await to_mistakes(pilot, app)
        await pilot.press("g")
        await until(pilot, lambda: "no place speaks for PNEUMONIA 75 %" in subtitle(app, "#film"))
        explains.trouble = "the checkpoint [red]x\x1b[31m cannot be read"
        await pilot.press("down")
        await until(pilot, lambda: "[red]x␛[31m cannot be read" in subtitle(app, "#film"))


async def test_grad_cam_waits_for_weights(run: KeptRun) -> None:
    unsaved = [event for event in run.told if not isinstance(event, CheckpointSaved)]
    app = opened(told_by(run, unsaved))
    async with app.run_test(size=(120, 40)) as pilot:
        await to_mistakes(pilot, app)
        assert "Grad-CAM" not in keys(app)
        await pilot.press("g")
        assert toasts(app) == ["No weights are kept yet: Grad-CAM asks those of the best epoch."]


async def test_enter_shows_the_radiograph_as_large_as_the_screen(run: KeptRun) -> None:
    app = opened(told_by(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await to_mistakes(pilot, app)
        first, second = listed(app)[:2]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, FilmScreen))
        frame = app.screen.query_one("#large-film")
        await until(pilot, lambda: first in _plain(frame.border_title))
        assert frame.size.height > 35
        await pilot.press("g")
        await until(pilot, lambda: "weights of epoch 3" in _plain(frame.border_subtitle))
        await pilot.press("down")
        await until(pilot, lambda: second in _plain(frame.border_title))
        await pilot.press("left")
        await until(pilot, lambda: f"epoch {LAST - 1} " in title(app, "#list-pane"))
        await pilot.press("escape")
        assert not isinstance(app.screen, FilmScreen)
        assert second in under_cursor(app)
        await pilot.click(FilmPane)
        await until(pilot, lambda: isinstance(app.screen, FilmScreen))


async def test_w_writes_the_list_as_it_is_shown(run: KeptRun) -> None:
    app = opened(told_by(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await to_mistakes(pilot, app)
        await pilot.press("f", "w")
        file = run.directory.path / f"mistakes-epoch-{LAST:04}.csv"
        await until(pilot, lambda: bool(toasts(app)))
        with file.open(newline="", encoding="utf-8") as opened_file:
            rows = list(csv.DictReader(opened_file))
        assert [Path(row["path"]).stem for row in rows] == listed(app)
        assert {row["actual"] for row in rows} == {"PNEUMONIA"}
        assert {row["predicted"] for row in rows} == {"NORMAL"}
        assert toasts(app) == [f"{len(rows)} mistake{'s' if len(rows) > 1 else ''} written to\n{file}"]
        await pilot.press("slash", *"nobody", "enter", "w")
        await until(pilot, lambda: len(toasts(app)) == 2)
        assert toasts(app)[1] == "No mistake is listed: there is nothing to write."


async def test_a_new_epoch_of_a_live_run_appears(run: KeptRun) -> None:
    last = next(
        at for at, event in enumerate(run.told) if isinstance(event, EpochEnded) and event.epoch == LAST
    )
    source = told_by(run, run.told[:last], ended=False)
    explains = Explains()
    app = opened(source, explain=explains)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == LAST)
        await pilot.press("2")
        await until(pilot, lambda: f"epoch {LAST - 1} " in title(app, "#list-pane"))
        looked_at = listed(app)[0]
        await pilot.press("g")
        await until(pilot, lambda: len(explains.asked) == 1)
        for event in run.told[last:]:
            source.put(event)
        await until(pilot, lambda: f"epoch {LAST} " in title(app, "#list-pane"))
        assert looked_at in under_cursor(app)
        await until(pilot, lambda: explains.asked[-1] == (f"{looked_at}.jpeg", LAST))
        await until(
            pilot, lambda: "of 4 epochs" in words(app, VerdictPane) or "all 4" in words(app, VerdictPane)
        )


async def said_instead(source: Script | None, holds: Callable[[str], bool]) -> None:
    app = dashboard(source, explain=Explains())
    async with app.run_test(size=(80, 24)) as pilot:
        if source is not None:
            await until(pilot, lambda: app.shown is not None and app.shown.record.started is not None)
        await pilot.press("2")
        await until(pilot, lambda: holds(str(app.query_one("#mistakes-words").render())))
        assert app.query_one("#mistakes-words").display
        assert not app.query_one("#mistakes-board").display
        for key in ("g", "w", "left_square_bracket"):
            app.clear_notifications()
            await pilot.press("tab", key)
            assert toasts(app) == ["No mistakes are in sight."]
        assert "Grad-CAM" not in keys(app)


async def test_without_a_run_it_says_what_appears_and_what_to_press() -> None:
    await said_instead(None, lambda said: "gets wrong" in said and "s starts a run" in said)


@pytest.mark.long
async def test_a_run_without_predictions_says_so(run: KeptRun) -> None:
    await said_instead(Script(recorded(), ended=True), lambda said: "This run kept no predictions." in said)
    (run.directory.predictions / "images.csv").unlink()
    await said_instead(told_by(run), lambda said: "This run kept no predictions." in said)


async def test_before_the_first_epoch_has_ended_it_says_so(run: KeptRun) -> None:
    await said_instead(told_by(run, run.told[:2], ended=False), lambda said: "first epoch has ended" in said)


async def test_damaged_predictions_are_told_and_other_epochs_still_shown(run: KeptRun) -> None:
    (run.directory.predictions / f"{LAST:04}.npz").write_bytes(b"")
    app = opened(told_by(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        await pilot.press("2")
        await until(pilot, lambda: "are damaged" in str(app.query_one("#mistakes-words").render()))
        await pilot.press("left")
        await until(pilot, lambda: f"epoch {LAST - 1} " in title(app, "#list-pane"))
        seen = listed(app)
        assert seen == by_loss(run, LAST - 1)[: len(seen)]


async def test_an_epoch_without_numbers_has_neither_right_nor_wrong_images(run: KeptRun) -> None:
    run.lose_numbers(LAST)
    app = opened(told_by(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        await pilot.press("2")
        await until(
            pilot, lambda: "probabilities are no numbers" in str(app.query_one("#none-listed").render())
        )
        assert "0 of 40" in title(app, "#list-pane")
        assert "accuracy          –" in words(app, RatesPane)
        await pilot.press("left")
        await until(pilot, lambda: f"epoch {LAST - 1} " in title(app, "#list-pane"))
        await until(pilot, lambda: " 3 epochs" in words(app, VerdictPane))


@pytest.mark.parametrize(
    ("size", "turns"),
    [
        ((80, 24), [{"list-pane", "film"}, {"verdict", "film"}, {"list-pane", "threshold"}, {"curves"}]),
        pytest.param(
            (40, 20),
            [{"list-pane"}, {"film"}, {"verdict"}, {"list-pane", "threshold"}, {"curves"}],
            marks=pytest.mark.long,
        ),
    ],
)
async def test_where_it_is_small_the_panes_take_turns(
    run: KeptRun, size: tuple[int, int], turns: list[set[str]]
) -> None:
    app = opened(told_by(run))

    def seen() -> set[str]:
        names = ("list-pane", "film", "verdict", "threshold", "curves")
        return {name for name in names if app.query_one(f"#{name}").region.area}

    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        await pilot.press("2")
        await until(pilot, lambda: bool(listed(app)))
        for number, turn in enumerate([*turns, turns[0]]):
            if number:
                await pilot.press("tab")
            await until(pilot, lambda turn=turn: seen() == turn)
            before = app.query_one(MistakeRows).cursor
            await pilot.press("down")
            assert app.query_one(MistakeRows).cursor != before, "whatever is seen, the list can be walked"
        await pilot.press("shift+tab")
        await until(pilot, lambda: seen() == turns[-1])
        await pilot.click("#turn-line", offset=(3, 0))
        await until(pilot, lambda: seen() == turns[0])
        await pilot.resize_terminal(130, 40)
        await until(pilot, lambda: len(seen()) == 4)


async def test_of_many_classes_the_verdict_has_what_it_is_and_what_it_was_called(tmp_path: Path) -> None:
    classes = [f"class {letter}" for letter in "abcdefghijklmn"]
    run = kept_run(tmp_path, images=80, epochs=EPOCHS, classes=classes, positive="class n")
    app = opened(told_by(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await to_mistakes(pilot, app)
        for name in by_loss(run, LAST)[:10]:
            await until(pilot, lambda name=name: under_cursor(app).split()[0] == name)
            verdict, worst = words(app, VerdictPane), int(name[-4:])
            lines = verdict.splitlines()
            bars = [line for line in lines if "━" in line or "─" in line]
            called = classes[run.probabilities[LAST, worst].argmax()]
            assert any(line.startswith(f"✓ {classes[run.actual[worst]]}") for line in bars)
            assert any(line.startswith(f"  {called}") for line in bars)
            assert f"and {14 - len(bars)} more" in verdict
            assert "epochs" in verdict, "how often it was wrong is not left out"
            await pilot.press("down")


async def test_foreign_names_are_shown_harmlessly(tmp_path: Path) -> None:
    run = kept_run(tmp_path, epochs=EPOCHS, classes=("[bold]N\x1b[31m", "P\u202e[/]"))
    app = opened(told_by(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await to_mistakes(pilot, app)
        await pilot.press("g")
        await until(pilot, lambda: "weights of" in subtitle(app, "#film"))
        for size in ((120, 40), (40, 20)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            for strip in app.screen._compositor.render_strips():
                assert not {"\x1b", "\u202e"} & set("".join(piece.text for piece in strip))


@pytest.mark.long
async def test_three_classes_are_positive_against_the_rest(tmp_path: Path) -> None:
    run = kept_run(
        tmp_path, classes=("BACTERIA", "NORMAL", "VIRUS"), positive="BACTERIA", images=60, epochs=EPOCHS
    )
    app = opened(told_by(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await to_mistakes(pilot, app)
        assert "BACTERIA where it is the likeliest" in title(app, "#threshold")
        assert "the rest" in words(app, Slider)
        await pilot.press("right_square_bracket")
        assert "BACTERIA from p ≥ 0.51" in title(app, "#threshold")
        await pilot.press("backspace", "slash", *"actual:norm")
        wanted = [image for image in run.wrong(LAST) if run.actual[image] == 1]
        assert app.query_one(MistakeRows).count == len(wanted)
        assert set(listed(app)) <= {f"film-{image:04}" for image in wanted}


@pytest.mark.long
async def test_another_run_brings_its_own_list(run: KeptRun, tmp_path: Path) -> None:
    other = kept_run(tmp_path / "other", images=30, epochs=EPOCHS, seed=5)
    app = opened(told_by(run))
    async with app.run_test(size=(120, 40)) as pilot:
        await to_mistakes(pilot, app)
        await pilot.press("right_square_bracket", "slash", *"film-00", "enter")
        app.desk.open(other.directory)
        await until(pilot, lambda: "of 30" in title(app, "#list-pane"))
        seen = listed(app)
        assert seen == by_loss(other, LAST)[: len(seen)]
        assert "from p ≥ 0.50" in title(app, "#threshold")


async def test_an_epoch_that_is_done_again_is_read_again(run: KeptRun) -> None:
    app = opened(told_by(run, ended=False))
    async with app.run_test(size=(120, 40)) as pilot:
        await to_mistakes(pilot, app)
        again = next(event for event in run.told if isinstance(event, EpochEnded) and event.epoch == LAST)
        rewritten = (run.directory.predictions / "0000.npz").read_bytes()
        (run.directory.predictions / f"{LAST:04}.npz").write_bytes(rewritten)
        assert app.shown is not None
        app.shown.source.put(msgspec.structs.replace(again, seconds=2.0))
        await until(pilot, lambda: f"{len(run.wrong(0))} of 40" in title(app, "#list-pane"))

"""Pictures of the dashboard, to be looked at before a changed one is accepted."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from kept_runs import kept_run
from listed_runs import several
from textual.pilot import Pilot
from textual.widgets import Static
from tui_support import SMALL, TALL, WIDE, Script, dashboard, recorded, until, until_epoch

from xray_tui import config
from xray_tui.tui.app import XrayApp
from xray_tui.tui.panes.bars import CountsPane, SizesPane
from xray_tui.tui.panes.curves import CurvesPane
from xray_tui.tui.panes.film import FilmPane
from xray_tui.tui.panes.mistake_list import MistakeRows
from xray_tui.tui.panes.picture import RadiographView

Compare = Callable[..., bool]


def settled(app: XrayApp, *then: str, epochs: int) -> Callable[[Pilot[Any]], Awaitable[None]]:
    """All events shown and the radiograph read; then some keys."""

    async def run(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == epochs)
        for key in then:
            await pilot.press(key)
        view = app.query_one(RadiographView)
        await until(pilot, lambda: getattr(view.children[0], "image", None) is not None)
        await pilot.pause()

    return run


LOOKS = pytest.mark.parametrize(
    ("size", "theme"),
    [(WIDE, "reading-room"), (TALL, "reading-room"), (SMALL, "reading-room"), (TALL, "light-box")],
    ids=["wide-reading-room", "tall-reading-room", "small-reading-room", "tall-light-box"],
)
"""Each size, and the light theme once: colours depend on no size."""


@LOOKS
def test_train_while_a_run_is_live(snap_compare: Compare, size: tuple[int, int], theme: str) -> None:
    epoch = 12 if size == WIDE else 6
    app = dashboard(Script(until_epoch(epoch)), theme=theme)
    assert snap_compare(app, terminal_size=size, run_before=settled(app, epochs=epoch))


@LOOKS
def test_mistakes(snap_compare: Compare, size: tuple[int, int], theme: str, tmp_path: Path) -> None:
    run = kept_run(tmp_path / "runs", images=120, epochs=9)
    source = Script(run.told, ended=True)
    source.directory = run.directory
    app = dashboard(source, theme=theme)

    async def read(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == 9)
        await pilot.press("2")
        await until(pilot, lambda: bool(app.query(MistakeRows)) and app.query_one(MistakeRows).count > 0)
        view = app.query_one(FilmPane).query_one(RadiographView)
        await until(pilot, lambda: getattr(view.children[0], "image", None) is not None)
        await pilot.press("down", "down", "right_square_bracket")
        await pilot.pause(0.5)

    assert snap_compare(app, terminal_size=size, run_before=read)


@pytest.mark.parametrize(
    ("size", "theme"), [(TALL, "reading-room"), (SMALL, "light-box")], ids=["tall", "small"]
)
def test_curves(snap_compare: Compare, size: tuple[int, int], theme: str, tmp_path: Path) -> None:
    run = kept_run(tmp_path / "runs", images=120, epochs=9, test=90)
    source = Script(run.told, ended=True)
    source.directory = run.directory
    app = dashboard(source, theme=theme)

    async def measured(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: app.shown is not None and app.shown.record.ended is not None)
        await pilot.press("2")
        await until(pilot, lambda: bool(app.query(MistakeRows)) and app.query_one(MistakeRows).count > 0)
        await pilot.press("c", "right_square_bracket")
        pane = app.query_one(CurvesPane)
        await until(pilot, lambda: "━ test" in " ".join(pane.render_line(y).text for y in range(3)))
        await pilot.pause(0.5)

    assert snap_compare(app, terminal_size=size, run_before=measured)


@LOOKS
def test_data(snap_compare: Compare, size: tuple[int, int], theme: str, chest: Path) -> None:
    (chest / "train" / "NORMAL" / "IM-0000-empty.jpeg").write_bytes(b"")
    settings = config.load({"data.root": str(chest), "data.split": "recipe", "data.unreadable": 0.5})
    app = dashboard(settings=settings, theme=theme)

    async def checked(pilot: Pilot[Any]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "px" in str(app.query_one(SizesPane).render()))
        app.query_one(CountsPane).border_subtitle = "~/chest_xray"  # not this test's own folder
        await pilot.pause(0.5)

    assert snap_compare(app, terminal_size=size, run_before=checked)


@LOOKS
def test_settings(snap_compare: Compare, size: tuple[int, int], theme: str) -> None:
    origins: dict[str, config.Origin] = {"model.backbone": "command line", "training.seed": "environment"}
    settings = config.load({"model.backbone": "densenet121", "training.seed": 7})
    app = dashboard(settings=settings, origins=origins, theme=theme)
    assert snap_compare(app, terminal_size=size, press=["5", "down", "down", "down"])


def test_train_after_the_end_scrubbed_back(snap_compare: Compare) -> None:
    app = dashboard(Script(recorded(), ended=True))
    assert snap_compare(app, terminal_size=TALL, run_before=settled(app, "left", "left", epochs=15))


@LOOKS
def test_history(snap_compare: Compare, size: tuple[int, int], theme: str) -> None:
    app = dashboard(find_runs=lambda folder: several(), theme=theme)
    assert snap_compare(app, terminal_size=size, press=["3", "down", "space", "down", "down", "down"])


def test_start_form(snap_compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chest_xray" / "train").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    app = dashboard(settings=config.load({"data.root": "chest_xray", "model.backbone": "resnet5"}))

    async def known(pilot: Pilot[Any]) -> None:
        verdict = app.query_one("#field-data-root-verdict", Static)
        await until(pilot, lambda: "1,341" in str(verdict.render()))

    assert snap_compare(app, terminal_size=SMALL, run_before=known)

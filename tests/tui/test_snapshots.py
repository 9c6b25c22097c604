"""Pictures of the dashboard, to be looked at before a changed one is accepted."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from listed_runs import several
from textual.pilot import Pilot
from tui_support import SMALL, TALL, WIDE, Script, dashboard, recorded, until, until_epoch

from xray_tui import config
from xray_tui.tui.app import XrayApp
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


@pytest.mark.parametrize(
    ("size", "epoch"), [(WIDE, 12), (TALL, 6), (SMALL, 6)], ids=["wide", "tall", "small"]
)
def test_train_while_a_run_is_live(snap_compare: Compare, size: tuple[int, int], epoch: int) -> None:
    app = dashboard(Script(until_epoch(epoch)))
    assert snap_compare(app, terminal_size=size, run_before=settled(app, epochs=epoch))


def test_train_after_the_end_scrubbed_back(snap_compare: Compare) -> None:
    app = dashboard(Script(recorded(), ended=True))
    assert snap_compare(app, terminal_size=TALL, run_before=settled(app, "left", "left", epochs=15))


def test_history(snap_compare: Compare) -> None:
    app = dashboard(find_runs=lambda folder: several())
    assert snap_compare(app, terminal_size=TALL, press=["3", "down", "space", "down", "down", "down"])


def test_start_form(snap_compare: Compare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chest_xray" / "train").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    app = dashboard(settings=config.load({"data.root": "chest_xray", "model.backbone": "resnet5"}))

    async def known(pilot: Pilot[Any]) -> None:
        verdict = app.query_one("#field-data-root-verdict")
        await until(pilot, lambda: "1,341" in str(verdict.render()))  # type: ignore[attr-defined]

    assert snap_compare(app, terminal_size=SMALL, run_before=known)

"""The README's pictures, drawn by the dashboard itself from a real run.

    xray-tui demo --runs-dir /tmp/demo-runs
    xray-tui train data/demo --config /tmp/demo-runs/*/config.toml --runs-dir /tmp/demo-runs \\
        --frozen-lr 0.01 --name "rate 0.01"
    python tests/tui/screenshots.py /tmp/demo-runs .github/screenshots

Look at them before you commit them.
"""

import argparse
import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from xray_tui import config
from xray_tui.runs.index import find
from xray_tui.tui.app import XrayApp
from xray_tui.tui.panes.bars import CountsPane
from xray_tui.tui.panes.form import FormPane
from xray_tui.tui.sources import FollowSource

Ready = Callable[[XrayApp], bool]


async def draw(app: XrayApp, size: tuple[int, int], file: Path, ready: Ready, *keys: str) -> None:
    async with app.run_test(size=size) as pilot:
        await _until(pilot, lambda: ready(app))
        for key in keys:
            await pilot.press(key)
            await pilot.pause(2.5)  # the radiograph is decoded in a thread, the runs are listed in one
        for pane in app.query(CountsPane):  # not the folder of whoever draws the picture
            pane.border_subtitle = "data/demo"
        await pilot.pause()
        file.write_text(app.export_screenshot(title="xray-tui"), encoding="utf-8")
    print(file)


async def _until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    for _ in range(200):
        await pilot.pause(0.05)
        if holds():
            return
    raise TimeoutError("the run did not show")


def ended(app: XrayApp) -> bool:
    return app.shown is not None and app.shown.record.ended is not None


def form(app: XrayApp) -> bool:
    return bool(app.query(FormPane))


async def main(runs: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    run = find(runs, "demo")
    # As a person would type it, and without the path of whoever draws the picture.
    data = os.path.relpath(config.load({}, file=run.config).data.root)
    settings = config.load({"data.root": data, "run.runs_dir": str(runs)})

    def watching() -> XrayApp:
        return XrayApp(settings, source=FollowSource(run))

    await draw(XrayApp(settings), (110, 36), out / "form.svg", form)
    await draw(watching(), (150, 44), out / "train.svg", ended)
    await draw(watching(), (80, 24), out / "small.svg", ended)
    await draw(watching(), (126, 38), out / "mistakes.svg", ended, "2", "g")
    await draw(watching(), (150, 44), out / "curves.svg", ended, "2", "c")
    await draw(watching(), (130, 20), out / "history.svg", ended, "3")
    await draw(watching(), (150, 44), out / "compare.svg", ended, "3", "space", "down", "space", "c")
    await draw(XrayApp(settings), (150, 40), out / "data.svg", form, "4", *("f",) * 3)
    await draw(XrayApp(settings), (130, 36), out / "settings.svg", form, "5")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, help="a runs folder; its run called demo is drawn")
    parser.add_argument("out", type=Path)
    a = parser.parse_args()
    asyncio.run(main(a.runs, a.out))

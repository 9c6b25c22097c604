"""How long the Train tab takes to show a run of many epochs, and what a frame of its training costs.

    python tests/benchmarks/train_tab.py
    python tests/benchmarks/train_tab.py --epochs 10000 --repeats 9

Times, on the UI thread's own processor time: opening the run (nothing is kept from before), an epoch that
ends, looking at another epoch, each with painting both charts; the tick of progress, and sorting the
table. Fails where opening takes 60 ms or more.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1] / "tui"))
from tui_support import Script, dashboard, recorded, training, until

from xray_tui.events import EpochEnded, Event
from xray_tui.tui.panes.chart import Chart
from xray_tui.tui.panes.charts import CurvePane
from xray_tui.tui.panes.epochs import EpochsPane
from xray_tui.tui.tabs.train import TrainTab

LIMIT_MS = 60.0


def long_run(epochs: int) -> Iterator[Event]:
    """The beginning of the recorded run, then so many epochs of noise."""
    rng = random.Random(0)
    yield from recorded()[:3]
    first = next(event for event in recorded() if isinstance(event, EpochEnded))
    for number in range(epochs):
        loss = 0.1 + 0.5 * 0.999**number + rng.uniform(0, 0.2)
        yield msgspec.structs.replace(
            first,
            epoch=number,
            train_loss=loss,
            validation_loss=loss + rng.uniform(0, 0.2),
            accuracy=1 - loss / 4,
        )
    yield training(epochs)


def median_ms(do: Callable[[], object], repeats: int) -> float:
    took = []
    for _ in range(repeats):
        start = time.thread_time()
        do()
        took.append(1000 * (time.thread_time() - start))
    return statistics.median(took)


async def measure(epochs: int, size: tuple[int, int], repeats: int) -> float:
    app = dashboard(Script(list(long_run(epochs))))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.shown is not None and len(app.shown.record.epochs) == epochs, 60)
        run, tab = app.shown, app.query_one(TrainTab)
        assert run is not None

        def paint() -> None:
            for chart in app.query(Chart):
                chart.draw(chart._drawing)
                chart.render_line(0)

        def again() -> None:
            tab.show(run)
            paint()

        def anew() -> None:
            run.record.epochs = list(run.record.epochs)  # another list: all that was kept of it is void
            again()

        def one_more() -> None:
            last = run.record.epochs[-1]
            run.record.apply(msgspec.structs.replace(last, epoch=last.epoch + 1))
            again()

        slowest = 0.0
        for how in ("as they are", "smoothed", "smoothed, log"):
            if how == "smoothed":
                tab.do_smoother()
            elif how == "smoothed, log":
                tab.do_log_axis()
            opened, ended, scrubbed = (median_ms(do, repeats) for do in (anew, one_more, again))
            slowest = max(slowest, opened)
            print(
                f"{size[0]:>4} x {size[1]}  curves {how:<14} opened {opened:5.1f} ms   "
                f"an epoch more {ended:5.1f} ms   scrubbed {scrubbed:5.1f} ms"
            )
        tick = median_ms(lambda: tab.tick(run), repeats)
        pane = app.query_one(EpochsPane)
        sorting = median_ms(pane.sort_by_next, repeats)
        assert app.query(CurvePane)
        print(f"{size[0]:>4} x {size[1]}  tick {tick:.2f} ms   sorted {sorting:.1f} ms")
        return slowest


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=9)
    given = parser.parse_args()
    sizes = ((200, 50), (120, 40), (80, 24))
    slowest = max(asyncio.run(measure(given.epochs, size, given.repeats)) for size in sizes)
    print(f"slowest: {slowest:.1f} ms for {given.epochs:,} epochs (limit {LIMIT_MS:.0f} ms)")
    return int(slowest >= LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())

"""How long a key takes to show while a run trains in the same process: median, p95, slowest.

    python tests/benchmarks/key_to_paint.py --keys 300
    python tests/benchmarks/key_to_paint.py --keys 100 --bare

With `--bare` the same run trains under a bare Textual app too, in turns with the dashboard: a header, a
footer, and two tables that fill the screen, of which a key brings the other up. That is what Textual and
the training take of a machine, whatever a dashboard adds; the last line is the ratio.

Opens the dashboard on small demo radiographs in a pseudo-terminal, starts a run, waits until it trains,
then presses keys one at a time and clocks each from its write to the output that completes what the key
brings up. Between keys it waits a random while, so that keys meet every moment of a batch. What comes is
only noted with its time while a key is clocked, and drawn afterwards: drawing takes the processor too.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.terminal import Terminal
from xray_tui.data.demo import make_demo

ROUND = (
    ("?", "esc closes"),
    ("\x1b", ""),
    ("\x1b[D", "looking at epoch"),
    ("\x1b", ""),
    ("3", "backbone"),
    ("1", "confusion"),
    ("2", "threshold"),
    ("1", "confusion"),
)
"""A key, and words that only it brings onto the screen; the ones without words are not clocked."""
BARE_ROUND = (("1", "the first table"), ("2", "the second table"))
BARE = """
import sys, threading
from textual.app import App
from textual.widgets import ContentSwitcher, DataTable, Footer, Header, Static
from xray_tui import configure, events, fit

class Bare(App):
    CSS = "ContentSwitcher { height: 1fr }"
    BINDINGS = [("1", "show('first')", "first"), ("2", "show('second')", "second"), ("q", "quit", "quit")]

    def compose(self):
        yield Header()
        with ContentSwitcher(initial="first"):
            yield DataTable(id="first")
            yield DataTable(id="second")
        yield Static(id="progress")
        yield Footer()

    def on_mount(self):
        for table in self.query(DataTable):
            table.add_columns(*(f"column {number}" for number in range(12)))
            for row in range(100):
                table.add_row(f"the {table.id} table", *(f"{row * number:.4f}" for number in range(11)))
        threading.Thread(target=self.train, daemon=True).start()

    def train(self):
        options = dict(argument.removeprefix("--").split("=") for argument in sys.argv[2:])
        for name, value in options.items():
            options[name] = int(value) if value.isdigit() else value
        options = {name.replace("-", "_"): value for name, value in options.items()}
        for event in fit(configure(sys.argv[1], **options)):
            if isinstance(event, events.Progress):
                self.call_from_thread(self.query_one("#progress").update, f"{event.done} of {event.total}")

    def action_show(self, name):
        self.query_one(ContentSwitcher).current = name

Bare().run()
"""
_WINDOW_SECONDS = 0.5
_SIZE = (160, 45)
_TURNS = 2


class Clock(Terminal):
    """Notes what comes, and when; draws it when asked."""

    def __init__(self, *arguments: str, **named: Any) -> None:
        self._noted: list[tuple[float, bytes]] = []
        super().__init__(*arguments, **named)

    def _draw(self, content: bytes) -> None:
        self._noted.append((time.perf_counter(), content))

    def _drawn(self) -> str:
        return super().text

    @property
    def text(self) -> str:
        self.settle()
        return self._drawn()

    def settle(self, words: str = "") -> float | None:
        """Draw what was noted; the moment in which ``words`` were complete."""
        found = None
        while self._noted:
            moment, content = self._noted.pop(0)
            super()._draw(content)
            if words and found is None and words in self._drawn():
                found = moment
        return found

    def clock(self, key: str, words: str) -> float:
        """Seconds from the key to its words."""
        if words in self.text:
            raise SystemExit(f"{words!r} stands there before {key!r}:\n{self.text}")
        pressed = time.perf_counter()
        self.press(key)
        while time.perf_counter() < pressed + 20:
            time.sleep(_WINDOW_SECONDS)
            arrived = self.settle(words)
            if arrived is not None:
                return arrived - pressed
        raise SystemExit(f"{words!r} did not come after {key!r}; the screen:\n{self.text}")


def pressed(terminal: Clock, turns: Sequence[tuple[str, str]], keys: int) -> dict[str, list[float]]:
    """What each of the words took, in seconds, by turns until there were so many keys."""
    chance = random.Random(0)
    took: dict[str, list[float]] = {words: [] for _, words in turns if words}
    for key, _ in turns:  # each page is made when it is first wanted: not what is measured here
        terminal.press(key)
        time.sleep(1.5)
    while sum(map(len, took.values())) < keys:
        for key, words in turns:
            time.sleep(chance.uniform(0.1, 0.5))
            if words:
                took[words].append(terminal.clock(key, words))
            else:
                terminal.press(key)
                time.sleep(_WINDOW_SECONDS)  # escape and a key right after it would be one with alt
    return took


def of_ours(arguments: list[str], folder: Path, keys: int, *, paused: bool) -> dict[str, list[float]]:
    with Clock(*arguments, program=("-m", "xray_tui"), folder=folder, size=_SIZE) as terminal:
        terminal.wait_for("NORMAL")
        terminal.press("s")
        terminal.wait_for("confusion", "★", "img/s", seconds=120)
        if paused:
            terminal.press(" ")
            terminal.wait_for("paused")
        took = pressed(terminal, ROUND, keys)
        terminal.press("x")
        terminal.wait_for("Stop the run?")
        terminal.press("x")
        terminal.wait_for("stopped", seconds=60)
    return took


def of_a_bare_app(arguments: list[str], folder: Path, keys: int) -> dict[str, list[float]]:
    with Clock(*arguments, program=("-c", BARE), folder=folder, size=_SIZE) as terminal:
        terminal.wait_for("the first table", " of ", seconds=120)
        return pressed(terminal, BARE_ROUND[::-1], keys)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--keys", type=int, default=300)
    parser.add_argument("--paused", action="store_true", help="pause the run first: painting alone")
    parser.add_argument("--bare", action="store_true", help="a bare Textual app beside it")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts = {
            name: {"NORMAL": many, "PNEUMONIA": many}
            for name, many in (("train", 500), ("test", 100), ("val", 2))
        }
        data = make_demo(Path(folder) / "demo", counts=counts)
        options = ["--backbone=efficientnet_lite0", "--image-size=128", "--batch-size=16", "--split=recipe"]
        options += ["--frozen-epochs=9999", "--augment-views=off", "--unfrozen-epochs=0", "--device=cpu"]
        arguments = [str(data), *options]
        ours: dict[str, list[float]] = {}
        bare: dict[str, list[float]] = {}
        parts = _TURNS if asked.bare else 1
        for _ in range(parts):
            keys = asked.keys // parts
            for words, times in of_ours(arguments, Path(folder), keys, paused=asked.paused).items():
                ours.setdefault(words, []).extend(times)
            if asked.bare:
                for words, times in of_a_bare_app(arguments, Path(folder), keys).items():
                    bare.setdefault(words, []).extend(times)
    for words, times in (ours | bare).items():
        print(f"{words!r:<20} {_summary(times)}")
    print(f"{'dashboard':<20} {_summary(_all(ours))}")
    if bare:
        print(f"{'bare Textual app':<20} {_summary(_all(bare))}")
        ratios = (_p95(_all(ours)) / _p95(_all(bare)), _median(ours) / _median(bare))
        print("dashboard by bare app: p95 {:.2f}, median {:.2f}".format(*ratios))


def _all(took: dict[str, list[float]]) -> list[float]:
    return [taken for times in took.values() for taken in times]


def _median(took: dict[str, list[float]]) -> float:
    return statistics.median(_all(took))


def _p95(times: list[float]) -> float:
    return sorted(times)[int(0.95 * len(times))]


def _summary(times: list[float]) -> str:
    """In words: seconds come in, milliseconds go out."""
    return (
        f"{len(times)} keys: median {1000 * statistics.median(times):.0f} ms, "
        f"p95 {1000 * _p95(times):.0f} ms, slowest {1000 * max(times):.0f} ms"
    )


if __name__ == "__main__":
    main()

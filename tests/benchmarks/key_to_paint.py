"""How long a key takes to show while a run trains in the same process: median, p95, slowest.

    python tests/benchmarks/key_to_paint.py --keys 300

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
_WINDOW_SECONDS = 0.5


class Clock(Terminal):
    """Notes what comes, and when; draws it when asked."""

    def __init__(self, *arguments: str, **named: Any) -> None:
        self._noted: list[tuple[float, bytes]] = []
        super().__init__(*arguments, program=("-m", "xray_tui"), **named)

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--keys", type=int, default=300)
    parser.add_argument("--paused", action="store_true", help="pause the run first: painting alone")
    asked = parser.parse_args()
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        counts = {
            name: {"NORMAL": many, "PNEUMONIA": many}
            for name, many in (("train", 500), ("test", 100), ("val", 2))
        }
        data = make_demo(Path(folder) / "demo", counts=counts)
        options = ["--backbone=efficientnet_lite0", "--image-size=128", "--batch-size=16", "--split=recipe"]
        options += ["--frozen-epochs=9999", "--augment-views=off", "--unfrozen-epochs=0", "--device=cpu"]
        with Clock(str(data), *options, folder=Path(folder), size=(160, 45)) as terminal:
            terminal.wait_for("NORMAL")
            terminal.press("s")
            terminal.wait_for("confusion", "★", "img/s", seconds=120)
            took: dict[str, list[float]] = {words: [] for _, words in ROUND if words}
            for key, _ in ROUND:  # each page is made when it is first wanted: not what is measured here
                terminal.press(key)
                time.sleep(1.5)
            if asked.paused:
                terminal.press(" ")
                terminal.wait_for("paused")
            while sum(map(len, took.values())) < asked.keys:
                for key, words in ROUND:
                    time.sleep(chance.uniform(0.1, 0.5))
                    if words:
                        took[words].append(terminal.clock(key, words))
                    else:
                        terminal.press(key)
                        time.sleep(_WINDOW_SECONDS)  # escape and a key right after it would be one with alt
            terminal.press("x")
            terminal.wait_for("Stop the run?")
            terminal.press("x")
            terminal.wait_for("stopped", seconds=60)
    for words, times in took.items():
        print(f"{words!r:<20} {_summary(times)}")
    print(_summary([taken for times in took.values() for taken in times]))


def _summary(times: list[float]) -> str:
    """In words: seconds come in, milliseconds go out."""
    times = sorted(times)
    p95 = times[int(0.95 * len(times))]
    return (
        f"{len(times)} keys: median {1000 * statistics.median(times):.0f} ms, "
        f"p95 {1000 * p95:.0f} ms, slowest {1000 * times[-1]:.0f} ms"
    )


if __name__ == "__main__":
    main()

"""How long a key takes to show while a run trains in the same process: median, p95, slowest.

    python tests/benchmarks/key_to_paint.py --keys 300

Opens the dashboard on small demo radiographs in a pseudo-terminal, starts a run, waits until it trains,
then presses keys one at a time and clocks each from its write to the first output that carries what the
key brings up. Between keys it waits a random while, so that keys meet every moment of a batch.
"""

import argparse
import os
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.terminal import Terminal
from xray_tui.data.demo import make_demo

_STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

ROUND = (
    ("?", "esc closes"),
    ("\x1b", ""),
    ("3", "backbone"),
    ("1", "confusion"),
    ("2", "threshold"),
    ("1", "confusion"),
)
"""A key, and words that only it brings onto the screen; the ones without words are not clocked."""


class Clock(Terminal):
    """Notes when words arrive, as they come from the program."""

    words = ""
    arrived: float | None = None
    _tail = ""

    def _read(self) -> None:
        self._hit = threading.Event()
        while True:
            try:
                content = os.read(self._ours, 65536)
            except OSError:  # the other side has closed
                return
            now = time.perf_counter()
            self._tail = (self._tail + _STYLES.sub("", content.decode(errors="replace")))[-4000:]
            if self.words and self.arrived is None and self.words in self._tail:
                self.arrived = now
                self._hit.set()
            with self._lock:
                self._stream.feed(content)

    def clock(self, key: str, words: str) -> float:
        """Seconds from the key to its words."""
        self._tail, self.arrived, self.words = "", None, words
        self._hit.clear()
        pressed = time.perf_counter()
        self.press(key)
        if not self._hit.wait(20):
            raise SystemExit(f"{words!r} did not come after {key!r}; the screen:\n{self.text}")
        self.words = ""
        assert self.arrived is not None
        return self.arrived - pressed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--keys", type=int, default=300)
    asked = parser.parse_args()
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        counts = {
            name: {"NORMAL": many, "PNEUMONIA": many}
            for name, many in (("train", 100), ("test", 50), ("val", 2))
        }
        data = make_demo(Path(folder) / "demo", counts=counts)
        options = ["--backbone=efficientnet_lite0", "--image-size=128", "--batch-size=16", "--split=recipe"]
        options += ["--frozen-epochs=9999", "--unfrozen-epochs=0", "--device=cpu"]
        with Clock(str(data), *options, folder=Path(folder), size=(160, 45)) as terminal:
            terminal.wait_for("NORMAL")
            terminal.press("s")
            terminal.wait_for("confusion", "AUC", "img/s", seconds=120)
            times: list[float] = []
            for key, _ in ROUND:  # each page is made when it is first wanted: not what is measured here
                terminal.press(key)
                time.sleep(1.5)
            while len(times) < asked.keys:
                for key, words in ROUND:
                    time.sleep(chance.uniform(0.1, 0.5))
                    if words:
                        times.append(terminal.clock(key, words))
                    else:
                        terminal.press(key)
                        time.sleep(0.4)  # escape and a key right after it would be one key with alt
            terminal.press("x")
            terminal.wait_for("Stop the run?")
            terminal.press("x")
            terminal.wait_for("stopped", seconds=60)
    times.sort()
    p95 = times[int(0.95 * len(times))]
    print(
        f"{len(times)} keys: median {1000 * statistics.median(times):.0f} ms, "
        f"p95 {1000 * p95:.0f} ms, slowest {1000 * times[-1]:.0f} ms"
    )


if __name__ == "__main__":
    main()

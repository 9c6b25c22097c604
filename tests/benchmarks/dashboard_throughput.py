"""Training speed with the dashboard open against `train`: pairs, and the ratio of each.

    python tests/benchmarks/dashboard_throughput.py --pairs 5

Both learn from the same radiographs with the same settings, and both are alive all the time, but only one
of them ever moves: they are stopped and let go on in turn, every two seconds, so that what else this
machine does meets both alike. Each pair is two new processes; which starts first alternates. Speed is
images, trained on or validated, over the seconds in which the process was let go on.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.terminal import Terminal
from xray_tui import event_lines
from xray_tui.data.demo import make_demo
from xray_tui.events import Progress
from xray_tui.runs.directory import RunDirectory, list_runs

OPTIONS = [
    "--backbone=efficientnet_lite0",
    "--split=recipe",
    "--device=cpu",
    "--frozen-epochs=99999",
    "--augment-views=off",
    "--unfrozen-epochs=0",
]

DASHBOARD = """
from textual.drivers.linux_driver import LinuxDriver

# Else it draws everything anew each time the process goes on.
LinuxDriver._sigcont_application = lambda driver, *_: None
from xray_tui.entry import main

main()
"""


@dataclass
class Side:
    """One of the two: its process group, and how far its run is."""

    name: str
    group: int
    runs: Path
    seconds: float = 0.0
    _run: RunDirectory | None = None

    def move(self, seconds: float) -> None:
        """Let it go on that long."""
        began = time.perf_counter()
        os.killpg(self.group, signal.SIGCONT)
        time.sleep(seconds)
        os.killpg(self.group, signal.SIGSTOP)
        self.seconds += time.perf_counter() - began

    @property
    def progress(self) -> Progress | None:
        if self._run is None:
            self._run = next(iter(list_runs(self.runs)), None)
        try:
            told = event_lines.decode(self._run.progress.read_bytes()) if self._run else None
        except FileNotFoundError:
            return None
        return told if isinstance(told, Progress) else None

    def images(self, train: int, validation: int) -> int:
        """Trained on or validated since the start."""
        told = self.progress
        assert told is not None
        assert told.epoch is not None
        return told.epoch * (train + validation) + told.done + (0 if told.phase == "train" else train)

    @property
    def learning(self) -> bool:
        """Whether its first epoch, which warms caches, is over."""
        told = self.progress
        return told is not None and bool(told.epoch)


@contextmanager
def dashboard(data: Path, runs: Path, options: list[str]) -> Iterator[Side]:
    with Terminal(
        *(str(data), f"--runs-dir={runs}", *options),
        program=("-c", DASHBOARD),
        folder=data,
        size=(160, 45),
    ) as terminal:
        terminal.wait_for("NORMAL")
        terminal.look_away()
        terminal.press("s")
        side = Side("dashboard", terminal.process.pid, runs)
        warm(side)
        yield side


@contextmanager
def train(data: Path, runs: Path, options: list[str]) -> Iterator[Side]:
    command = [sys.executable, "-m", "xray_tui", "train", str(data), "--json", f"--runs-dir={runs}"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([*command, *options], stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        side = Side("train", process.pid, runs)
        warm(side)
        yield side
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def warm(side: Side) -> None:
    deadline = time.monotonic() + 600
    while not side.learning:
        if time.monotonic() > deadline:
            raise SystemExit(f"{side.name}: no epoch ended")
        time.sleep(0.2)
    os.killpg(side.group, signal.SIGSTOP)


def measure(sides: list[Side], seconds: float, epoch: tuple[int, int]) -> dict[str, float]:
    """Images a second by side, each let go on for so many seconds in all; ``epoch``: its images."""
    before = [side.images(*epoch) for side in sides]
    for turn in range(round(seconds / 2)):
        for side in sides if turn % 2 else reversed(sides):
            side.move(2.0)
    return {
        side.name: (side.images(*epoch) - images) / side.seconds
        for side, images in zip(sides, before, strict=True)
    }


def interval(ratios: list[float]) -> tuple[float, float]:
    """Of their mean: 95 %, by bootstrap."""
    chance = random.Random(0)
    means = sorted(statistics.mean(chance.choices(ratios, k=len(ratios))) for _ in range(2000))
    return means[50], means[1949]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20, help="for each side of a pair")
    parser.add_argument("--train", type=int, default=3000, help="images an epoch")
    parser.add_argument("--size", type=int, default=128, help="pixels")
    asked = parser.parse_args()
    validation = asked.train // 5
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # else the dashboard would go on, detached
    options = [*OPTIONS, f"--image-size={asked.size}", "--batch-size=16"]
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counts = {
            split: {"NORMAL": many, "PNEUMONIA": many}
            for split, many in (("train", asked.train // 2), ("test", validation // 2), ("val", 2))
        }
        data = make_demo(folder / "demo", counts=counts)
        for pair in range(asked.pairs):
            # Two processes of the very same program differ by some percent, each for as long as it lives.
            both = [(dashboard, folder / f"{pair}-shown"), (train, folder / f"{pair}-bare")]
            with ExitStack() as stack:
                sides = [
                    stack.enter_context(start(data, runs, options))
                    for start, runs in (both if pair % 2 else reversed(both))
                ]
                speeds = measure(sides, asked.seconds, (asked.train, validation))
            ratios.append(speeds["dashboard"] / speeds["train"])
            print(
                f"pair {pair + 1}: {speeds['dashboard']:.1f} against {speeds['train']:.1f} images/s, "
                f"ratio {ratios[-1]:.3f}",
                flush=True,
            )
    low, high = interval(ratios)
    print(
        f"median ratio {statistics.median(ratios):.3f}, mean {statistics.mean(ratios):.3f} "
        f"(95 % {low:.3f}–{high:.3f}) of {len(ratios)} pairs"
    )


if __name__ == "__main__":
    main()

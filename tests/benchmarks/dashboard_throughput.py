"""Training speed with the dashboard open against `train`: interleaved pairs, and the median of their ratios.

    python tests/benchmarks/dashboard_throughput.py --pairs 5

Both learn from the same small demo radiographs with the same settings, one after the other; which goes
first alternates. Speed is train images over the seconds of their epochs; validation and the first epoch,
which warms caches, are left out.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.terminal import Terminal
from xray_tui.data.demo import make_demo
from xray_tui.runs import state
from xray_tui.runs.directory import list_runs
from xray_tui.runs.follow import read
from xray_tui.runs.record import RunRecord

OPTIONS = [
    "--backbone=efficientnet_lite0",
    "--image-size=128",
    "--batch-size=16",
    "--split=recipe",
    "--device=cpu",
]


def speed(runs: Path) -> float:
    """Train images a second of the only run there."""
    (directory,) = list_runs(runs)
    epochs = RunRecord.of(read(directory)).epochs[1:]
    return statistics.harmonic_mean([epoch.images_per_second for epoch in epochs])


def without_screen(data: Path, options: list[str]) -> float:
    with tempfile.TemporaryDirectory() as runs:
        command = [sys.executable, "-m", "xray_tui", "train", str(data), "--json", "--runs-dir", runs]
        subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return speed(Path(runs))


def with_dashboard(data: Path, options: list[str]) -> float:
    with tempfile.TemporaryDirectory() as runs:
        with Terminal(str(data), "--runs-dir", runs, *options, folder=data, size=(160, 45)) as terminal:
            terminal.wait_for("NORMAL")
            terminal.look_away()
            terminal.press("s")
            wait_for_end(Path(runs))
            terminal.press("q")
            terminal.wait()
        return speed(Path(runs))


def wait_for_end(runs: Path) -> None:
    """Of the only run there, without taking the processor from it."""
    deadline = time.monotonic() + 1200
    while not any(state.read(directory).status == "done" for directory in list_runs(runs)):
        if time.monotonic() > deadline:
            raise SystemExit("the run did not end")
        time.sleep(0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=6)
    asked = parser.parse_args()
    options = [*OPTIONS, f"--frozen-epochs={asked.epochs}", "--unfrozen-epochs=0"]
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        counts = {
            name: {"NORMAL": many, "PNEUMONIA": many}
            for name, many in (("train", 200), ("test", 40), ("val", 2))
        }
        data = make_demo(Path(folder) / "demo", counts=counts)
        for pair in range(asked.pairs):
            if pair % 2:
                bare, dashboard = without_screen(data, options), with_dashboard(data, options)
            else:
                dashboard, bare = with_dashboard(data, options), without_screen(data, options)
            ratios.append(dashboard / bare)
            print(
                f"pair {pair + 1}: {dashboard:.1f} against {bare:.1f} images/s, ratio {ratios[-1]:.3f}",
                flush=True,
            )
    print(f"median ratio {statistics.median(ratios):.3f} of {len(ratios)} pairs")


if __name__ == "__main__":
    main()

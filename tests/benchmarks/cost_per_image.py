"""What an image costs, in time and memory, and whether that grows with the number of images.

    python tests/benchmarks/cost_per_image.py --counts 1000 20000 -- --batch-size 64

Makes that many small radiographs (a few noisy JPEGs under many names), a tenth of them for validation, and
trains the frozen stage on them in processes of their own: first with an empty cache, then with what the
first run left there. Prints for each number of images, and as ratios to the first number:

    read    decoding and keeping an image, in microseconds
    again   finding it in the cache
    train   an image of the fastest epoch
    epoch   the same with validation and all that is written at an epoch's end
    memory  the largest resident size, less the pages of mapped files: the system takes those back whenever
            it needs them
    disk    what the cache takes

What stands after -- goes to `xray-tui train`.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_KINDS = 64  # different images; more would only take longer to make
_UNITS = {"read": "µs", "again": "µs", "train": "µs", "epoch": "µs", "memory": "MiB", "disk": "MB"}

Costs = dict[str, float]


def make(root: Path, train: int, side_px: int) -> None:
    """A data folder, train/ and a tenth as many images in test/, which validates."""
    rng = np.random.default_rng(0)
    for folder, images in (("train", train), ("test", train // 10)):
        for label, name in enumerate(("NORMAL", "PNEUMONIA")):
            place = root / folder / name
            place.mkdir(parents=True)
            contents = []
            for _ in range(_KINDS):
                held = io.BytesIO()
                grey = rng.normal(100 + 60 * label, 30, (side_px, side_px)).clip(0, 255).astype(np.uint8)
                Image.fromarray(grey).save(held, "JPEG")
                contents.append(held.getvalue())
            for number in range(images // 2):
                (place / f"person{number}_virus_1.jpeg").write_bytes(contents[number % _KINDS])


def measure(root: Path, own: Path, options: list[str]) -> Costs:
    first = run(root, own / "first", own / "cache", 2, options)
    again = run(root, own / "again", own / "cache", 1, options)
    disk = sum(file.stat().st_size for file in (own / "cache" / "pixels").iterdir())
    return first | {"again": again["read"], "disk": disk / 1e6}


def run(root: Path, runs: Path, cache: Path, epochs: int, options: list[str]) -> Costs:
    command = [sys.executable, "-m", "xray_tui", "train", str(root), "--json", "--weights", "none"]
    command += ["--split", "recipe", "--backbone", "shufflenet_v2_x0_5", "--image-size", "32"]
    command += ["--frozen-epochs", str(epochs), "--unfrozen-epochs", "0", "--batch-size", "64"]
    command += ["--runs-dir", str(runs), "--cache", str(cache)]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        watch = Watch(process.pid)
        assert process.stdout is not None
        events: list[dict[str, Any]] = [json.loads(line) for line in process.stdout]
    memory = watch.stop()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    started = next(event for event in events if event["type"] == "run_started")
    ended = [event for event in events if event["type"] == "epoch_ended"]
    train, validation = (sum(started["images"][role].values()) for role in ("train", "validation"))
    (settings,) = runs.glob("*/config.toml")  # written just before the images are read
    return {
        "read": 1e6 * (started["t"] - settings.stat().st_mtime) / (train + validation),
        "train": 1e6 / max(event["images_per_second"] for event in ended),
        "epoch": 1e6 * min(event["seconds"] for event in ended) / (train + validation),
        "memory": memory,
    }


class Watch(threading.Thread):
    """Looks at a process's memory ten times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status = Path(f"/proc/{pid}/status")
        self._peak_kib = 0
        self._stopped = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._stopped.wait(0.1):
            try:
                lines = self._status.read_text().splitlines()
            except OSError:
                return
            found = [int(line.split()[1]) for line in lines if line.startswith("RssAnon:")]
            self._peak_kib = max([self._peak_kib, *found])

    def stop(self) -> float:
        """The peak, in MiB."""
        self._stopped.set()
        self.join()
        return self._peak_kib / 1024


def main() -> None:
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    own, options = sys.argv[1:at], sys.argv[at + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 20000], help="train images")
    parser.add_argument("--side", type=int, default=64, help="of an image, in pixels")
    a = parser.parse_args(own)
    print(f"{'images':>8}" + "".join(f"{f'{name} {unit}':>13}" for name, unit in _UNITS.items()))
    found: list[Costs] = []
    for count in a.counts:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "data"
            make(root, count, a.side)
            found.append(measure(root, Path(folder), options))
        print(f"{count:>8}" + "".join(f"{found[-1][name]:>13.0f}" for name in _UNITS), flush=True)
    for count, costs in zip(a.counts[1:], found[1:], strict=True):
        ratios = "".join(f"{costs[name] / found[0][name]:>13.2f}" for name in _UNITS)
        print(f"{count / a.counts[0]:>7.0f}x{ratios}")


if __name__ == "__main__":
    main()

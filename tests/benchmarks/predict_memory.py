"""Peak resident memory of ``xray-tui predict``, whether it grows with the number of images, and its speed.

    python tests/benchmarks/predict_memory.py RUN --images 500 5000 --side 320

Makes JPEGs of noise, predicts each number of them in a process of its own, and prints the peaks, how much
they differ, and the images a second that the additional ones took. What stands after -- goes to `predict`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def write_images(folder: Path, count: int, side_px: int) -> None:
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = rng.integers(0, 256, (16, 16), np.uint8)
        film = Image.fromarray(coarse).resize((side_px, side_px), Image.Resampling.BICUBIC)
        film.save(folder / f"{number:06d}.jpeg", quality=85)


def predict(run: str, folder: Path, options: list[str]) -> tuple[float, float]:
    """The largest resident size in MiB, and the seconds it took."""
    command = [sys.executable, "-m", "xray_tui", "predict", run, str(folder)]
    command += ["--output", str(folder / "rows.csv"), *options]
    began = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return used.ru_maxrss / 1024, time.monotonic() - began


def main() -> None:
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    own, options = sys.argv[1:at], sys.argv[at + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--images", type=int, nargs=2, default=[500, 5000])
    parser.add_argument("--side", type=int, default=320, help="pixels")
    a = parser.parse_args(own)
    found = []
    for count in a.images:
        with tempfile.TemporaryDirectory() as folder:
            write_images(Path(folder), count, a.side)
            peak, seconds = predict(a.run, Path(folder), options)
        found.append((peak, seconds))
        print(f"{count:>6} images: peak {peak:.0f} MiB, {seconds:.1f} s", flush=True)
    (few, short), (many, long) = found
    speed = (a.images[1] - a.images[0]) / (long - short)
    print(f"grows by {many - few:+.1f} MiB; {speed:.0f} images/s")


if __name__ == "__main__":
    main()

"""The recipe beside the same recipe in plain PyTorch: how many times as fast, and in how much memory.

    python tests/benchmarks/speed.py DATA --yardstick plain_recipe.py
    python tests/benchmarks/speed.py DATA --yardstick plain_recipe.py --backbone resnet50 --weights none

Both train on --limit images of each split, one after the other, --rounds times; of each the median is taken
and scaled to --images train and --validation images (the whole of the public data set), since the yardstick
takes hours for those. Of the yardstick only its epochs are counted. Of ours everything is: what does not grow
with the images (imports, weights) as it is, and the rest by the image, decoding included.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FROZEN, UNFROZEN = 10, 5


@dataclass(frozen=True)
class Took:
    """Seconds of a run, scaled to all images."""

    start: float
    """What does not grow with them: until the first image is read, and after the last epoch."""
    reading: float
    frozen: float
    """All epochs of the stage."""
    unfrozen: float
    peak_gib: float
    """Largest resident size, as measured."""


@dataclass(frozen=True)
class Scale:
    """From the images that a run was limited to, to all: of train and of validation."""

    train: float
    validation: float


def measured(command: list[str]) -> tuple[list[dict[str, Any]], float]:
    """The lines of JSON that a program prints, and its peak memory in GiB."""
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL, text=True)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} exited with {process.returncode}")
        out.seek(0)
        lines = [json.loads(line) for line in out if line.startswith("{")]
    return lines, used.ru_maxrss / 2**20


def ours(data: Path, options: list[str], unfrozen: int, scale: Scale) -> Took:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "xray_tui", "train", str(data), "--json", "--split", "recipe"]
        command += ["--runs-dir", folder, "--cache", folder, *options]
        command += ["--frozen-epochs", str(FROZEN), "--unfrozen-epochs", str(unfrozen)]
        began = time.monotonic()
        lines, peak = measured(command)
        whole = time.monotonic() - began
    started = next(line for line in lines if line["type"] == "run_started")
    ended = next(line for line in lines if line["type"] == "run_ended")
    epochs = [line for line in lines if line["type"] == "epoch_ended"]
    images = sum(started["images"]["train"].values())
    reading = started["t"] - (ended["t"] - ended["seconds"])
    stages = {"frozen": 0.0, "unfrozen": 0.0}
    for line in epochs:
        train = images / line["images_per_second"]
        stages[line["stage"]] += train * scale.train + (line["seconds"] - train) * scale.validation
    start = whole - reading - sum(line["seconds"] for line in epochs)
    return Took(start, reading * (scale.train + scale.validation) / 2, *stages.values(), peak)


def plain(script: Path, data: Path, options: list[str], scale: Scale) -> Took:
    """An epoch of each stage; the others cost as much, for nothing is kept from one to the next.

    In the frozen stage an image of train costs as much as one of validation: what the latter takes is known
    from there.
    """
    lines, peak = measured([sys.executable, str(script), str(data), *options, "--frozen=1", "--unfrozen=1"])
    took = next(line["seconds"] for line in lines if line.get("summary"))
    half = took["frozen"] / 2
    frozen = half * (scale.train + scale.validation)
    unfrozen = (took["unfrozen"] - half) * scale.train + half * scale.validation
    return Took(0.0, 0.0, frozen * FROZEN, unfrozen * UNFROZEN, peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--yardstick", type=Path, required=True, help="the plain script")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--limit", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=5216, help="train images to scale to")
    parser.add_argument("--validation", type=int, default=624, help="validation images to scale to")
    a = parser.parse_args()
    common = ["--backbone", a.backbone, "--weights", a.weights, "--limit", str(a.limit)]
    scale = Scale(a.images / a.limit, a.validation / a.limit)
    ways: dict[str, tuple[list[str], int]] = {
        "fresh": (["--augment-views", "off"], 0),
        "default": ([], UNFROZEN),
        "one view": (["--augment-views", "1"], 0),
    }
    found: dict[str, list[Took]] = {name: [] for name in ("plain", *ways)}
    for number in range(a.rounds):
        found["plain"].append(plain(a.yardstick, a.data, common, scale))
        for name, (options, unfrozen) in ways.items():
            found[name].append(ours(a.data, [*common, *options], unfrozen, scale))
        for name, runs in found.items():
            print(f"round {number}: {name}: {runs[-1]}", flush=True)

    def seconds(name: str, *parts: str) -> float:
        return statistics.median(sum(getattr(took, part) for part in parts) for took in found[name])

    rows = [
        (
            f"frozen stage, {FROZEN} epochs, {words}",
            seconds("plain", "frozen"),
            seconds(name, "start", "reading", "frozen"),
        )
        for name, words in (
            ("fresh", "fresh augmentation"),
            ("default", "default views"),
            ("one view", "one view"),
        )
    ]
    an_epoch = [seconds(name, "unfrozen") / UNFROZEN for name in ("plain", "default")]
    rows.append(("unfrozen epoch, everything trained", *an_epoch))
    rows.append(
        (
            f"whole recipe, {FROZEN} + {UNFROZEN} epochs, defaults",
            seconds("plain", "frozen", "unfrozen"),
            seconds("default", "start", "reading", "frozen", "unfrozen"),
        )
    )
    print(f"\n{a.backbone}, seconds for {a.images} + {a.validation} images, from {a.limit} of each")
    print(f"{'':<48}{'plain':>9}{'xray-tui':>10}{'ratio':>8}")
    for title, theirs, mine in rows:
        print(f"{title:<48}{theirs:>9.0f}{mine:>10.0f}{theirs / mine:>7.1f}x")
    peaks = {name: max(took.peak_gib for took in runs) for name, runs in found.items()}
    print("peak memory, GiB: " + ", ".join(f"{name} {peak:.1f}" for name, peak in peaks.items()))


if __name__ == "__main__":
    main()

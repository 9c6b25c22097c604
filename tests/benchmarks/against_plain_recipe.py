"""xray-tui beside the same recipe in plain PyTorch: accuracy, AUC and images a second.

    python tests/benchmarks/against_plain_recipe.py DATA --yardstick plain_recipe.py --seeds 0 1 2 --epochs 4

The yardstick is a script that trains the frozen stage as a notebook does (no cache, no channels_last,
float32, one process) and prints a line of JSON an epoch. It is slow; lines it printed before can be given
with --yardstick-lines FILE... (one file a seed) instead, and then only accuracy and AUC are compared.

"Best" is the epoch with the lowest validation loss, as the recipe chooses; "highest" is the highest
accuracy of any epoch.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def ours(data: Path, epochs: int, seed: int, backbone: str) -> list[Line]:
    """The epoch_ended events of a run of ours."""
    with tempfile.TemporaryDirectory() as runs:
        command = [sys.executable, "-m", "xray_tui", "train", str(data), "--json"]
        command += ["--backbone", backbone, "--split", "recipe", "--runs-dir", runs]
        command += ["--frozen-epochs", str(epochs), "--unfrozen-epochs", "0", "--seed", str(seed)]
        lines = [json.loads(line) for line in _lines(command)]
    found = [line for line in lines if line["type"] == "epoch_ended"]
    train = sum(lines[0]["images"]["train"].values())
    validation = sum(lines[0]["images"]["validation"].values())
    return [
        {
            "loss": line["validation_loss"],
            "accuracy": line["accuracy"],
            "auc": line["auc"],
            "speed": (train + validation) / line["seconds"],
        }
        for line in found
    ]


def yardstick(lines: list[str], images: int | None = None) -> list[Line]:
    parsed = [json.loads(line) for line in lines if line.startswith("{")]
    summary = next((line for line in parsed if line.get("summary")), {})
    images = images or summary.get("train_images", 0) + summary.get("test_images", 0)
    return [
        {
            "loss": line["test_loss"],
            "accuracy": line["accuracy"],
            "auc": line["auc"],
            "speed": images / line["seconds"],
        }
        for line in parsed
        if "epoch" in line
    ]


def _lines(command: list[str]) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def summary(runs: list[list[Line]]) -> Line:
    """Means over seeds."""
    best = [min(run, key=lambda line: line["loss"]) for run in runs]
    return {
        "accuracy, best epoch": statistics.mean(line["accuracy"] for line in best),
        "accuracy, highest": statistics.mean(max(line["accuracy"] for line in run) for run in runs),
        "AUC, best epoch": statistics.mean(line["auc"] for line in best),
        "AUC, highest": statistics.mean(max(line["auc"] for line in run) for run in runs),
        "images/s": statistics.median(line["speed"] for run in runs for line in run),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--yardstick", type=Path, help="the plain script")
    parser.add_argument(
        "--yardstick-lines", type=Path, nargs="+", help="what it printed before, a file a seed"
    )
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    a = parser.parse_args()
    if not (a.yardstick or a.yardstick_lines):
        parser.error("give --yardstick or --yardstick-lines")
    mine: list[list[Line]] = []
    theirs = [yardstick(file.read_text().splitlines()) for file in a.yardstick_lines or []]
    for seed in a.seeds:
        mine.append(ours(a.data, a.epochs, seed, a.backbone))
        print(f"seed {seed}: ours {mine[-1]}", flush=True)
        if not a.yardstick_lines:
            command = [sys.executable, str(a.yardstick), str(a.data), "--backbone", a.backbone]
            command += ["--frozen", str(a.epochs), "--unfrozen", "0", "--seed", str(seed)]
            theirs.append(yardstick(_lines(command)))
            print(f"seed {seed}: plain {theirs[-1]}", flush=True)
    one, other = summary(mine), summary(theirs)
    print(f"\n{'mean over seeds':<24}{'xray-tui':>10}{'plain':>10}{'difference':>12}")
    for name in list(one)[:-1]:
        print(f"{name:<24}{one[name]:>10.4f}{other[name]:>10.4f}{one[name] - other[name]:>+12.4f}")
    if not a.yardstick_lines:
        print(f"{'images/s (median)':<24}{one['images/s']:>10.1f}{other['images/s']:>10.1f}", end="")
        print(f"{one['images/s'] / other['images/s']:>11.2f}x")


if __name__ == "__main__":
    main()

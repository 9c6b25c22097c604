"""How good the results are: each protocol with several seeds, and the table that the README has.

    python tests/benchmarks/accuracy.py ~/chest_xray --runs-dir /tmp/accuracy
    python tests/benchmarks/accuracy.py ~/chest_xray --runs-dir /tmp/accuracy --rows tuned --seeds 1
    python tests/benchmarks/accuracy.py ~/chest_xray --runs-dir /tmp/accuracy --table

Takes hours. What a run came to is kept in the runs folder: started once more, only what is missing is done,
and a run that was interrupted goes on. `--table` prints what there is.

The row `published` is selected on test, as the recipe was published: its numbers are those of the best epoch
on the folder `test`. The other rows hold validation out by patient, and look at test once, at the end.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

from xray_tui.events import EpochEnded, TestEvaluated
from xray_tui.runs import follow, index
from xray_tui.runs.index import Summary
from xray_tui.runs.record import RunRecord
from xray_tui.words import duration

ROWS = {
    "published": ["--preset", "recipe", "--split", "recipe"],
    "holdout": ["--preset", "recipe", "--split", "holdout"],
    "tuned": ["--preset", "tuned"],
}
METRICS = ("auc", "accuracy", "sensitivity", "specificity", "balanced_accuracy")


def named(runs: Path, name: str) -> Summary | None:
    if not runs.is_dir():
        return None
    return next((summary for summary in index.summaries(runs) if summary.name == name), None)


def bring_to_its_end(data: Path, runs: Path, name: str, options: list[str]) -> None:
    found = named(runs, name)
    if found is None:
        command = ["train", str(data), "--runs-dir", str(runs), "--name", name, *options]
    elif found.status == "interrupted":
        command = ["resume", found.directory.name, "--runs-dir", str(runs)]
    else:
        return
    print(f"xray-tui {' '.join(command)}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "xray_tui", *command], check=True, stdout=subprocess.DEVNULL)


def counting(summary: Summary) -> EpochEnded | TestEvaluated | None:
    """What the protocol has the run judged by; nothing before its end."""
    if summary.status != "done":
        return None
    record = RunRecord.of(follow.read(summary.directory))
    if summary.settings["data"]["split"] == "recipe":
        return record.best_epoch
    return record.test if record.test and not record.test.skipped else None


def table(runs: Path, seeds: int) -> None:
    print("| " + " | ".join(["run", "seeds", *(name.replace("_", " ") for name in METRICS), "time"]) + " |")
    print("|---" * (len(METRICS) + 3) + "|")
    for row in ROWS:
        summaries = [found for seed in range(seeds) if (found := named(runs, f"{row} {seed}"))]
        results = [(summary, result) for summary in summaries if (result := counting(summary))]
        cells = [row, str(len(results))]
        for metric in METRICS:
            values = [value for _, result in results if (value := getattr(result, metric)) is not None]
            spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.4f}{spread}" if values else "–")
        times = [summary.seconds for summary, _ in results if summary.seconds is not None]
        cells.append(duration(statistics.mean(times)) if times else "–")
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs-dir", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--table", action="store_true", help="only print what there is")
    a = parser.parse_args()
    if not a.table:
        for seed in range(a.seeds):  # a row is worth little without the others: one seed of each first
            for row in a.rows:
                options = ["--backbone", a.backbone, "--image-size", str(a.image_size), "--seed", str(seed)]
                bring_to_its_end(a.data, a.runs_dir, f"{row} {seed}", [*options, *ROWS[row]])
    table(a.runs_dir, a.seeds)


if __name__ == "__main__":
    main()

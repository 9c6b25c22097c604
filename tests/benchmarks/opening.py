"""How long a run of 10,000 epochs takes to open: from its journal to the record that the screen shows.

    python tests/benchmarks/opening.py
    python tests/benchmarks/opening.py --epochs 10000 --repeats 7

The journal has 32 mistakes an epoch (about 50 MB). Also times what every paint asks of the record: an epoch
by its number, the best epoch, and one epoch's mistakes, which are decoded when they are first asked for.
Fails where the median of opening is 0.5 s or more.
"""

import argparse
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator

import msgspec

from xray_tui import config, event_lines
from xray_tui.events import (
    Best,
    CheckpointSaved,
    EpochEnded,
    Event,
    Mistake,
    Mistakes,
    RunStarted,
    StageStarted,
)
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.follow import read
from xray_tui.runs.record import RunRecord

LIMIT_SECONDS = 0.5
MISTAKES = 32


def long_run(epochs: int) -> Iterator[Event]:
    settings = config.load({"training.frozen.epochs": epochs})
    yield RunStarted(
        t=0.0,
        run="20261124-101500-resnet50",
        settings=msgspec.to_builtins(settings),
        device="cuda:0",
        backbone="resnet50",
        weights="IMAGENET1K_V1",
        classes=["NORMAL", "PNEUMONIA"],
        images={
            "train": {"NORMAL": 1341, "PNEUMONIA": 3875},
            "validation": {"NORMAL": 234, "PNEUMONIA": 390},
        },
        split_note="recipe",
        unreadable=0,
        parameters=25_610_308,
    )
    yield StageStarted(
        t=0.1,
        stage="frozen",
        first_epoch=0,
        epochs=epochs,
        learning_rate=1e-3,
        trainable_parameters=2_102_276,
        total_parameters=25_610_308,
    )
    for epoch in range(epochs):
        t, loss = 13.0 * (epoch + 1), 0.3 + math.exp(-epoch / 100)
        yield EpochEnded(
            t=t,
            stage="frozen",
            epoch=epoch,
            train_loss=loss,
            validation_loss=loss + 0.01 * math.sin(epoch),
            accuracy=0.891234,
            auc=0.951234,
            sensitivity=0.951234,
            specificity=0.781234,
            confusion=[[171, 63], [19, 371]],
            learning_rate=1e-3,
            images_per_second=410.123456,
            seconds=13.123456,
        )
        if epoch < 500:
            yield Best(t=t, stage="frozen", epoch=epoch, validation_loss=loss, accuracy=0.891234)
        worst = [
            Mistake(
                path=f"test/PNEUMONIA/person{number}_bacteria_{epoch}.jpeg",
                actual=1,
                predicted=0,
                probability=0.9963901638984 - number / 1000,
                loss=5.62409496307373 - number / 100,
            )
            for number in range(MISTAKES)
        ]
        yield Mistakes(t=t, stage="frozen", epoch=epoch, total=82, worst=worst)
        yield CheckpointSaved(
            t=t, checkpoint="last", epoch=epoch + 1, path="checkpoints/last", bytes=102_000_000
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=7)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as runs:
        directory = RunDirectory.create(config.load({"run.runs_dir": runs}))
        with directory.journal.open("wb") as journal:
            for seq, event in enumerate(long_run(a.epochs)):
                journal.write(event_lines.encode(event, seq) + b"\n")
        print(f"{a.epochs} epochs, {directory.journal.stat().st_size / 1e6:.0f} MB of journal")
        times = []
        for _ in range(a.repeats):
            began = time.perf_counter()
            record = RunRecord.of(read(directory))
            times.append(time.perf_counter() - began)
        assert len(record.epochs) == a.epochs
        print(
            f"opening: median {statistics.median(times):.3f} s, best {min(times):.3f} s, "
            f"worst {max(times):.3f} s"
        )
        began = time.perf_counter()
        for _ in range(1000):
            assert record.epoch(a.epochs // 2)
            assert record.best_epoch
        print(f"epoch by number and best epoch: {1e3 * (time.perf_counter() - began):.2f} µs together")
        began = time.perf_counter()
        mistakes = record.mistakes[a.epochs // 2]
        print(f"one epoch's mistakes: {1e6 * (time.perf_counter() - began):.0f} µs")
        assert len(mistakes.worst) == MISTAKES
    if statistics.median(times) >= LIMIT_SECONDS:
        sys.exit(f"slower than {LIMIT_SECONDS} s")


if __name__ == "__main__":
    main()

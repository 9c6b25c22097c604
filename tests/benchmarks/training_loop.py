"""The unfrozen training loop beside the bare model: how much of its images a second is left.

    python tests/benchmarks/training_loop.py DATA --batch-size 64 --batches 6 --pairs 5

The bare model is ours, in the same precision, at the same batch size, with the same optimiser; it trains on
one batch that lies ready. The loop augments, normalises, reports and obeys beside it. Both train --batches
batches in turn; of the pairs the median ratio is printed. Prints where the loop's time went too.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from xray_tui import config
from xray_tui.data.augmentation import Normalisation
from xray_tui.engine import plan as plans
from xray_tui.engine import process
from xray_tui.engine.batches import Batch, Batches
from xray_tui.engine.controls import Controls
from xray_tui.engine.epoch import Step, TrainPass, train_epoch
from xray_tui.engine.learner import Learner
from xray_tui.engine.reading import Reader
from xray_tui.engine.reporting import Reporter
from xray_tui.engine.times import Times

LIMIT = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--batches", type=int, default=6)
    parser.add_argument("--pairs", type=int, default=5)
    a = parser.parse_args()
    process.set_up()
    settings = config.load(
        {
            "data.root": str(Path(a.data)),
            "data.limit": a.batch_size * a.batches,
            "data.split": "recipe",
            "model.backbone": a.backbone,
            "model.weights": a.weights,
            "training.batch_size": a.batch_size,
        }
    )
    plan = plans.make(settings, lambda _: None)
    hardware, model, training = plan.hardware, plan.model, plan.settings.training
    hardware.set_up()
    reporter = Reporter(lambda _: None, Controls())
    pixels, _ = Reader(plan, reporter).train_and_validation()
    normalisation = Normalisation(plan.backbone.mean, plan.backbone.std, hardware.device)
    times = Times()
    batches = Batches(training, normalisation, hardware.device, hardware.threads, times)
    ready = next(batches.train(pixels, 0))
    model.unfreeze()
    learner = Learner.of(plan, "unfrozen")

    def speed(source: Iterator[Batch], step: Step, clock: Times) -> float:
        so_far = TrainPass.begin(hardware.device)
        train_epoch(
            model,
            model,
            source,
            learner.optimizer,
            learner.objective,
            hardware,
            seed=0,
            epoch=0,
            so_far=so_far,
            step=step,
            times=clock,
        )
        so_far.loss_sum.item()  # a GPU is done only then
        return so_far.images / (time.monotonic() - so_far.began)

    def bare(count: int) -> float:
        return speed(iter([ready] * count), lambda _: None, Times())

    def loop(epoch: int) -> float:
        step = reporter.steps("train", len(pixels), "unfrozen")
        return speed(batches.train(pixels, epoch), step, times)

    bare(2)  # what is made at first use
    ratios = []
    for pair in range(a.pairs):
        one, other = bare(a.batches), loop(pair)
        ratios.append(other / one)
        print(f"bare {one:6.1f} images/s, loop {other:6.1f} images/s, ratio {ratios[-1]:.3f}", flush=True)
    batches.close()
    print(times.table())
    median = statistics.median(ratios)
    print(
        f"{a.backbone}, batches of {a.batch_size}, {hardware.words}: median {median:.3f} (at least {LIMIT})"
    )


if __name__ == "__main__":
    main()

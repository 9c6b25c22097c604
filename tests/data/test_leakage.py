"""Copies that a run finds by its pixels, and the patients of two roles."""

import shutil
from pathlib import Path

import pytest
import torch

from tests.conftest import write_folder, write_image
from xray_tui import config
from xray_tui.data import folders, leakage, pixels, splits
from xray_tui.data.findings import Survey, shift
from xray_tui.data.pixels import Pixels
from xray_tui.data.splits import Roles
from xray_tui.settings import Settings

SETTINGS = config.load({"training.image_size": 32})
ZOOMED = config.load({"training.image_size": 32, "evaluation.zoom": 1.25})


def survey_of(root: Path, settings: Settings = SETTINGS) -> tuple[Survey, Pixels, Pixels]:
    """Train and test of a folder, as a run holds them."""
    listing, training = folders.scan(root), settings.training
    roles = Roles(listing.folders["train"], [], listing.folders["test"], "holdout", "")
    train = pixels.read_train(root, roles.train, training.resize, lambda done: None)
    test = pixels.read_plain(root, roles.test, settings.resize, training.image_size, lambda done: None)
    return Survey(listing, roles, settings), train, test


def found_in(root: Path) -> dict[str, list[list[str]]]:
    survey, train, test = survey_of(root)
    return {f.kind: [group.files for group in f.groups] for f in leakage.between(survey, train, test)}


def test_copies_across_roles_within_and_across_classes(chest: Path) -> None:
    assert found_in(chest) == {}
    write_image(chest / "train/NORMAL/a.png", seed=77, size=(200, 90))  # it is shrunk before it is kept
    shutil.copy(chest / "train/NORMAL/a.png", chest / "test/NORMAL/b.png")
    shutil.copy(chest / "train/NORMAL/a.png", chest / "test/NORMAL/c.png")
    write_image(chest / "train/NORMAL/d.png", seed=78)
    shutil.copy(chest / "train/NORMAL/d.png", chest / "train/PNEUMONIA/e.png")
    write_image(chest / "train/NORMAL/f.png", seed=79)
    shutil.copy(chest / "train/NORMAL/f.png", chest / "train/NORMAL/g.png")
    assert found_in(chest) == {
        "copies across roles": [["train/NORMAL/a.png", "test/NORMAL/b.png", "test/NORMAL/c.png"]],
        "copies across classes": [["train/NORMAL/d.png", "train/PNEUMONIA/e.png"]],
        "copies": [["train/NORMAL/f.png", "train/NORMAL/g.png"]],
    }
    survey, train, test = survey_of(chest)
    assert all("Pixel for pixel" in f.means for f in leakage.between(survey, train, test))
    assert list(leakage.between(survey, None, test)) == []


def test_a_copy_is_found_where_validation_and_test_are_zoomed(chest: Path) -> None:
    write_image(chest / "train/NORMAL/a.png", seed=77, size=(200, 90))
    shutil.copy(chest / "train/NORMAL/a.png", chest / "test/NORMAL/b.png")
    (found,) = leakage.between(*survey_of(chest, ZOOMED))
    assert [group.files for group in found.groups] == [["train/NORMAL/a.png", "test/NORMAL/b.png"]]
    survey, train, test = survey_of(chest, ZOOMED)
    (chest / "train/NORMAL/a.png").write_bytes(b"\0" * (chest / "test/NORMAL/b.png").stat().st_size)
    assert list(leakage.between(survey, train, test)) == []


def test_one_mark_of_two_images_makes_no_copies(chest: Path) -> None:
    survey, train, test = survey_of(chest)
    marked = [
        Pixels(p.files, p.images, p.labels, torch.zeros(len(p), dtype=torch.int64), p.broken)
        for p in (train, test)
    ]
    assert leakage.same_pixels(survey, *marked) == {}


def test_patients_of_both_roles_are_named(chest: Path) -> None:
    write_image(chest / "test/PNEUMONIA/person0001_bacteria_9.png", seed=5555)
    assert found_in(chest) == {
        "patients": [["train/PNEUMONIA/person0001_virus_1.png", "test/PNEUMONIA/person0001_bacteria_9.png"]]
    }


@pytest.mark.parametrize(
    ("train", "test", "told"),
    [
        ((26, 74), (39, 61), []),  # p is 0.05
        ((520, 1480), (156, 244), ["61 % of test are b, 74 % of train"]),
        ((520, 1480), (116, 284), []),  # 3 points, whatever p
        ((500, 500), (0, 40), ["100 % of test are b, 50 % of train"]),
    ],
)
def test_a_shift_of_the_classes(
    tmp_path: Path, train: tuple[int, int], test: tuple[int, int], told: list[str]
) -> None:
    names = {"train": train, "test": test}
    listing = folders.Listing(
        tmp_path,
        ["a", "b"],
        {
            split: [
                folders.ImageFile(f"{split}/{'ab'[label]}/{number}.png", label)
                for label, count in enumerate(counts)
                for number in range(count)
            ]
            for split, counts in names.items()
        },
    )
    roles = Roles(listing.folders["train"], [], listing.folders["test"], "holdout", "")
    assert [f.title for f in shift(Survey(listing, roles, SETTINGS), {})] == told


def test_a_split_by_patient_leaks_none(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "d", {"train": {"a": 9, "b": 9}, "test": {"a": 2, "b": 2}})
    write_image(root / "train/b/person0001_virus_2.png", seed=44)
    listing = folders.scan(root)
    roles = splits.assign(listing, config.load({"data.split": "holdout", "data.holdout": 0.4}).data, 0)
    survey = Survey(listing, Roles(roles.train, roles.validation, [], "holdout", ""), SETTINGS)
    some = pixels.read_plain(root, roles.validation, 38, 32, lambda done: None)
    assert list(leakage.between(survey, None, some)) == []

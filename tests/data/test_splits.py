from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import write_folder
from xray_tui.data.folders import ImageFile, Listing, scan
from xray_tui.data.splits import Roles, assign, limit, patient_of
from xray_tui.errors import UserError
from xray_tui.settings import DataSettings


def listing(**counts: int) -> Listing:
    """Folders with that many images, every third one of class 1."""
    return Listing(
        Path("/data"),
        ["NORMAL", "PNEUMONIA"],
        {
            split: [
                ImageFile(f"{split}/{'NORMAL' if n % 3 else 'PNEUMONIA'}/{n:04}.png", 0 if n % 3 else 1)
                for n in range(count)
            ]
            for split, count in counts.items()
        },
    )


def sizes(roles: Roles) -> tuple[int, int, int]:
    return len(roles.train), len(roles.validation), len(roles.test)


@pytest.mark.parametrize(
    ("counts", "split", "expected"),
    [
        ({"train": 60, "test": 624, "val": 16}, "recipe", (60, 624, 16)),  # as published
        ({"train": 60, "test": 600, "val": 59}, "folders", (60, 59, 600)),  # 50 or more: not tiny
        (
            {"train": 60, "test": 100, "val": 12},
            "folders",
            (60, 12, 100),
        ),  # a tenth of test or more: not tiny
        ({"train": 60, "test": 100}, "recipe", (60, 100, 0)),
    ],
)
def test_auto_takes_the_recipe_where_val_is_missing_or_tiny(
    counts: dict[str, int], split: str, expected: tuple[int, int, int]
) -> None:
    roles = assign(listing(**counts), DataSettings(), 0)
    assert roles.split == split
    assert sizes(roles) == expected
    assert "auto" in roles.note


def test_folders_are_taken_as_named() -> None:
    roles = assign(listing(train=30, test=20, val=9), DataSettings(split="folders"), 0)
    assert {file.path.split("/")[0] for file in roles.validation} == {"val"}
    assert sizes(roles) == (30, 9, 20)


def test_folders_need_a_val() -> None:
    with pytest.raises(UserError, match="no images in val/"):
        assign(listing(train=30, test=20), DataSettings(split="folders"), 0)


def test_holdout_leaves_test_alone_and_no_patient_on_both_sides(tmp_path: Path) -> None:
    root = tmp_path
    write_folder(root, {"test": {"NORMAL": 3, "PNEUMONIA": 3}})
    from tests.conftest import write_image

    for person in range(12):
        for number in range(1 + person % 3):
            write_image(root / "train" / "PNEUMONIA" / f"person{person}_virus_{number}.png", size=(4, 4))
            write_image(root / "train" / "NORMAL" / f"IM-{person:04}-{number:04}.png", size=(4, 4))
    roles = assign(scan(root), DataSettings(split="holdout", holdout=0.25), 0)
    train = {patient_of(file) for file in roles.train}
    validation = {patient_of(file) for file in roles.validation}
    assert train.isdisjoint(validation)
    assert {file.path.split("/")[0] for file in roles.test} == {"test"}
    assert len(roles.train) + len(roles.validation) == 48
    for label in (0, 1):  # a quarter of each class's 24 images, at most one patient (3 images) more
        assert 6 <= sum(file.label == label for file in roles.validation) < 9


def test_who_has_images_of_several_classes_is_held_out_for_all_or_none() -> None:
    files = [
        ImageFile(f"train/{label}/{person}_{label}.png", label, patient=str(person))
        for label in range(3)
        for person in range(40)
        if (person + label) % 4
    ]
    listed = Listing(Path("chest"), ["A", "B", "C"], {"train": files})
    roles = assign(listed, DataSettings(split="holdout", holdout=0.2), 0)
    train, validation = ({file.patient for file in role} for role in (roles.train, roles.validation))
    assert train.isdisjoint(validation)
    for label in range(3):
        assert sum(file.label == label for file in roles.validation) >= 0.2 * 30
    assert len(roles.validation) < 0.3 * len(files)


def test_holdout_is_the_same_for_a_seed_and_another_for_another() -> None:
    data = DataSettings(split="holdout")
    one, again, other = (assign(listing(train=90, test=20), data, seed) for seed in (1, 1, 2))
    assert one == again
    assert one.validation != other.validation


@pytest.mark.parametrize(
    ("path", "patient"),
    [
        ("train/PNEUMONIA/person12_bacteria_34.jpeg", "person12"),
        ("train/PNEUMONIA/person12_virus_35.jpeg", "person12"),
        ("train/NORMAL/IM-0031-0001.jpeg", "IM-0031"),
        ("train/NORMAL/IM-0031-0001-0002.jpeg", "IM-0031"),
        ("train/NORMAL/NORMAL2-IM-0031-0001.jpeg", "NORMAL2-IM-0031"),
        ("train/NORMAL/scan 7.png", "train/NORMAL/scan 7.png"),  # PNEUMONIA may have a scan 7 of its own
        ("train/NORMAL/persona.png", "train/NORMAL/persona.png"),
    ],
)
def test_patient(path: str, patient: str) -> None:
    assert patient_of(ImageFile(path, 0)) == patient


@given(st.lists(st.integers(1, 60), min_size=2, max_size=4), st.integers(0, 150), st.integers(0, 3))
def test_limit_is_stratified(counts: list[int], count: int, seed: int) -> None:
    files = [ImageFile(f"{label}/{n}", label) for label, size in enumerate(counts) for n in range(size)]
    chosen = limit(files, count, seed)
    assert chosen == limit(files, count, seed)
    assert len(chosen) == (min(count, len(files)) if count else len(files))
    assert [file for file in files if file in set(chosen)] == chosen  # in order, none twice
    found = Counter(file.label for file in chosen)
    if count >= len(counts):
        assert set(found) == set(range(len(counts)))
    for label, size in enumerate(counts):
        exact = len(chosen) * size / len(files)
        # One seat by remainder, and those given to classes that would have none.
        assert abs(found[label] - exact) < 1 + len(counts)


def test_limit_by_hand() -> None:
    files = [ImageFile(f"a/{n}", 0) for n in range(30)] + [ImageFile(f"b/{n}", 1) for n in range(10)]
    assert Counter(file.label for file in limit(files, 8, 0)) == {0: 6, 1: 2}
    assert limit(files, 8, 0) != limit(files, 8, 1)


def test_a_role_without_a_class_is_refused() -> None:
    data = listing(train=30, test=20, val=9)
    only_normal = [file for file in data.folders["test"] if file.label == 0]
    broken = Listing(data.root, data.classes, data.folders | {"test": only_normal})
    with pytest.raises(UserError, match="no validation image of PNEUMONIA"):
        assign(broken, DataSettings(split="recipe"), 0)

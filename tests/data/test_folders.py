from pathlib import Path

import pytest

from tests.conftest import write_folder, write_image
from xray_tui.data.folders import scan
from xray_tui.errors import UserError


def test_counts_by_split_and_class(chest: Path) -> None:
    listing = scan(chest)
    assert listing.classes == ["NORMAL", "PNEUMONIA"]
    assert listing.counts == {
        "train": {"NORMAL": 10, "PNEUMONIA": 14},
        "val": {"NORMAL": 2, "PNEUMONIA": 2},
        "test": {"NORMAL": 6, "PNEUMONIA": 8},
    }
    assert listing.folders["val"][0].path == "val/NORMAL/IM-2000-0001.png"


def test_three_classes_are_sorted_by_name(tmp_path: Path) -> None:
    counts = {split: {"c": 2, "a": 2, "b": 2} for split in ("train", "test")}
    assert scan(write_folder(tmp_path, counts)).classes == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["chest_xray", "my data ünïcode"])
def test_doubled_folder_is_found(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path / name / name)
    assert scan(tmp_path / name).root == tmp_path / name / name


def test_kaggle_leftovers_are_no_classes_and_no_images(chest: Path) -> None:
    (chest / "train" / "__MACOSX").mkdir()
    (chest / "train" / ".DS_Store").write_bytes(b"x")
    (chest / "train" / "NORMAL" / "._IM-0001.jpeg").write_bytes(b"x")
    (chest / "train" / "NORMAL" / "notes.txt").write_text("x")
    assert scan(chest).counts["train"] == {"NORMAL": 10, "PNEUMONIA": 14}


def test_an_empty_val_is_no_val(chest: Path) -> None:
    for file in (chest / "val").glob("*/*"):
        file.unlink()
    assert "val" not in scan(chest).folders


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such folder.*nowhere"):
        scan(tmp_path / "nowhere")


def test_missing_test_folder(tmp_path: Path) -> None:
    write_image(tmp_path / "train" / "a" / "1.png")
    with pytest.raises(UserError, match="has no folder test/"):
        scan(tmp_path)


def test_no_images(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
    with pytest.raises(UserError, match="no images in"):
        scan(tmp_path)


def test_one_class_only(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"needs two classes.*has only"):
        scan(write_folder(tmp_path, {"train": {"only": 3}, "test": {"only": 3}}))


def test_classes_that_differ_between_splits(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": {"a": 2, "b": 2}, "test": {"a": 2, "c": 2}})
    with pytest.raises(UserError, match=r"test/ differ.*lacks b and has c besides"):
        scan(tmp_path)


def test_a_class_without_images(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": {"a": 2, "b": 2}, "test": {"a": 2}})
    (tmp_path / "test" / "b").mkdir()
    with pytest.raises(UserError, match="no images of b"):
        scan(tmp_path)

"""MedMNIST's arrays as data."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from xray_tui import config
from xray_tui.data import archive, checks
from xray_tui.data.decoding import decode
from xray_tui.data.folders import Listing
from xray_tui.data.folders import scan as scan_folder
from xray_tui.data.pseudonyms import Pseudonyms, locate, own_key
from xray_tui.data.sources import look, scan, scan_labelled
from xray_tui.data.splits import assign, patient_of
from xray_tui.errors import UserError
from xray_tui.files import cache_folder
from xray_tui.settings import DataSettings


def arrays(
    counts: dict[str, int] | None = None, *, classes: int = 2, **others: Any
) -> dict[str, NDArray[Any]]:
    """As MedMNIST has them; image n of a split is of class ``n % classes``, and all of it ``10 × class + n``.

    Args:
        others: arrays in place of those; ``None`` leaves one out.
    """
    made = {}
    for split, count in (counts or {"train": 8, "val": 4, "test": 6}).items():
        number = np.arange(count)
        level = (10 * (number % classes) + number).astype(np.uint8)
        made[f"{split}_images"] = np.broadcast_to(level[:, None, None], (count, 28, 28)).copy()
        made[f"{split}_labels"] = (number % classes).astype(np.uint8)[:, None]
    return {name: array for name, array in (made | others).items() if array is not None}


def write(folder: Path, name: str = "pneumoniamnist.npz", **given: Any) -> Path:
    file = folder / name
    np.savez_compressed(file, **given)
    return file


def test_images_have_their_split_class_and_pixels(tmp_path: Path) -> None:
    file, told = write(tmp_path, **arrays()), []
    listing = scan(file, progress=lambda done, total: told.append((done, total)))
    assert listing.classes == ["normal", "pneumonia"]
    assert listing.source == file
    assert listing.counts == {
        "train": {"normal": 4, "pneumonia": 4},
        "val": {"normal": 2, "pneumonia": 2},
        "test": {"normal": 3, "pneumonia": 3},
    }
    assert [image.path for image in listing.folders["val"]] == [
        "val/normal/val0000000.png",
        "val/normal/val0000002.png",
        "val/pneumonia/val0000001.png",
        "val/pneumonia/val0000003.png",
    ]
    levels = [int(decode(listing.root / image.place).mean()) for image in listing.folders["val"]]
    assert levels == [0, 2, 11, 13]
    assert scan_folder(listing.root).folders == listing.folders
    assert told == [(done, 18) for done in range(1, 19)]
    told.clear()
    assert scan(file, progress=lambda done, total: told.append((done, total))) == listing
    assert told == []


def test_looking_writes_nothing(tmp_path: Path) -> None:
    listing = look(write(tmp_path, **arrays()))
    assert not listing.root.exists()
    assert len(listing.folders["train"]) == 8


@pytest.mark.parametrize(
    ("name", "classes", "expected"),
    [
        ("pneumoniamnist_224.npz", 2, ["normal", "pneumonia"]),
        ("PneumoniaMNIST.NPZ", 2, ["normal", "pneumonia"]),
        ("mine.npz", 2, ["0", "1"]),
        ("mine.npz", 11, [f"{number:02}" for number in range(11)]),
        ("pneumoniamnist.npz", 3, ["0", "1", "2"]),
        ("octmnist.npz", 4, ["choroidal neovascularization", "diabetic macular edema", "drusen", "normal"]),
    ],
)
def test_classes_have_medmnist_s_names_or_numbers(
    tmp_path: Path, name: str, classes: int, expected: list[str]
) -> None:
    counts = {"train": 2 * classes, "test": classes}
    with (tmp_path / name).open("wb") as file:  # numpy would add a suffix in small letters
        np.savez(file, **arrays(counts, classes=classes))
    listing = look(tmp_path / name)
    assert listing.classes == expected
    assert list(listing.folders) == ["train", "test"]


def test_colour_and_labels_in_one_dimension(tmp_path: Path) -> None:
    images = np.zeros((4, 28, 30, 3), np.uint8)
    images[..., 0] = 255
    labels = np.array([5, 9, 5, 9])
    given = {
        f"{split}_{what}": a
        for split in ("train", "test")
        for what, a in (("images", images), ("labels", labels))
    }
    listing = scan(write(tmp_path, "bloodmnist.npz", **given))
    assert listing.classes == ["5", "9"]
    assert (decode(listing.root / listing.folders["train"][0].place) == 76).all()  # 0.299 × 255


def test_an_image_is_a_patient_of_its_own_and_splits_are_taken_as_named(tmp_path: Path) -> None:
    listing = look(write(tmp_path, **arrays({"train": 8, "val": 60, "test": 6})))
    roles = assign(listing, DataSettings(), 0)
    assert (roles.split, len(roles.train), len(roles.validation), len(roles.test)) == ("folders", 8, 60, 6)
    assert len({patient_of(image) for image in roles.train + roles.validation + roles.test}) == 74


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"train_labels": np.zeros((8, 14), np.uint8)}, "14 labels an image"),
        ({"train_labels": None}, "no array train_labels"),
        ({"val_images": None}, "no array val_images"),
        ({"train_images": np.zeros((8, 28, 28, 28), np.uint8)}, "8 × 28 × 28 × 28: no images of 8 bits"),
        ({"train_images": np.zeros((8, 28, 28), np.float32)}, "float32 8 × 28 × 28"),
        ({"train_images": np.zeros((8, 4, 4), np.uint8)}, "4 × 4 pixels"),
        ({"train_images": np.zeros((28, 28, 8), np.uint8).T}, "no plain array"),
        ({"train_labels": np.zeros((7, 1), np.uint8)}, "not one for each image"),
        ({"train_labels": np.array(["a"] * 8)}, "not one for each image"),
        ({"train_labels": np.array([[0], [1]] * 4, object)}, "no plain array"),
        ({"test_labels": np.zeros((6, 1), np.uint8)}, "no test image of pneumonia"),
        (
            {
                f"{split}_labels": np.zeros((n, 1), int)
                for split, n in (("train", 8), ("val", 4), ("test", 6))
            },
            "two classes",
        ),
    ],
)
def test_what_does_not_fit_says_why(tmp_path: Path, others: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        look(write(tmp_path, **arrays(**others)))


class Trap:
    """Pickled, it leaves a trace where it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    trap = np.array([Trap(tmp_path / "trace")] * 8, object)
    for name in ("train_images", "train_labels"):
        with pytest.raises(UserError):
            scan(write(tmp_path, **arrays(**{name: trap})))
    assert not (tmp_path / "trace").exists()


def header(shape: tuple[int, ...]) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return out.getvalue()


@pytest.mark.parametrize("shape", [(10**9, 28, 28), (8, 28, 28), (8, 60_000, 60_000), (-1, 28, 28)])
def test_a_shape_that_the_array_has_not_is_not_believed(tmp_path: Path, shape: tuple[int, ...]) -> None:
    file = tmp_path / "bomb.npz"
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("train_images.npy", header(shape) + bytes(100))
        made.writestr("train_labels.npy", header((shape[0], 1)) + bytes(8))
    with pytest.raises(UserError):
        scan(file)


def test_what_was_interrupted_is_not_taken_for_whole(tmp_path: Path) -> None:
    file = write(tmp_path, **arrays())

    def interrupt(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(file, progress=interrupt)
    assert list((cache_folder() / "unpacked").iterdir()) == []
    assert len(list(scan(file).root.rglob("*.png"))) == 18


def test_what_a_power_cut_or_a_tidy_hand_left_of_it_is_unpacked_anew(tmp_path: Path) -> None:
    file = write(tmp_path, **arrays())
    there = scan(file)
    images = sorted(there.root.rglob("*.png"))
    before = [image.read_bytes() for image in images]
    images[0].write_bytes(b"")
    images[1].unlink()
    left = there.root.with_name("anything.part")
    left.mkdir()
    os.utime(left, (0, 0))
    scan(file)
    assert [image.read_bytes() for image in images] == before
    assert not left.exists()


def test_a_damaged_image_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    file = tmp_path / "plain.npz"
    np.savez(file, **arrays())  # not compressed: pixels lie in the file as they are
    content = file.read_bytes()
    file.write_bytes(content.replace(bytes([13]) * 784, bytes([14]) * 784, 1))
    with pytest.raises(UserError, match=r"plain\.npz is damaged: Bad CRC-32"):
        scan(file)
    assert list((cache_folder() / "unpacked").iterdir()) == []


def test_no_room_is_told_before_a_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, **arrays())
    monkeypatch.setattr(archive, "_SPARE_BYTES", 1 << 60)
    with pytest.raises(UserError, match="no room to unpack") as raised:
        scan(file)
    assert "XRAY_TUI_CACHE_DIR" in str(raised.value.hint)


def test_an_image_is_found_by_what_a_run_calls_it_though_the_cache_was_cleared(tmp_path: Path) -> None:
    file = write(tmp_path, **arrays())
    roles = assign(look(file), DataSettings(split="folders"), 0)
    hidden = Pseudonyms(own_key()).hide(roles).train[0]
    assert hidden.path.startswith("train/normal/")
    for called in (roles.train[0].path, hidden.path):
        found = locate(file / called)
        assert found.name == "train0000000.png"
        assert (decode(found) == 0).all()


def test_checks_and_images_to_be_judged(tmp_path: Path) -> None:
    file = write(tmp_path, **arrays())
    survey = checks.survey(file, config.load({"data.split": "folders"}))
    report = checks.judge(survey, checks.read(survey).facts)
    assert report.root == str(file)
    assert report.sizes is not None
    assert (report.sizes.images, report.sizes.commonest.width) == (18, 28)
    assert len(scan_labelled(file).folders["test"]) == 6


_GOOD = io.BytesIO()
np.savez_compressed(_GOOD, **arrays())


@given(st.data())
def test_broken_bytes_are_a_listing_or_a_user_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    broken = bytearray(_GOOD.getvalue())
    for _ in range(data.draw(st.integers(0, 3))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.getbasetemp() / "any.npz"
    file.write_bytes(bytes(broken[: data.draw(st.integers(0, len(broken)))]))
    os.utime(file, ns=(0, data.draw(st.integers(0, 2**60))))  # or it may be taken for the one before
    found: object
    try:
        found = look(file)
    except UserError as error:
        found = error.message
    assert isinstance(found, Listing) or found

"""The demo radiographs: deterministic, refused where they would overwrite, plausible, and not told apart by
brightness alone."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from xray_tui.data import demo
from xray_tui.data.demo import make_demo, radiograph
from xray_tui.data.phantom import VESSEL, Chest, Frame, facing, section, tubes
from xray_tui.errors import UserError

SIZE_PX = 96
COUNTS = {
    "train": {"NORMAL": 3, "PNEUMONIA": 4},
    "test": {"NORMAL": 2, "PNEUMONIA": 3},
    "val": {"NORMAL": 1, "PNEUMONIA": 1},
}


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def films(pneumonia: bool, count: int, size_px: int = SIZE_PX) -> NDArray[np.uint8]:
    return np.stack([radiograph(np.random.default_rng([3, i]), pneumonia, size_px) for i in range(count)])


def test_a_film_is_grey_square_and_its_own(tmp_path: Path) -> None:
    first, again = (radiograph(np.random.default_rng(5), True, SIZE_PX) for _ in range(2))
    assert first.shape == (SIZE_PX, SIZE_PX)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, radiograph(np.random.default_rng(6), True, SIZE_PX))


@pytest.mark.parametrize("size_px", [48, 100, 257])
def test_any_size(size_px: int) -> None:
    assert radiograph(np.random.default_rng(0), False, size_px).shape == (size_px, size_px)


def test_lungs_are_darker_than_the_mediastinum_and_the_abdomen() -> None:
    mean = films(pneumonia=False, count=12).mean(0)
    at = SIZE_PX // 20
    lungs = (
        mean[9 * at : 13 * at, 5 * at : 7 * at].mean() + mean[9 * at : 13 * at, 14 * at : 16 * at].mean()
    ) / 2
    middle = mean[9 * at : 13 * at, 9 * at : 11 * at].mean()
    belly = mean[-2 * at :, 8 * at : 12 * at].mean()
    assert lungs + 40 < middle
    assert lungs + 40 < belly


def test_the_chest_fills_the_film_and_its_spine_does_not_outshine_the_belly() -> None:
    healthy = films(pneumonia=False, count=12)
    assert (healthy < 20).mean() < 0.12
    mean = healthy.mean(0)
    at = SIZE_PX // 24
    chest = mean[10 * at : 16 * at]
    left, right = chest[:, 3 * at : 7 * at].mean(), chest[:, 17 * at : 21 * at].mean()
    assert max(left, right) + 30 < chest[:, 11 * at : 13 * at].mean()  # lungs out to an eighth of the width
    belly = mean[-3 * at :]
    spine = belly[:, 11 * at : 13 * at].mean()
    beside = (belly[:, 7 * at : 9 * at].mean() + belly[:, 15 * at : 17 * at].mean()) / 2
    assert spine - beside < 30


def test_global_statistics_do_not_tell_the_classes_apart() -> None:
    features = []
    for pneumonia in (False, True):
        pixels = films(pneumonia, 40, 64).reshape(40, -1).astype(np.float64)
        spread = np.percentile(pixels, (5, 25, 50, 75, 95), axis=1)
        features.append(np.stack([pixels.mean(1), pixels.std(1), *spread], 1))
    for normal, pneumonia_ in zip(features[0].T, features[1].T, strict=True):
        # The share of pairs ordered rightly by this one number: 0.5 says nothing, 1 says all.
        auc = (normal[:, None] < pneumonia_[None, :]).mean()
        assert 0.2 < auc < 0.8


def test_a_tube_has_the_area_of_its_circle() -> None:
    assert section(9).area.sum() == pytest.approx(np.pi, rel=1e-3)
    assert section(9, shell=0.5).area.sum() == pytest.approx(np.pi * 0.75, rel=1e-3)


def test_a_tube_keeps_its_volume_on_the_film() -> None:
    frame = Frame(Chest.draw(np.random.default_rng(1)), SIZE_PX)
    path = np.linspace((-3, 2, 0), (3, 5, 2), 60, dtype=np.float32)[None]
    radius = np.full((1, 60), 0.4, np.float32)
    shadow = frame.project(tubes(frame, path, facing(path), radius, radius, VESSEL))
    # 60 points stand for a stride each, half of one beyond either end.
    assert shadow.sum() * frame.pixel**2 == pytest.approx(np.pi * 0.4**2 * 7 * 60 / 59, rel=0.01)


def test_folders_names_and_patients(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    root = make_demo(
        tmp_path / "demo", counts=COUNTS, size_px=64, progress=lambda done, total: told.append((done, total))
    )
    assert told == [(i, 14) for i in range(1, 15)]
    patients: dict[str, str] = {}
    for split, classes in COUNTS.items():
        for name, count in classes.items():
            paths = sorted((root / split / name).iterdir())
            assert len(paths) == count
            for path in paths:
                pattern = "IM-*-0001.jpeg" if name == "NORMAL" else "person*_*_*.jpeg"
                assert path.match(pattern)
                patient = path.name.split("-0001")[0].split("_")[0]
                assert patients.setdefault(patient, split) == split
                with Image.open(path) as image:
                    assert (image.format, image.mode, image.size) == ("JPEG", "L", (64, 64))


def test_same_arguments_same_bytes_and_no_image_depends_on_how_many(tmp_path: Path) -> None:
    few = digests(make_demo(tmp_path / "few", counts={"train": {"NORMAL": 2, "PNEUMONIA": 2}}, size_px=64))
    more = digests(make_demo(tmp_path / "more", counts=COUNTS, size_px=64))
    assert digests(make_demo(tmp_path / "again", counts=COUNTS, size_px=64)) == more
    del few["demo.json"]
    assert few.items() <= more.items()
    other = digests(make_demo(tmp_path / "other", counts=COUNTS, size_px=64, seed=1))
    assert not set(other.values()) & set(more.values())


def test_processes_make_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = digests(make_demo(tmp_path / "alone", counts=COUNTS, size_px=256))
    monkeypatch.setattr(demo, "_WORTH_PROCESSES", 1)
    assert digests(make_demo(tmp_path / "together", counts=COUNTS, size_px=256)) == alone


def test_a_demo_that_is_there_is_left_alone_and_another_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_demo(tmp_path / "demo", counts=COUNTS, size_px=64)
    made = digests(root)
    with monkeypatch.context() as patch:
        patch.setattr(demo, "_fill", lambda *_: pytest.fail("made again"))
        make_demo(root, counts=COUNTS, size_px=64)
    assert digests(root) == made
    make_demo(root, counts=COUNTS, size_px=48)
    assert json.loads((root / "demo.json").read_text())["size_px"] == 48
    assert digests(root).keys() == made.keys()


def test_a_persons_folder_is_refused_untouched(tmp_path: Path) -> None:
    theirs = tmp_path / "mine" / "thesis.txt"
    theirs.parent.mkdir()
    theirs.write_text("years of work")
    with pytest.raises(UserError, match="not a demo"):
        make_demo(theirs.parent, counts=COUNTS, size_px=64)
    with pytest.raises(UserError):
        make_demo(theirs, counts=COUNTS, size_px=64)
    assert theirs.read_text() == "years of work"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["mine", "thesis.txt"]


def test_a_former_demo_with_a_persons_file_in_it_is_not_replaced(tmp_path: Path) -> None:
    root = make_demo(tmp_path / "demo", counts=COUNTS, size_px=64)
    (root / "train" / "NORMAL" / "notes.txt").write_text("mine")
    make_demo(root, counts=COUNTS, size_px=64)
    with pytest.raises(UserError):
        make_demo(root, counts=COUNTS, size_px=48)
    assert (root / "train" / "NORMAL" / "notes.txt").read_text() == "mine"


def test_an_interrupted_demo_leaves_nothing_and_is_made_the_next_time(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    root = tmp_path / "demo"
    with pytest.raises(KeyboardInterrupt):
        make_demo(root, counts=COUNTS, size_px=64, progress=interrupt)
    assert not list(tmp_path.iterdir())
    root.mkdir()  # an empty folder is nobody's
    assert (make_demo(root, counts=COUNTS, size_px=64) / "demo.json").is_file()

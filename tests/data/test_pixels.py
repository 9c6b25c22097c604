from pathlib import Path

import pytest
import torch

from tests.conftest import write_image
from xray_tui.data.folders import ImageFile
from xray_tui.data.pixels import Broken, check_broken, read_plain, read_train
from xray_tui.errors import UserError


def files(root: Path, *names: str) -> list[ImageFile]:
    return [ImageFile(name, number % 2) for number, name in enumerate(names)]


def test_train_keeps_its_shape_and_is_only_ever_shrunk(tmp_path: Path) -> None:
    write_image(tmp_path / "large.png", size=(100, 200))
    write_image(tmp_path / "small.png", size=(30, 20))
    pixels = read_train(tmp_path, files(tmp_path, "large.png", "small.png"), 50, lambda done: None)
    assert [tuple(image.shape) for image in pixels.images] == [(1, 50, 100), (1, 30, 20)]
    assert pixels.labels.tolist() == [0, 1]


def test_validation_is_cropped(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", size=(100, 200))
    told: list[int] = []
    pixels = read_plain(tmp_path, files(tmp_path, "a.png"), 50, 40, told.append)
    assert pixels.images[0].shape == (1, 40, 40)
    assert pixels.images[0].dtype == torch.uint8
    assert told == [1]


def test_broken_files_are_named_and_passed_over(tmp_path: Path) -> None:
    write_image(tmp_path / "good.png")
    (tmp_path / "text.jpeg").write_text("hello")
    (tmp_path / "zero.jpeg").touch()
    pixels = read_train(
        tmp_path, files(tmp_path, "text.jpeg", "good.png", "zero.jpeg"), 50, lambda done: None
    )
    assert [file.path for file in pixels.files] == ["good.png"]
    assert pixels.labels.tolist() == [1]
    assert [broken.path for broken in pixels.broken] == ["text.jpeg", "zero.jpeg"]
    assert [broken.why for broken in pixels.broken] == ["not a JPEG, PNG or DICOM image", "empty"]


def test_more_than_a_twentieth_broken_is_refused_unless_allowed() -> None:
    broken = [Broken("a.jpeg", "empty"), Broken("b.jpeg", "empty")]
    check_broken(broken, 40, 0.05)
    with pytest.raises(
        UserError, match=r"2 of 39 images cannot be read, more than 5%: a.jpeg \(empty\)"
    ) as error:
        check_broken(broken, 39, 0.05)
    allowed = float(error.value.hint.split()[-1])
    check_broken(broken, 39, allowed)  # the hint helps

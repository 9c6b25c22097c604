import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from xray_tui.data.augmentation import plain
from xray_tui.data.decoding import Unreadable, decode
from xray_tui.data.demo import radiograph

RAMP = np.linspace(0, 255, 24 * 16).round().astype(np.uint8).reshape(24, 16)  # a tall grey image


def colour() -> Image.Image:
    return Image.fromarray(np.repeat(RAMP[..., None], 3, 2))


def save(path: Path, kind: str) -> Path:
    grey = Image.fromarray(RAMP)
    match kind:
        case "grey":
            grey.save(path)
        case "rgb":
            colour().save(path)
        case "rgba":
            colour().convert("RGBA").save(path)
        case "grey+alpha":
            grey.convert("LA").save(path)
        case "palette":
            grey.convert("P", palette=Image.Palette.ADAPTIVE, colors=256).save(path)
        case "cmyk":
            colour().convert("CMYK").save(path, quality=100)
        case "16 bit":
            Image.fromarray(RAMP.astype(np.uint16) * 257).save(path)
        case "12 bit in 16":
            Image.fromarray(np.rint(RAMP * (4095 / 255)).astype(np.uint16)).save(path)
        case "exif":
            exif = Image.Exif()
            exif[0x0112] = 6  # the camera lay on its side: turn by 90 degrees clockwise
            grey.rotate(90, expand=True).save(path, exif=exif, quality=100)
    return path


@pytest.mark.parametrize(
    ("kind", "suffix", "tolerance"),
    [
        ("grey", ".png", 0),
        ("grey", ".jpeg", 4),
        ("rgb", ".png", 0),
        ("rgb", ".jpeg", 4),
        ("rgba", ".png", 0),
        ("grey+alpha", ".png", 0),
        ("palette", ".png", 1),
        ("cmyk", ".jpeg", 4),
        ("16 bit", ".png", 0),
        ("12 bit in 16", ".png", 1),
        ("exif", ".jpeg", 4),
    ],
)
def test_every_kind_is_the_same_grey_image(tmp_path: Path, kind: str, suffix: str, tolerance: int) -> None:
    found = decode(save(tmp_path / f"image{suffix}", kind))
    assert found.dtype == np.uint8
    assert found.shape == RAMP.shape
    assert np.abs(found.astype(int) - RAMP).max() <= tolerance


@pytest.fixture(scope="module")
def large() -> Image.Image:
    return Image.fromarray(radiograph(np.random.default_rng(0), True, 900)[:893, 50:851])


@pytest.mark.parametrize("kind", ["grey", "rgb", "rgb kept", "progressive", "exif", "cmyk"])
def test_decoding_at_a_fraction_of_the_size_differs_by_a_few_grey_levels(
    tmp_path: Path, large: Image.Image, kind: str
) -> None:
    """Beside full decoding and an antialiased resize. CMYK is decoded whole."""
    modes = {"rgb": "RGB", "rgb kept": "RGB", "cmyk": "CMYK"}
    options: dict[str, Any] = {"progressive": {"progressive": True}, "rgb kept": {"keep_rgb": True}}
    if kind == "exif":
        options["exif"] = {"exif": Image.Exif()}
        options["exif"]["exif"][0x0112] = 6
    file = tmp_path / "large.jpeg"
    large.convert(modes.get(kind, "L")).save(file, quality=95, **options.get(kind, {}))
    whole, part = (decode(file, side) for side in (None, 200))
    assert min(whole.shape) == 801
    assert min(part.shape) == (801 if kind == "cmyk" else 200)
    assert (part.shape[0] > part.shape[1]) == (kind != "exif")
    fitted = [plain(torch.from_numpy(image.copy())[None], 200, 171).int() for image in (whole, part)]
    apart = (fitted[0] - fitted[1]).abs().float()
    assert apart.mean() < 0.5
    assert apart.quantile(0.99) <= 2
    assert apart.max() <= 6


def test_a_png_and_a_small_image_are_decoded_whole(tmp_path: Path) -> None:
    for kind, suffix in (("16 bit", ".png"), ("palette", ".png"), ("grey", ".jpeg"), ("exif", ".jpeg")):
        file = save(tmp_path / f"image{suffix}", kind)
        assert np.array_equal(decode(file, 12), decode(file))


def test_what_is_transparent_lies_on_black(tmp_path: Path) -> None:
    image = np.zeros((16, 16, 4), np.uint8)
    image[..., :3] = 200
    image[:8, :, 3] = 255
    Image.fromarray(image).save(tmp_path / "half.png")
    found = decode(tmp_path / "half.png")
    assert (found[:8] == 200).all()
    assert (found[8:] == 0).all()


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "empty"), (b"not an image", "not a JPEG, PNG or DICOM"), (None, "No such file")],
)
def test_what_is_no_image_says_why(tmp_path: Path, content: bytes | None, why: str) -> None:
    file = tmp_path / "broken.jpeg"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Unreadable, match=why):
        decode(file)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(Unreadable, match="a named pipe"):
        decode(tmp_path / "pipe.png")


@pytest.mark.parametrize("suffix", [".jpeg", ".png"])
def test_a_truncated_image_says_so(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    file = tmp_path / f"cut{suffix}"
    Image.fromarray(noise).save(file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(Unreadable, match="truncated"):
        decode(file)

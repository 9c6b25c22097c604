"""One radiograph file to one grey image, whatever kind of JPEG, PNG or DICOM it is.

A data folder comes from strangers. What is opened is a regular file; what is decoded is of a size that a
radiograph can have, looked up in the file's head before any memory is taken for its pixels; and whatever a
decoder does about broken bytes becomes :class:`Unreadable`, which says why in a few words.
"""

import os
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import jpeg_factory
from PIL.PngImagePlugin import PngImageFile

from xray_tui.data import dicom
from xray_tui.data.folders import is_dicom
from xray_tui.data.unreadable import MOST_BYTES, TOO_LARGE, Measured, check_size, said_in_words
from xray_tui.data.unreadable import Unreadable as Unreadable
from xray_tui.regular_files import open_regular

_ORIENTATION = 0x0112
_LYING = (5, 6, 7, 8)
"""The EXIF tag, and its values for an image that lies on its side; it may hold anything else."""
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_OTHERS = {
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
    b"RIFF": "a WebP",
    b"%PDF": "a PDF",
    b"PK": "a zip file",
    b"\x1f\x8b": "a gzip file",
    b"<": "HTML or XML",
    b"version https://git-lfs": "a Git LFS pointer",
}
"""What else a file begins with that has the name of an image."""
# Pillow warns of broken metadata, which no pixel depends on, and a warning would fall into the middle of a
# screen. For the whole process and once: `warnings.catch_warnings` is not to be used from several threads.
warnings.filterwarnings("ignore", module=r"PIL\.|xray_tui\.data\.decoding$")


def decode(path: Path, short_side: int | None = None) -> NDArray[np.uint8]:
    """The grey image of a file, upright.

    Colour becomes luma (ITU-R 601-2), transparency lies on black, EXIF orientation is applied. Of a
    16-bit image, the smallest number of bits (8 to 16) that holds its brightest pixel is taken for
    its depth, since 12-bit detectors write 16-bit files; that depth is scaled to 8 bits.

    Args:
        short_side: in pixels. A JPEG whose short side is at least twice as long is shrunk to it, all but the
            last step by decoding it at a half, a quarter or an eighth of its size: a fraction of the time,
            and a few grey levels beside what an antialiased resize of all of it gives. Other images stay
            as they are. ``None``: so do all.

    Returns:
        uint8 (H, W), black is 0.

    Raises:
        Unreadable: the file is missing, no regular file, empty, truncated, animated, not a JPEG, PNG or
            DICOM, or of a size that no radiograph has.
    """
    with said_in_words():
        path.name.encode()
        with open_regular(path) as file:
            if _is_dicom(file):
                return dicom.grey(file)
            with _open(file) as image:
                return _grey(ImageOps.exif_transpose(_shrunk(image, short_side) if short_side else image))


def measure(file: BinaryIO) -> Measured:
    """Size and mode of an image whose pixels can be decoded, all of them.

    A JPEG is decoded to an eighth of its size: its data is read to the end, so that a truncated one is
    found as :func:`decode` finds it, in about half the time.

    Raises:
        Unreadable: as :func:`decode`.
    """
    with said_in_words():
        if _is_dicom(file):
            dicom.grey(file)
            return dicom.head(file)
        with _open(file) as image:
            size, mode = image.size, image.mode
            if image.format == "JPEG":
                image.draft("L", (1, 1))
            image.load()
            return _upright(image, size, mode)


def head(file: BinaryIO) -> Measured:
    """Size and mode of an image, from its head alone.

    Raises:
        Unreadable: as :func:`decode`, as far as that can be known by then.
    """
    with said_in_words():
        if _is_dicom(file):
            return dicom.head(file)
        with _open(file) as image:
            return _upright(image, image.size, image.mode)


def _upright(image: Image.Image, size: tuple[int, int], mode: str) -> Measured:
    width, height = size
    lies = image.getexif().get(_ORIENTATION) in _LYING
    return Measured(height, width, mode) if lies else Measured(width, height, mode)


def _is_dicom(file: BinaryIO) -> bool:
    if file.seek(0, os.SEEK_END) > MOST_BYTES:
        raise Unreadable(TOO_LARGE)
    return is_dicom(file)


def _open(file: BinaryIO) -> Image.Image:
    """The image, its pixels not decoded yet."""
    begins = file.read(32)
    file.seek(0)
    if not begins:
        raise Unreadable("empty")
    kind = next((kind for kind, first in (("JPEG", _JPEG), ("PNG", _PNG)) if begins.startswith(first)), None)
    if kind is None:
        other = next((other for first, other in _OTHERS.items() if begins.startswith(first)), None)
        known = "not a JPEG, PNG or DICOM image"
        raise Unreadable(f"{known} but {other}" if other else known)
    try:  # not through Image.open, which warns of large images instead of refusing them
        image: Image.Image = jpeg_factory(file) if kind == "JPEG" else PngImageFile(file)
    except (SyntaxError, OSError) as error:  # Pillow's words for a head that ends too early or is none
        if isinstance(error, OSError) and error.strerror:  # those of the file system
            raise
        raise Unreadable(f"a damaged {kind}: its head cannot be read") from None
    try:
        _check_size(image)
    except Unreadable:
        image.close()
        raise
    return image


def _check_size(image: Image.Image) -> None:
    """Before anything is decoded, and before a JPEG is drafted, which changes what it says of its size."""
    check_size(*image.size)
    frames = getattr(image, "n_frames", 1) if image.format == "PNG" else 1
    if frames != 1:  # a second image in a JPEG is a camera's preview
        raise Unreadable(f"animated, {frames} images: no radiograph")


def _shrunk(image: Image.Image, short_side: int) -> Image.Image:
    size = image.size
    if image.format != "JPEG" or image.mode not in ("L", "RGB"):  # CMYK has no luma to be taken as it is
        return image
    drafted = image.draft("L", (short_side, short_side))
    if drafted is None or image.size == size:
        return image
    # Where a fraction of a block is cut off, the decoded image reaches beyond the edge: the box does not.
    width, height = (int(short_side * side / min(size)) for side in size)  # as torchvision reckons
    return image.resize((width, height), Image.Resampling.BILINEAR, box=drafted[1])


def _grey(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I"):
        deep = np.clip(np.asarray(image), 0, 2**16 - 1).astype(np.uint16)
        bits = max(8, int(deep.max()).bit_length())
        # A table: the same sum on each pixel would take eight bytes of each.
        scaled = np.arange(2**16) * (255 / (2**bits - 1))
        table: NDArray[np.uint8] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
        grey: NDArray[np.uint8] = table[deep]
        return grey
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    if image.mode == "CMYK":
        image = image.convert("RGB")
    return np.asarray(image.convert("L"))

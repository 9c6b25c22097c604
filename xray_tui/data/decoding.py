"""One radiograph file to one grey image, whatever kind of JPEG or PNG it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

_ORIENTATION = 0x0112
"""The EXIF tag; from 5 on the image lies on its side."""


class Unreadable(Exception):
    """A file that is no image this program reads; says why.

    Args:
        for_now: the file system would not give it: it may another time, though the file stays as it is.
    """

    def __init__(self, why: str, *, for_now: bool = False) -> None:
        super().__init__(why)
        self.for_now = for_now


class Measured(NamedTuple):
    width: int
    """In pixels, upright."""
    height: int
    mode: str
    """Pillow's word for channels and depth: ``L``, ``RGB``, ``I;16``."""


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
        Unreadable: the file is missing, a pipe, empty, truncated, too large, or not a JPEG or PNG.
    """
    with _said_in_words():
        path.name.encode()
        if path.is_fifo():  # would be waited for
            raise Unreadable("a pipe")
        with path.open("rb") as file, _open(file) as image:
            return _grey(ImageOps.exif_transpose(_shrunk(image, short_side) if short_side else image))


def measure(file: BinaryIO) -> Measured:
    """Size and mode of an image whose pixels can be decoded, all of them.

    A JPEG is decoded to an eighth of its size: its data is read to the end, so that a truncated one is
    found as :func:`decode` finds it, in about half the time.

    Raises:
        Unreadable: as :func:`decode`.
    """
    with _said_in_words(), _open(file) as image:
        width, height = image.size
        mode = image.mode
        if image.format == "JPEG":
            image.draft("L", (1, 1))
        image.load()
        if image.getexif().get(_ORIENTATION, 1) >= 5:
            width, height = height, width
        return Measured(width, height, mode)


def _open(file: BinaryIO) -> Image.Image:
    if not file.read(1):
        raise Unreadable("empty")
    file.seek(0)
    return Image.open(file, formats=("JPEG", "PNG"))


@contextmanager
def _said_in_words() -> Iterator[None]:
    """What Pillow and the file system raise, as :class:`Unreadable`."""
    try:
        yield
    except UnicodeEncodeError:
        raise Unreadable("its name is not UTF-8") from None
    except UnidentifiedImageError:
        raise Unreadable("not a JPEG or PNG image") from None
    except Image.DecompressionBombError:
        raise Unreadable("too large to be a radiograph") from None
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises on broken files
        if isinstance(error, OSError) and error.strerror:  # Pillow's own have no number
            raise Unreadable(error.strerror, for_now=True) from None
        raise Unreadable(str(error)) from None


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
    if image.mode.startswith(("I", "F")):
        deep = np.asarray(image).astype(np.float64)
        brightest = max(float(deep.max()), 0.0)
        bits = min(max(8, int(brightest).bit_length()), 16)
        scaled = np.clip(deep, 0, None) * (255 / (2**bits - 1))
        rounded: NDArray[np.uint8] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
        return rounded
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    if image.mode == "CMYK":
        image = image.convert("RGB")
    return np.asarray(image.convert("L"))

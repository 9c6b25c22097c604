"""One radiograph file to one grey image, whatever kind of JPEG or PNG it is.

A data folder comes from strangers. What is opened is a regular file; what is decoded is of a size that a
radiograph can have, looked up in the file's head before any memory is taken for its pixels; and whatever a
decoder does about broken bytes becomes :class:`Unreadable`, which says why in a few words.
"""

import errno
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import jpeg_factory
from PIL.PngImagePlugin import PngImageFile

from xray_tui.regular_files import NotRegular, open_regular
from xray_tui.words import harmless

LEAST_SIDE_PX = 8
"""Less is an icon or a mistake; the smallest images that anybody trains on have 28."""
MOST_TIMES_LONGER = 10
"""The long side to the short one. Whole spines have 4; a strip whose short side becomes 300 fills memory."""
MOST_PIXELS = 50_000_000
"""A detector of 43 cm has 18 million pixels, digitised film 35. Pillow only warns, and from 89 million on."""
MOST_BYTES = 500_000_000
"""Of a file: more than that many pixels take, uncompressed, in colour and with 16 bits."""
TOO_LARGE = f"larger than {MOST_BYTES / 1e6:.0f} MB: no radiograph"

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
_WHY_WIDTH = 120

# Pillow warns of broken metadata, which no pixel depends on, and a warning would fall into the middle of a
# screen. For the whole process and once: `warnings.catch_warnings` is not to be used from several threads.
warnings.filterwarnings("ignore", module=r"PIL\.|xray_tui\.data\.decoding$")


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
        Unreadable: the file is missing, no regular file, empty, truncated, animated, not a JPEG or PNG, or
            of a size that no radiograph has.
    """
    with _said_in_words():
        path.name.encode()
        with open_regular(path) as file, _open(file) as image:
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
        if image.getexif().get(_ORIENTATION) in _LYING:
            width, height = height, width
        return Measured(width, height, mode)


def head(file: BinaryIO) -> Measured:
    """Size and mode of an image, from its head alone.

    Raises:
        Unreadable: as :func:`decode`, as far as that can be known by then.
    """
    with _said_in_words(), _open(file) as image:
        width, height = image.size
        if image.getexif().get(_ORIENTATION) in _LYING:
            width, height = height, width
        return Measured(width, height, image.mode)


def _open(file: BinaryIO) -> Image.Image:
    """The image, its pixels not decoded yet."""
    if file.seek(0, os.SEEK_END) > MOST_BYTES:
        raise Unreadable(TOO_LARGE)
    file.seek(0)
    begins = file.read(32)
    file.seek(0)
    if not begins:
        raise Unreadable("empty")
    kind = next((kind for kind, first in (("JPEG", _JPEG), ("PNG", _PNG)) if begins.startswith(first)), None)
    if kind is None:
        other = next((other for first, other in _OTHERS.items() if begins.startswith(first)), None)
        raise Unreadable(f"not a JPEG or PNG image but {other}" if other else "not a JPEG or PNG image")
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
    short, long = sorted(image.size)
    if short < LEAST_SIDE_PX or long > MOST_TIMES_LONGER * short or short * long > MOST_PIXELS:
        raise Unreadable(f"{image.width} × {image.height} pixels: no radiograph")
    frames = getattr(image, "n_frames", 1) if image.format == "PNG" else 1
    if frames != 1:  # a second image in a JPEG is a camera's preview
        raise Unreadable(f"animated, {frames} images: no radiograph")


@contextmanager
def _said_in_words() -> Iterator[None]:
    """Whatever is raised, as :class:`Unreadable`: few exceptions are not raised by some broken bytes."""
    try:
        yield
    except Unreadable:
        raise
    except UnicodeEncodeError:
        raise Unreadable("its name is not UTF-8") from None
    except NotRegular as error:
        raise Unreadable(str(error.strerror)) from None
    except MemoryError:
        raise Unreadable("no memory for it", for_now=True) from None
    except OSError as error:
        if error.strerror:  # Pillow's own have no number
            lasts = error.errno in (errno.ELOOP, errno.ENAMETOOLONG)
            raise Unreadable(error.strerror, for_now=not lasts) from None
        raise Unreadable(_in_a_line(error)) from None
    except Exception as error:
        raise Unreadable(_in_a_line(error)) from None


def _in_a_line(error: Exception) -> str:
    words = harmless(str(error)) if isinstance(error, OSError | SyntaxError | ValueError) else ""
    return (words or f"damaged ({type(error).__name__})")[:_WHY_WIDTH]


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

"""What no radiograph can be: sizes looked up before memory is taken, and whatever a decoder does about
broken bytes made :class:`Unreadable`, which says why in a few words.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from xray_tui.regular_files import NotRegular
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

_WHY_WIDTH = 120


class Unreadable(Exception):
    """A file that is no image this program reads; says why.

    Args:
        for_now: it may be read another time, though the file stays as it is: the file system would not give
            it, or what decodes it is not installed.
    """

    def __init__(self, why: str, *, for_now: bool = False) -> None:
        super().__init__(why)
        self.for_now = for_now


class Measured(NamedTuple):
    width: int
    """In pixels, upright."""
    height: int
    mode: str
    """Pillow's word for channels and depth: ``L``, ``RGB``, ``I;16``; of DICOM ``12-bit grey DICOM``."""


def check_size(width: int, height: int) -> None:
    """Raises :class:`Unreadable` for a size, in pixels, that no radiograph has."""
    short, long = sorted((width, height))
    if short < LEAST_SIDE_PX or long > MOST_TIMES_LONGER * short or short * long > MOST_PIXELS:
        raise Unreadable(f"{width} × {height} pixels: no radiograph")


@contextmanager
def said_in_words() -> Iterator[None]:
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

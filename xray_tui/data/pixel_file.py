"""One file of decoded pixels: its layout, its lock, and its way into memory.

pixels  grey bytes, image after image, row after row
index   msgpack: what they are, and which files cannot be read
footer  where the index begins, its length, its BLAKE2b, a magic word
"""

import hashlib
import mmap
import os
import struct
import sys
import zlib
from io import FileIO

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

if sys.platform != "win32":
    import fcntl

_MAGIC = b"xray-tui pixels\n"
_FOOTER = struct.Struct("<QQ16s16s")
_MOST_INDEX_BYTES = 1 << 30
_LONGEST_SIDE_PX = 1 << 20
# A private map counts as memory promised, and one larger than all memory is refused, unless it reserves none.
_NO_RESERVE = 0x4000 if sys.platform == "linux" else 0  # mmap.MAP_NORESERVE, from Python 3.13 on


class Index(Struct, frozen=True, array_like=True):
    key: str
    root: bytes
    """The data folder, as the file system spells it."""
    heights: bytes
    """uint32, little-endian, an image each."""
    widths: bytes
    marks: bytes
    """CRC-32 of its pixels, likewise."""
    broken: dict[int, str]
    """Why a file cannot be read, by its number in the role."""


class Kept(Struct, frozen=True):
    """The images of a role, as a file keeps them."""

    pixels: NDArray[np.uint8]
    """All of them, flat: a map of the file. What would be written to it stays in this process."""
    heights: NDArray[np.int64]
    """In pixels, an image each."""
    widths: NDArray[np.int64]
    marks: NDArray[np.int64]
    """CRC-32 of its pixels, an image each."""
    broken: dict[int, str]
    """Why a file cannot be read, by its number in the role; the others have the images, in their order."""


def mark_of(image: NDArray[np.uint8]) -> int:
    """CRC-32 of an image's pixels, row after row."""
    return zlib.crc32(np.ascontiguousarray(image).data)


def packed(numbers: list[int]) -> bytes:
    """As an index holds them."""
    return np.array(numbers, "<u4").tobytes()


def ending(index: Index, pixel_bytes: int) -> bytes:
    """What stands after the pixels: index and footer."""
    encoded = msgspec.msgpack.encode(index)
    return encoded + _FOOTER.pack(pixel_bytes, len(encoded), _digest(encoded), _MAGIC)


def read_index(file: FileIO) -> Index | None:
    """The index of a whole file; ``None`` where it is cut short, damaged or something else."""
    size = os.fstat(file.fileno()).st_size
    if size < _FOOTER.size:
        return None
    file.seek(size - _FOOTER.size)
    begins, length, digest, magic = _FOOTER.unpack(file.read(_FOOTER.size))
    if magic != _MAGIC or begins + length + _FOOTER.size != size or length > _MOST_INDEX_BYTES:
        return None
    file.seek(begins)
    encoded = file.read(length)
    if _digest(encoded) != digest:
        return None
    try:
        index = msgspec.msgpack.decode(encoded, type=Index)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return index if _fits(index, begins) else None


def _fits(index: Index, pixel_bytes: int) -> bool:
    """Whether the sides in an index are those of so many pixels: what is mapped is believed to hold them."""
    if not len(index.heights) == len(index.widths) == len(index.marks) or len(index.heights) % 4:
        return False
    sides = np.frombuffer(index.heights + index.widths, "<u4")
    if sides.size and not 0 < sides.min() <= sides.max() <= _LONGEST_SIDE_PX:  # a product of more would wrap
        return False
    return _pixel_bytes(index) == pixel_bytes


def map_file(file: FileIO, index: Index) -> Kept:
    """The pixels, without a copy. As long as they are held the file keeps its lock, closed or not.

    (A map has a descriptor of its own for the same opening of the file, and that is what is locked.)
    """
    if sys.platform == "win32":
        whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    else:
        flags, both = mmap.MAP_PRIVATE | _NO_RESERVE, mmap.PROT_READ | mmap.PROT_WRITE
        whole = mmap.mmap(file.fileno(), 0, flags=flags, prot=both)
    pixels = np.frombuffer(whole, np.uint8)[: _pixel_bytes(index)]
    heights, widths, marks = map(_unpacked, (index.heights, index.widths, index.marks))
    return Kept(pixels, heights, widths, marks, index.broken)


def lock(file: FileIO, *, shared: bool = False) -> bool:
    """Lock a file for as long as it is open or mapped; false where that would have to wait."""
    if sys.platform != "win32":  # there no file in use can be removed
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _pixel_bytes(index: Index) -> int:
    return int(_unpacked(index.heights) @ _unpacked(index.widths))


def _unpacked(encoded: bytes) -> NDArray[np.int64]:
    return np.frombuffer(encoded, "<u4").astype(np.int64)


def _digest(encoded: bytes) -> bytes:
    return hashlib.blake2b(encoded, digest_size=16).digest()

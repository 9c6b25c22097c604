"""Image files that mean harm, or are broken in ways that a folder from a stranger may hold."""

import io
import os
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

NOISE = np.random.default_rng(0).integers(0, 255, (48, 40), np.uint8)


def encoded(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    """An image file's bytes."""
    out = io.BytesIO()
    (image or Image.fromarray(NOISE)).save(out, kind, **options)
    return out.getvalue()


def png_claiming(width: int, height: int, rows: int = 0, *, depth: int = 8) -> bytes:
    """A PNG whose head claims a size, with so many rows of zeros in it: a few bytes each, packed."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 + width * depth // 8)) for _ in range(rows)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def jpeg_claiming(width: int, height: int) -> bytes:
    """A JPEG whose head claims another size than its data has."""
    content = bytearray(encoded("JPEG"))
    place = content.index(b"\xff\xc0") + 5
    content[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def animated(kind: str) -> bytes:
    frames = [Image.fromarray(np.roll(NOISE, step, 0)) for step in range(3)]
    return encoded(kind, frames[0], save_all=True, append_images=frames[1:])


CONTENTS: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.png": (lambda: b"", "empty"),
    "truncated.png": (lambda: encoded("PNG")[:900], "image file is truncated"),
    "truncated.jpeg": (lambda: encoded("JPEG")[:-200], "image file is truncated"),
    "head-only.jpeg": (lambda: encoded("JPEG")[:40], "a damaged JPEG: its head cannot be read"),
    "head-only.png": (lambda: encoded("PNG")[:20], "a damaged PNG: its head cannot be read"),
    "bomb-warned.png": (lambda: png_claiming(12_000, 12_000, 12_000), "12000 × 12000 pixels: no radiograph"),
    "bomb.png": (lambda: png_claiming(60_000, 60_000), "60000 × 60000 pixels: no radiograph"),
    "bomb-small.png": (lambda: png_claiming(8_000, 8_000), "8000 × 8000 pixels: no radiograph"),
    "bomb-16-bit.png": (lambda: png_claiming(9_000, 9_000, depth=16), "9000 × 9000 pixels: no radiograph"),
    "bomb-endless.png": (lambda: png_claiming(2**31 - 1, 2**31 - 1), "2147483647 × 2147483647 pixels"),
    "bomb.jpeg": (lambda: jpeg_claiming(65_000, 65_000), "65000 × 65000 pixels: no radiograph"),
    "bomb-warned.jpeg": (lambda: jpeg_claiming(10_000, 10_000), "10000 × 10000 pixels: no radiograph"),
    "dot.png": (lambda: encoded("PNG", Image.new("L", (1, 1))), "1 × 1 pixels: no radiograph"),
    "dot.jpeg": (lambda: encoded("JPEG", Image.new("L", (1, 1))), "1 × 1 pixels: no radiograph"),
    "tall.png": (lambda: encoded("PNG", Image.new("L", (1, 20_000))), "1 × 20000 pixels: no radiograph"),
    "wide.png": (lambda: encoded("PNG", Image.new("L", (20_000, 1))), "20000 × 1 pixels: no radiograph"),
    "wide.jpeg": (lambda: encoded("JPEG", Image.new("L", (20_000, 30))), "20000 × 30 pixels: no radiograph"),
    "none.png": (lambda: png_claiming(0, 0), "a damaged PNG: its head cannot be read"),
    "animated.png": (lambda: animated("PNG"), "animated, 3 images: no radiograph"),
    "animated-gif.png": (lambda: animated("GIF"), "not a JPEG, PNG or DICOM image but a GIF"),
    "animated-webp.jpeg": (lambda: animated("WEBP"), "not a JPEG, PNG or DICOM image but a WebP"),
    "tiff.png": (lambda: encoded("TIFF"), "not a JPEG, PNG or DICOM image but a TIFF"),
    "page.jpeg": (lambda: b"<!DOCTYPE html><title>404</title>", "DICOM image but HTML or XML"),
    "pointer.png": (lambda: b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    "words.png": (lambda: b"not an image", "not a JPEG, PNG or DICOM image"),
    "text-bomb.png": (
        lambda: _with_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(9_000_000), 9)),
        "too large",
    ),
}
"""Name to content and to what is in what is said of it."""


def _with_chunk(kind: bytes, content: bytes) -> bytes:
    """A PNG with a chunk of ours before its pixels."""
    whole = encoded("PNG")
    at = whole.index(b"IDAT") - 4
    return whole[:at] + _chunk(kind, content) + whole[at:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


NAMES = (
    b"[bold red]x[$error].png",
    b"[@click=app.quit]x.png",
    b"[link=file:x]\x1b]0;title\x07.png",
    b"a\x1b[31mred\nline\r\t\x7f.png",
    "right-to-left \u202egnp.png".encode(),
    b"x" * 251 + b".png",
)
"""Of good images."""
NO_UTF_8 = b"not \xff\xfe utf-8.png"


def fill(folder: Path) -> list[str]:
    """Put all that is hostile into a folder; good images with hostile names as well.

    Returns:
        The names of the files that must be told as unreadable, as they are told.
    """
    bad = []
    for name, (make, _) in CONTENTS.items():
        (folder / name).write_bytes(make())
        bad.append(name)
    for number, raw in enumerate((*NAMES, NO_UTF_8)):
        image = Image.fromarray(np.roll(NOISE, number, 1))
        (folder / os.fsdecode(raw)).write_bytes(encoded("PNG", image))
    (folder / "jpeg-named.png").write_bytes(encoded("JPEG"))  # no harm: what it is stands in it
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "nowhere.png").symlink_to(folder / "gone" / "x.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "folder.png").mkdir()
    (folder / "below").symlink_to(folder.parent)
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / ".hidden-pipe")
    (folder / "pipe-linked.png").symlink_to(folder / ".hidden-pipe")
    _socket(folder / "socket.png")
    return [
        *bad,
        "loop.png",
        "nowhere.png",
        "zero.png",
        "folder.png",
        "pipe.png",
        "pipe-linked.png",
        "socket.png",
    ]


def _socket(path: Path) -> None:
    """A socket file; by its short name, for a path of a socket has at most 108 bytes."""
    here = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(f"/proc/self/fd/{here}/{path.name}")
    finally:
        os.close(here)

"""Decoded pixels on disk: the images of one role at one size are one file, mapped into memory.

A file is written under a name of its own, ``.part``, and gets its place by a rename once all of it is on
the disk. Who builds a file or has it mapped holds the system's lock on it, which goes when the process
does: a part without a lock is a dead builder's, a file without a lock is in nobody's use.
"""

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from io import FileIO
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from xray_tui.data.pixel_file import Index, Kept, ending, lock, map_file, mark_of, packed, read_index
from xray_tui.errors import UserError
from xray_tui.files import Insist, at_once, cache_folder
from xray_tui.settings import DataSettings
from xray_tui.words import bytes_in_words, count

_VERSION = 2
"""Of the layout, and of how images are decoded and fitted: with another, none of the old files is found."""
_NAME = re.compile(r"[0-9a-f]{32}(\.pixels|\.[0-9a-f]+\.part)")
_WAY_OUT = "name another folder with --cache DIR, or keep the pixels in memory with --cache off"


class Usage(Struct, frozen=True):
    """What the cache takes."""

    folder: str
    bytes: int
    of_this_data: int
    """How many of the bytes are pixels of the data folder asked about."""


def key_of(root: Path, paths: Iterable[str], form: str) -> str:
    """A name for the images of these files in this form; where a file has changed it is another.

    Args:
        root: the data folder, absolute. It counts too: another one may have the same names, sizes and times.
        paths: relative to it, in their order.
        form: what is made of an image, and by which code.
    """
    digest = hashlib.blake2b(f"{_VERSION}\n{form}\n".encode() + os.fsencode(root), digest_size=16)
    for path in paths:
        try:
            found = os.stat(f"{root}/{path}")  # noqa: PTH116  # a Path each would take twice the time
            seen = f"\0{found.st_size} {found.st_mtime_ns} "
        except OSError:
            seen = "\0missing "
        digest.update(seen.encode() + os.fsencode(path))
    return digest.hexdigest()


def cache_of(settings: DataSettings, insist: Insist = at_once) -> "PixelCache | None":
    """The cache that the settings name; ``None`` where pixels stay in memory."""
    folder = folder_of(settings)
    return PixelCache(folder / "pixels", settings.cache_gigabytes * 1e9, insist) if folder else None


def folder_of(settings: DataSettings) -> Path | None:
    """Where what is computed from the images is kept; ``None`` for memory."""
    if settings.cache == "off":
        return None
    return cache_folder() if settings.cache == "auto" else Path(settings.cache).expanduser()


class PixelCache:
    """A folder of such files.

    Whatever keeps it from being used is raised as a ``UserError`` that names the folder and the way out.

    Args:
        folder: made when it is wanted.
        bound_bytes: beyond it, the files that were not used for longest go; those in use stay.
        insist: waits where the disk has no room for more pixels.
    """

    def __init__(self, folder: Path, bound_bytes: float, insist: Insist = at_once) -> None:
        self.folder = folder
        self.insist = insist
        self._bound_bytes = bound_bytes

    def make_folder(self) -> None:
        with self._told():
            self.folder.mkdir(parents=True, exist_ok=True)

    def find(self, key: str) -> Kept | None:
        """What is kept under that name; ``None`` where nothing is, or what is there is not whole."""
        path = self.folder / f"{key}.pixels"
        with self._told(), suppress(FileNotFoundError), path.open("rb", buffering=0) as file:
            index = read_index(file) if lock(file, shared=True) else None
            if index is None or index.key != key:
                return None
            with suppress(OSError):  # a cache that may only be read still serves
                os.utime(path)
            kept = map_file(file, index)
            self.prune()
            return kept
        return None

    @contextmanager
    def building(self, key: str, root: Path, total: int) -> Iterator["Part"]:
        """A file to put the images of ``total`` files into; gone again unless it is finished."""
        self.make_folder()
        with self._told():
            self._sweep()
            path, file = self._begin(key)
        try:
            yield Part(self, path, file, key, root, total)
        finally:
            file.close()
            path.unlink(missing_ok=True)

    def prune(self) -> None:
        """Remove what was not used for longest, until the rest is within the bound."""
        files = self._files()
        whole = sum(found.st_size for _, found in files)
        for path, found in sorted(files, key=lambda each: each[1].st_mtime_ns):
            if whole <= self._bound_bytes:
                break
            if _remove_unused(path):
                whole -= found.st_size

    def usage(self, root: Path) -> Usage:
        """What lies in the folder, and how much of it is of the data folder ``root``."""
        whole = own = 0
        with self._told():
            for path, found in self._files():
                whole += found.st_size
                with suppress(FileNotFoundError), path.open("rb", buffering=0) as file:
                    index = read_index(file)
                    own += found.st_size if index and index.root == os.fsencode(root) else 0
        return Usage(str(self.folder), whole, own)

    def _begin(self, key: str) -> tuple[Path, FileIO]:
        while True:
            path = self.folder / f"{key}.{secrets.token_hex(4)}.part"
            file = path.open("xb+", buffering=0)
            # Before it was locked, another process may have taken it for a leftover.
            if lock(file) and os.fstat(file.fileno()).st_nlink:
                return path, file
            file.close()

    def _files(self) -> list[tuple[Path, os.stat_result]]:
        """What in the folder is the cache's."""
        found = []
        with suppress(FileNotFoundError):
            for path in self.folder.iterdir():
                with suppress(FileNotFoundError):
                    if _NAME.fullmatch(path.name):
                        found.append((path, path.stat()))
        return found

    def _sweep(self) -> None:
        """Remove what dead builders left."""
        for path, _ in self._files():
            if path.suffix == ".part":
                _remove_unused(path)

    @contextmanager
    def _told(self, needed: Callable[[], str] = str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise UserError(f"the disk is full: no room in {self.folder}{needed()}", _WAY_OUT) from None
            why = error.strerror or str(error)
            raise UserError(f"cannot keep pixels in {self.folder}: {why}", _WAY_OUT) from None


class Part:
    """A file of the cache while it is built: give it what came of each file, in their order."""

    def __init__(self, cache: PixelCache, path: Path, file: FileIO, key: str, root: Path, total: int) -> None:
        self._cache = cache
        self._path = path
        self._file = file
        self._key = key
        self._root = root
        self._total = total
        self._heights: list[int] = []
        self._widths: list[int] = []
        self._marks: list[int] = []
        self._broken: dict[int, str] = {}
        self._bytes = 0
        self._lasts = True

    def add(self, image: NDArray[np.uint8]) -> None:
        """An image, (H, W)."""
        self._write(np.ascontiguousarray(image).data.cast("B"))
        self._heights.append(image.shape[0])
        self._widths.append(image.shape[1])
        self._marks.append(mark_of(image))

    def pass_over(self, why: str, *, for_now: bool) -> None:
        """A file that cannot be read; ``for_now``: another run must try again, and builds all anew."""
        self._broken[self._done] = why
        self._lasts &= not for_now

    def finish(self) -> Kept:
        """Map the file, and give it its place unless it is not to last."""
        heights, widths, marks = map(packed, (self._heights, self._widths, self._marks))
        index = Index(self._key, os.fsencode(self._root), heights, widths, marks, self._broken)
        self._write(memoryview(ending(index, self._bytes)))
        with self._cache._told(self._needed):
            kept = map_file(self._file, index)
            if self._lasts:
                os.fsync(self._file.fileno())  # or a power cut may leave a whole file of zeros
                self._path.replace(self._cache.folder / f"{self._key}.pixels")
            lock(self._file, shared=True)
            self._cache.prune()
        return kept

    @property
    def _done(self) -> int:
        return len(self._heights) + len(self._broken)

    def _needed(self) -> str:
        words = f" for the pixels of {count(self._total)} images"
        if not self._bytes:
            return words
        return f"{words}, about {bytes_in_words(self._bytes / max(1, self._done) * self._total)}"

    def _place(self) -> str:
        return f"{self._cache.folder}{self._needed()} (or stop, and use --cache)"

    def _write(self, content: memoryview) -> None:
        with self._cache._told(self._needed):
            while content:  # a disk that fills up takes a part first
                written = self._cache.insist(partial(self._file.write, content), self._place)
                self._bytes += written
                content = content[written:]


def _remove_unused(path: Path) -> bool:
    """Remove a file unless a process builds it or has it mapped."""
    try:
        with path.open("rb", buffering=0) as file:
            if not lock(file):
                return False
            path.unlink()
    except OSError:  # another process was faster, or it is another user's
        return False
    return True

"""MedMNIST's arrays (``pneumoniamnist_224.npz``), unpacked once into the cache folder, in class folders.

Everything else then works on files (PNG) as ever: reading ahead, the pixel cache, checks, the gallery,
pictures in reports, stamps by which a changed image is noticed. Images inside an archive would need a way of
their own in each of these; the files cost the archive's size on the disk, and seconds, once. The folder is
named by a digest of the archive, and gets its name when it is whole.

The archive comes from a stranger: shapes and types are read before any array, nothing is unpickled, and
images pass one by one.
"""

import hashlib
import lzma
import math
import os
import secrets
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xray_tui.data.folders import SPLIT_FOLDERS, ImageFile, Listing
from xray_tui.data.unreadable import Unreadable, check_size
from xray_tui.errors import UserError
from xray_tui.files import cache_folder
from xray_tui.regular_files import open_regular
from xray_tui.words import brief, bytes_in_words, count

_MOST_IMAGES = 2_000_000
_READ_HEADER_2 = np.lib.format.read_array_header_2_0
_WANTED = (
    "wanted: train_images, train_labels, test_images, test_labels and perhaps val_…, as MedMNIST has them"
)
_WAY_OUT = "XRAY_TUI_CACHE_DIR names another folder"
_SPARE_BYTES = 200_000_000
"""Left free on the disk."""
_ABANDONED_SECONDS = 24 * 3600.0
_KEPT = 8
"""Archives whose listing is known at once."""
_ORGANS = (
    *("bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right", "liver"),
    *("lung-left", "lung-right", "pancreas", "spleen"),
)
_CLASSES: Mapping[str, tuple[str, ...]] = {
    "pneumoniamnist": ("normal", "pneumonia"),
    "breastmnist": ("malignant", "normal or benign"),
    "octmnist": ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
    **dict.fromkeys(("organamnist", "organcmnist", "organsmnist"), _ORGANS),
}
"""By set and label, as MedMNIST v2 names them (Yang et al. 2023); others are called by number."""


@dataclass(frozen=True)
class _Split:
    labels: NDArray[np.int64]
    """(N,)"""
    shape: tuple[int, ...]
    """Of one image: (H, W) or (H, W, 3)."""


def read(file: Path) -> Listing:
    """List the images of an archive, by its labels: their files need not be there yet.

    Args:
        file: absolute.

    Raises:
        UserError: it cannot be read, is no such archive, or its classes do not make a classifier.
    """
    with _told(file):
        found = file.stat()
        listing = _read(file, found.st_size, found.st_mtime_ns)
        return replace(listing, root=cache_folder() / "unpacked" / listing.root)


def unpack(file: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> Listing:
    """The same images, all of their files there.

    Args:
        file: absolute.
        progress: called with how many of how many images are written; what it raises ends the unpacking.

    Raises:
        UserError: as :func:`read`; also where an image is damaged, or the cache folder has no room.
    """
    listing = read(file)
    there = listing.root.is_dir()
    if not (there and _is_whole(listing)):
        with _told(file):
            if there:  # else another process may just be done with it
                shutil.rmtree(listing.root, ignore_errors=True)
            _unpack(file, listing, progress)
    return listing


def _is_whole(listing: Listing) -> bool:
    """Whether every file is there and holds something: who tidies caches may have been at them."""
    files = (listing.root / image.place for images in listing.folders.values() for image in images)
    try:
        return all(file.stat().st_size for file in files)
    except OSError:
        return False


@lru_cache(_KEPT)
def _read(file: Path, _size: int, _mtime_ns: int) -> Listing:
    """As :func:`read`, less the folder where the files are unpacked to."""
    with open_regular(file) as opened:
        digest = hashlib.file_digest(opened, "blake2b").hexdigest()[:24]
        with zipfile.ZipFile(opened) as archive:
            splits = _splits(file, archive)
    values = sorted({int(label) for split in splits.values() for label in np.unique(split.labels)})
    named = _CLASSES.get(file.stem.partition("_")[0].casefold(), ())
    width = len(str(values[-1]))
    known = values[0] >= 0 and values[-1] < len(named)
    words = {value: named[value] if known else f"{value:0{width}}" for value in values}
    classes = sorted(words.values())
    if len(classes) < 2:
        raise UserError(f"a classifier needs two classes; the labels of {file} have {len(classes)}")
    for split, given in splits.items():
        absent = sorted(words[v] for v in set(values) - set(given.labels.tolist()))
        if absent and split != "val":
            raise UserError(f"{file} has no {split} image of {', '.join(absent)}")
    number = {value: classes.index(word) for value, word in words.items()}
    folders = {
        split: sorted(
            (
                ImageFile(f"{split}/{words[value]}/{split}{at:07}.png", number[value])
                for at, value in enumerate(given.labels.tolist())
            ),
            key=lambda image: image.path,
        )
        for split, given in splits.items()
    }
    return Listing(Path(f"{file.stem}-{digest}"), classes, folders, told_by=file)


def _splits(file: Path, archive: zipfile.ZipFile) -> dict[str, _Split]:
    """Labels and shapes of the splits that are there; no image is read."""
    there = set(archive.namelist())
    found = {}
    for split in SPLIT_FOLDERS:
        names = [_member(split, what) for what in ("images", "labels")]
        if split != "train" and there.isdisjoint(names):
            continue
        for name in names:
            if name not in there:
                raise UserError(f"{file} has no array {name.removesuffix('.npy')}", _WANTED)
        with _array(archive, names[0]) as images:
            shape = images.shape
        if images.dtype != np.uint8 or len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] != 3):
            raise UserError(f"{file}: {split}_images are {images.words}: no images of 8 bits", _WANTED)
        if shape[0] > _MOST_IMAGES:
            raise UserError(f"{file}: {count(shape[0])} images are more than this program unpacks")
        try:
            check_size(shape[2], shape[1])
        except Unreadable as error:
            raise UserError(f"{file}: {split}_images have {error}") from None
        with _array(archive, names[1]) as labels:
            if len(labels.shape) == 2 and labels.shape[1] > 1:
                raise UserError(
                    f"{file} has {labels.shape[1]} labels an image, and here an image is of one class",
                    "choose a set with one label an image, or write a CSV file of images and labels",
                )
            if labels.shape not in (shape[:1], (shape[0], 1)) or labels.dtype.kind not in "iu":
                raise UserError(f"{file}: {split}_labels are {labels.words}: not one for each image", _WANTED)
            values = np.frombuffer(labels.member.read(), labels.dtype)
        found[split] = _Split(values.astype(np.int64), shape[1:])
    return found


def _unpack(file: Path, listing: Listing, progress: Callable[[int, int], None]) -> None:
    folder = listing.root
    part = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.part")
    total, done = sum(map(len, listing.folders.values())), 0
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob("*.part"):  # by a process that was killed
        if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    with open_regular(file) as opened, zipfile.ZipFile(opened) as archive:
        needed = sum(archive.getinfo(_member(split, "images")).file_size for split in listing.folders)
        if needed > shutil.disk_usage(folder.parent).free - _SPARE_BYTES:
            raise UserError(
                f"no room to unpack {file} in {folder.parent}: {bytes_in_words(needed)}", _WAY_OUT
            )
        try:
            for split, files in listing.folders.items():
                for name in listing.classes:
                    (part / split / name).mkdir(parents=True)
                with _array(archive, _member(split, "images")) as images:
                    shape = images.shape[1:]
                    for image in sorted(files, key=lambda image: PurePosixPath(image.path).name):
                        pixels = np.frombuffer(images.member.read(math.prod(shape)), np.uint8).reshape(shape)
                        Image.fromarray(pixels).save(part / image.path, compress_level=1)
                        done += 1
                        progress(done, total)
            if hasattr(os, "sync"):
                os.sync()  # or a power cut may leave a whole folder of empty files
            with suppress(OSError):  # another process was faster
                part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    if not folder.is_dir():
        raise UserError(f"cannot unpack {file} to {folder}: something is in the way", _WAY_OUT)


def _member(split: str, what: str) -> str:
    return f"{split}_{what}.npy"


@dataclass(frozen=True)
class _Array:
    """An array of an archive, whose header has been read."""

    member: IO[bytes]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def words(self) -> str:
        return f"{self.dtype} {' × '.join(map(str, self.shape))}"


@contextmanager
def _array(archive: zipfile.ZipFile, name: str) -> Iterator[_Array]:
    """Raises ``ValueError`` where it is no array whose values follow one another."""
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else _READ_HEADER_2
        shape, fortran, dtype = read_header(member)
        size_bytes = math.prod(shape) * dtype.itemsize
        if fortran or dtype.hasobject or archive.getinfo(name).file_size != member.tell() + size_bytes:
            raise ValueError(f"{name} is no plain array")
        yield _Array(member, shape, dtype)


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """Whatever is raised about the archive or the cache folder, as a ``UserError``."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot unpack {file}: {error.strerror or error}", _WAY_OUT) from None
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise UserError(f"{file} is damaged: {brief(str(error))}", "fetch it again") from None
    except (ValueError, KeyError, SyntaxError, TokenError, RuntimeError, NotImplementedError) as error:
        # A header that is none, an encrypted archive, a compression of another program.
        raise UserError(f"{file} is no archive as MedMNIST has them: {brief(str(error))}", _WANTED) from None

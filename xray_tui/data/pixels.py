"""The images of a role, each decoded once: kept on disk by the pixel cache, or in memory."""

import copy
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import TypeVar, overload

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from xray_tui import memory
from xray_tui.data.augmentation import plain
from xray_tui.data.decoding import decode
from xray_tui.data.dicom import EXTRA
from xray_tui.data.folders import ImageFile
from xray_tui.data.pixel_cache import PixelCache, key_of
from xray_tui.data.pixel_file import Kept, mark_of
from xray_tui.data.unreadable import Unreadable
from xray_tui.errors import UserError
from xray_tui.processors import processors

# Another release may decode or resize a pixel otherwise, and a cache must not show.
_MADERS = ("pillow", "torch", "torchvision", "pydicom", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg")

_File = TypeVar("_File")
_Read = TypeVar("_Read")

_SHARE_BYTES = 2**21
_LARGEST_SHARE = 16


@dataclass(frozen=True)
class Broken:
    """A file that was passed over, and why."""

    path: str
    why: str
    for_now: bool = False
    """The file system would not give it: it may another time, though the file stays as it is."""


class MappedImages(Sequence[Tensor]):
    """The images in a file of the cache; what is asked for is a view of its map, made anew each time."""

    def __init__(self, kept: Kept) -> None:
        self._pixels = torch.from_numpy(kept.pixels)
        self._heights = kept.heights
        self._widths = kept.widths
        self._ends = (kept.heights * kept.widths).cumsum()
        same = len(kept.heights) and (kept.heights == kept.heights[0]).all()
        self._one_size = bool(same and (kept.widths == kept.widths[0]).all())

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...

    @overload
    def __getitem__(self, index: slice) -> list[Tensor]: ...

    def __getitem__(self, index: int | slice) -> Tensor | list[Tensor]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        height, width, end = int(self._heights[index]), int(self._widths[index]), int(self._ends[index])
        return self._pixels[end - height * width : end].view(1, height, width)

    @property
    def size_bytes(self) -> int:
        return len(self._pixels)

    def on(self, device: torch.device) -> "MappedImages":
        """The same images, all of them copied to a device."""
        there = copy.copy(self)
        there._pixels = self._pixels.to(device)
        return there

    def stacked(self, part: slice) -> Tensor:
        """uint8 (N, 1, H, W): neighbours of one size, without a copy."""
        start, stop, step = part.indices(len(self))
        if not self._one_size or step != 1 or stop <= start:
            return torch.stack(self[part])
        height, width = int(self._heights[0]), int(self._widths[0])
        image = height * width
        return self._pixels[start * image : stop * image].view(-1, 1, height, width)


@dataclass(frozen=True)
class Pixels:
    """The readable images of a role, in the order of their files."""

    files: list[ImageFile]
    images: Sequence[Tensor]
    """uint8 (1, H, W) each, on the CPU; not to be written to."""
    labels: Tensor
    """int64 (N,)"""
    marks: Tensor
    """CRC-32 of an image's pixels, as int64 (N,): by it a resume knows that an image is another."""
    broken: list[Broken]

    def __len__(self) -> int:
        return len(self.files)

    def stacked(self, part: slice) -> Tensor:
        """uint8 (N, 1, H, W): images of one size, as those of :func:`read_plain` are."""
        if isinstance(self.images, MappedImages):
            return self.images.stacked(part)
        return torch.stack(list(self.images[part]))


def read_train(
    root: Path,
    files: list[ImageFile],
    resize: int,
    progress: Callable[[int], None],
    cache: PixelCache | None = None,
) -> Pixels:
    """Images at their own aspect ratio; large ones shrunk until the short side is ``resize`` pixels.

    Small ones are kept as they are: the random crop enlarges them, once.

    Args:
        root: the data folder, absolute.
        files: in it.
        resize: in pixels.
        progress: called with the number of files done; what it raises ends the reading.
        cache: where the images are kept; ``None`` for memory.

    Raises:
        UserError: memory or the disk has no room, or the cache cannot be used.
    """

    def shrink(image: Tensor) -> Tensor:
        return F.resize(image, [resize], antialias=True) if min(image.shape[1:]) > resize else image

    return _read(_Reading(root, files, resize, shrink, f"train {resize}"), progress, cache)


def read_plain(
    root: Path,
    files: list[ImageFile],
    resize: int,
    crop: int,
    progress: Callable[[int], None],
    cache: PixelCache | None = None,
) -> Pixels:
    """Images as validation and test see them: uint8 (1, crop, crop) each.

    Args and errors are those of :func:`read_train`.
    """

    def fit(image: Tensor) -> Tensor:
        return plain(image, resize, crop)

    return _read(_Reading(root, files, resize, fit, f"plain {resize} {crop}"), progress, cache)


def check_broken(broken: list[Broken], total: int, allowed: float) -> None:
    """Refuse a data folder of which too much cannot be read.

    Raises:
        UserError: more than ``allowed`` (a fraction) of ``total`` files are broken.
    """
    if len(broken) > allowed * total:
        first = "; ".join(f"{b.path} ({b.why})" for b in broken[:3])
        need = f"--unreadable {min(1.0, len(broken) / total + 0.005):.2f}"
        raise UserError(
            f"{len(broken)} of {total} images cannot be read, more than {allowed:.0%}: {first}",
            EXTRA
            if any(EXTRA in each.why for each in broken)
            else f"mend or remove them, or allow it with {need}",
        )


def open_plain(path: Path, resize: int, crop: int) -> Tensor:
    """One image as validation and test see it: uint8 (1, crop, crop).

    Raises:
        Unreadable: as of :func:`decode`.
    """
    return plain(torch.from_numpy(decode(path, resize).copy())[None], resize, crop)


def ahead(read: Callable[[_File], _Read], files: Iterable[_File], short_side: int) -> Generator[_Read]:
    """What is made of files, in their order, by several threads that are never far ahead of what is taken.

    Args:
        read: one file.
        files: taken as they are needed.
        short_side: of an image once it is read, in pixels.
    """
    threads = processors()
    pool = ThreadPoolExecutor(threads, "decode", initializer=torch.set_num_threads, initargs=(1,))
    # Handing one small image from thread to thread would take longer than decoding it.
    share = max(1, min(_LARGEST_SHARE, _SHARE_BYTES // short_side**2))
    left = iter(files)
    shares = iter(lambda: list(islice(left, share)), [])
    coming: deque[Future[list[_Read]]] = deque()
    try:
        while True:
            for some in islice(shares, 2 * threads - len(coming)):
                coming.append(pool.submit(lambda some: [read(file) for file in some], some))
            if not coming:
                return
            yield from coming.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class _Reading:
    """What is to be read, and what is made of it."""

    root: Path
    files: list[ImageFile]
    short_side: int
    fit: Callable[[Tensor], Tensor]
    form: str

    def one(self, file: ImageFile) -> Tensor | Broken:
        try:
            grey = decode(self.root / file.place, self.short_side)
        except Unreadable as error:
            return _broken(file, str(error), error.for_now)
        return self.fit(torch.from_numpy(grey.copy())[None])

    def all(self) -> Generator[Tensor | Broken]:
        """In the order of the files."""
        return ahead(self.one, self.files, self.short_side)


def _read(reading: _Reading, progress: Callable[[int], None], cache: PixelCache | None) -> Pixels:
    return _in_memory(reading, progress) if cache is None else _on_disk(reading, progress, cache)


def _made_by() -> str:
    releases = {}
    for name in _MADERS:
        with suppress(PackageNotFoundError):  # those of an extra
            releases[name] = version(name)
    return f"{releases}"


def _on_disk(reading: _Reading, progress: Callable[[int], None], cache: PixelCache) -> Pixels:
    files = reading.files
    key = key_of(reading.root, (file.place for file in files), f"{reading.form}, {_made_by()}")
    kept = cache.find(key)
    if kept is not None:
        progress(len(files))
        broken = [_broken(files[number], why) for number, why in kept.broken.items()]
    else:
        broken = []
        with cache.building(key, reading.root, len(files)) as part, closing(reading.all()) as all_found:
            for done, found in enumerate(all_found, 1):
                if isinstance(found, Broken):
                    broken.append(found)
                    part.pass_over(found.why, for_now=found.for_now)
                else:
                    part.add(found[0].numpy())
                progress(done)
            kept = part.finish()
    if broken:
        files = [file for number, file in enumerate(files) if number not in kept.broken]
    return Pixels(files, MappedImages(kept), _labels(files), torch.from_numpy(kept.marks), broken)


def _in_memory(reading: _Reading, progress: Callable[[int], None]) -> Pixels:
    kept: list[ImageFile] = []
    images: list[Tensor] = []
    broken: list[Broken] = []
    held_bytes = 0
    room = memory.free_bytes()
    with closing(reading.all()) as all_found:
        for done, (file, found) in enumerate(zip(reading.files, all_found, strict=True), 1):
            if isinstance(found, Broken):
                broken.append(found)
            else:
                kept.append(file)
                images.append(found)
                held_bytes += found.nbytes
            if held_bytes > 0.8 * room:
                raise UserError(
                    f"no memory for {len(reading.files)} images: {done} took {held_bytes / 2**30:.1f} GiB",
                    "use --cache auto, --limit N or a smaller --image-size",
                )
            progress(done)
    marks = torch.tensor([mark_of(image[0].numpy()) for image in images], dtype=torch.int64)
    return Pixels(kept, images, _labels(kept), marks, broken)


def _broken(file: ImageFile, why: str, for_now: bool = False) -> Broken:
    path, why = (words.encode(errors="backslashreplace").decode() for words in (file.path, why))
    return Broken(path, why, for_now)


def _labels(files: list[ImageFile]) -> Tensor:
    return torch.from_numpy(np.fromiter((file.label for file in files), np.int64, len(files)))

"""The pixel cache: every image of a role decoded once, before the first epoch."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from xray_tui.data.augmentation import plain
from xray_tui.data.decoding import Unreadable, decode
from xray_tui.data.folders import ImageFile
from xray_tui.errors import UserError


@dataclass(frozen=True)
class Broken:
    """A file that was passed over, and why."""

    path: str
    why: str


@dataclass(frozen=True)
class Pixels:
    """The readable images of a role, in the order of their files."""

    files: list[ImageFile]
    images: list[Tensor]
    """uint8 (1, H, W) each, on the CPU."""
    labels: Tensor
    """int64 (N,)"""
    broken: list[Broken]

    def __len__(self) -> int:
        return len(self.files)


def read_train(root: Path, files: list[ImageFile], resize: int, progress: Callable[[int], None]) -> Pixels:
    """Images at their own aspect ratio; large ones shrunk until the short side is ``resize`` pixels.

    Small ones are kept as they are: the random crop enlarges them, once.
    """

    def shrink(image: Tensor) -> Tensor:
        return F.resize(image, [resize], antialias=True) if min(image.shape[1:]) > resize else image

    return _read(root, files, shrink, progress)


def read_plain(
    root: Path, files: list[ImageFile], resize: int, crop: int, progress: Callable[[int], None]
) -> Pixels:
    """Images as validation and test see them: uint8 (1, crop, crop) each."""
    return _read(root, files, lambda image: plain(image, resize, crop), progress)


def check_broken(broken: list[Broken], total: int, allowed: float) -> None:
    """Refuse a data folder of which too much cannot be read.

    Raises:
        UserError: more than ``allowed`` (a fraction) of ``total`` files are broken.
    """
    if len(broken) > allowed * total:
        first = "; ".join(f"{b.path} ({b.why})" for b in broken[:3])
        raise UserError(
            f"{len(broken)} of {total} images cannot be read, more than {allowed:.0%}: {first}",
            f"mend or remove them, or allow it with --unreadable {min(1.0, len(broken) / total + 0.005):.2f}",
        )


def _read(
    root: Path, files: list[ImageFile], fit: Callable[[Tensor], Tensor], progress: Callable[[int], None]
) -> Pixels:
    def read(file: ImageFile) -> Tensor | Broken:
        try:
            grey = decode(root / file.path)
        except Unreadable as error:
            return Broken(file.path.encode(errors="backslashreplace").decode(), str(error))
        return fit(torch.from_numpy(grey.copy())[None])

    kept: list[ImageFile] = []
    images: list[Tensor] = []
    broken: list[Broken] = []
    held_bytes = 0
    room = psutil.virtual_memory().available
    pool = ThreadPoolExecutor(psutil.cpu_count() or 1)
    try:
        for done, (file, found) in enumerate(zip(files, pool.map(read, files), strict=True), 1):
            if isinstance(found, Broken):
                broken.append(found)
            else:
                kept.append(file)
                images.append(found)
                held_bytes += found.nbytes
            if held_bytes > 0.8 * room:
                raise UserError(
                    f"no memory for {len(files)} images: {done} took {held_bytes / 2**30:.1f} GiB",
                    "use --limit N or a smaller --image-size",
                )
            progress(done)
    finally:
        pool.shutdown(cancel_futures=True)  # a stop must not wait for thousands of files
    return Pixels(kept, images, torch.tensor([file.label for file in kept]), broken)

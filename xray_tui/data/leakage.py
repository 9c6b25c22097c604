"""What makes the numbers of a run look better than they are, told from names and from the pixels it holds.

``data check`` finds copies by the files' bytes, which a run does not keep: it has their pixels.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from xray_tui.data.augmentation import plain
from xray_tui.data.check_cache import Fact
from xray_tui.data.findings import SAME_BYTES, Finding, Survey, copies, patients
from xray_tui.data.pixel_file import mark_of
from xray_tui.data.pixels import Pixels, open_plain
from xray_tui.data.unreadable import Unreadable
from xray_tui.settings import Settings


def between(survey: Survey, train: Pixels | None, other: Pixels) -> Iterator[Finding]:
    """Patients of train that are in another role too, and copies of images, within the two and across.

    Args:
        survey: of the two roles and no third.
        train: ``None`` where its pixels are not at hand: then no copies are looked for.
        other: as :func:`pixels.read_plain` gives them.
    """
    yield from patients(survey, {})
    if train is not None:
        facts = {path: Fact("ok", digest=first) for path, first in same_pixels(survey, train, other).items()}
        for found in copies(survey, facts):
            yield msgspec.structs.replace(found, means=found.means.replace(SAME_BYTES, "Pixel for pixel."))


def same_pixels(survey: Survey, train: Pixels, other: Pixels) -> dict[str, str]:
    """The images that are there more than once, each with the first of its kind, by what they are called.

    Within a role every copy is found. Across roles only train images are cropped, to be compared, whose file
    is as large as one of the others': cropping all of them would take seconds.
    """
    first = _within(train) | _within(other)
    root, settings = survey.listing.root, survey.settings
    by_mark: dict[int, list[int]] = defaultdict(list)
    for number, mark in enumerate(other.marks.tolist()):
        by_mark[mark].append(number)
    sizes = {_bytes(root / file.place) for file in other.files}
    for file, image in zip(train.files, train.images, strict=True):
        if _bytes(root / file.place) in sizes:
            if (seen := _as_other(image, root / file.place, settings)) is None:
                continue
            for number in by_mark.get(mark_of(seen[0].numpy()), ()):
                if torch.equal(seen, other.images[number]):
                    _join(first, file.path, other.files[number].path)
    return first


def _as_other(image: Tensor, file: Path, settings: Settings) -> Tensor | None:
    """A train image as validation and test see theirs; ``None`` where that takes its file, which is gone."""
    side = settings.training.image_size
    if settings.resize == settings.training.resize:
        return plain(image, settings.resize, side)
    try:
        return open_plain(file, settings.resize, side)  # they are zoomed: kept, it may be too small for that
    except Unreadable:
        return None


def _within(pixels: Pixels) -> dict[str, str]:
    by_mark: dict[int, list[int]] = defaultdict(list)
    for number, mark in enumerate(pixels.marks.tolist()):
        by_mark[mark].append(number)
    first: dict[str, str] = {}
    for numbers in by_mark.values():
        for at, number in enumerate(numbers):
            for earlier in numbers[:at]:  # one mark may be of several images
                if torch.equal(pixels.images[earlier], pixels.images[number]):
                    _join(first, pixels.files[earlier].path, pixels.files[number].path)
                    break
    return first


def _join(first: dict[str, str], one: str, copy: str) -> None:
    """Note that two images are the same."""
    kept, gone = first.setdefault(one, one), first.get(copy)
    first[copy] = kept
    if gone is not None and gone != kept:  # it had copies of its own
        for path, named in first.items():
            if named == gone:
                first[path] = kept


def _bytes(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None

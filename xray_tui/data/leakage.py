"""What makes the numbers of a run look better than they are, told from names and from the pixels it holds.

``data check`` finds copies by the files' bytes, which a run does not keep: it has their pixels.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
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


def between(
    survey: Survey, train: Pixels | None, *others: Pixels, of: Pixels | None = None
) -> Iterator[Finding]:
    """Patients that are in two roles, and copies of images, within roles and across.

    Args:
        survey: of these roles and no other.
        train: ``None`` where its pixels are not at hand: then no copies are looked for.
        others: as :func:`pixels.read_plain` gives them.
        of: the one of them of whose images it is asked; by default of all.
    """
    asked = None if of is None else {file.path for file in of.files}
    for found in patients(survey, {}):
        if asked is None or not asked.isdisjoint(found.files):
            yield found
    if train is not None:
        first = same_pixels(survey, train, *others)
        wanted = {named for path, named in first.items() if asked is None or path in asked}
        facts = {path: Fact("ok", digest=named) for path, named in first.items() if named in wanted}
        for found in copies(survey, facts):
            yield msgspec.structs.replace(found, means=found.means.replace(SAME_BYTES, "Pixel for pixel."))


def same_pixels(survey: Survey, train: Pixels, *others: Pixels) -> dict[str, str]:
    """The images that are there more than once, each with the first of its kind, by what they are called.

    Within train and among the others every copy is found. Between the two only train images are cropped, to
    be compared, whose file is as large as one of the others': cropping all of them would take seconds.
    """
    first, by_mark = _among(train) | _among(*others), _by_mark(others)
    root, settings = survey.listing.root, survey.settings
    sizes = {_bytes(root / file.place) for other in others for file in other.files}
    for file, image in zip(train.files, train.images, strict=True):
        if _bytes(root / file.place) in sizes:
            if (seen := _as_other(image, root / file.place, settings)) is None:
                continue
            for other, number in by_mark.get(mark_of(seen[0].numpy()), ()):
                if torch.equal(seen, other.images[number]):
                    _join(first, other.files[number].path, file.path)
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


def _among(*roles: Pixels) -> dict[str, str]:
    first: dict[str, str] = {}
    for alike in _by_mark(roles).values():
        for at, (role, number) in enumerate(alike):
            for earlier, place in alike[:at]:  # one mark may be of several images
                if torch.equal(earlier.images[place], role.images[number]):
                    _join(first, earlier.files[place].path, role.files[number].path)
                    break
    return first


def _by_mark(roles: Sequence[Pixels]) -> dict[int, list[tuple[Pixels, int]]]:
    """The images by their marks, each as its role and its number there."""
    found: dict[int, list[tuple[Pixels, int]]] = defaultdict(list)
    for role in roles:
        for number, mark in enumerate(role.marks.tolist()):
            found[mark].append((role, number))
    return found


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

"""The images that a run was trained and chosen on, known again by their files: nothing is decoded."""

import hashlib
import os
import stat
from collections import defaultdict
from pathlib import Path

from xray_tui.data import sources, splits
from xray_tui.data.folders import ImageFile
from xray_tui.data.unreadable import MOST_BYTES
from xray_tui.errors import UserError
from xray_tui.regular_files import open_regular
from xray_tui.settings import Settings

_BEGINNING_BYTES = 1 << 12
"""Files of one device are often as large as each other: what they begin with tells most of them apart."""


class OwnImages:
    """Train and validation, as a run's settings find them again.

    Args:
        settings: that the run kept.

    Raises:
        UserError: none of them is there any more, or they cannot be told.
    """

    def __init__(self, settings: Settings) -> None:
        listing = sources.look(Path(settings.data.root), settings.data.columns)
        roles = splits.assign(listing, settings.data, settings.training.seed)
        self._root = listing.root
        self._of_size: dict[int, list[ImageFile]] = defaultdict(list)
        self._by_beginning: dict[int, dict[bytes, list[ImageFile]]] = {}
        self._inodes = set()
        for file in roles.train + roles.validation:
            if found := _looked_at(listing.root / file.place):
                self._of_size[found.st_size].append(file)
                self._inodes.add((found.st_dev, found.st_ino))
        if not self._inodes:
            raise UserError(f"the images of {listing.source} are not there any more")

    def holds(self, place: Path) -> bool:
        """Whether a file is one of them, whatever path or link leads to it."""
        found = _looked_at(place)
        return found is not None and (found.st_dev, found.st_ino) in self._inodes

    def copied(self, place: Path) -> ImageFile | None:
        """The one that a file is a copy of, byte for byte."""
        found = _looked_at(place)
        if found is None or found.st_size not in self._of_size:
            return None
        if (alike := self._by_beginning.get(found.st_size)) is None:
            alike = self._by_beginning[found.st_size] = defaultdict(list)
            for file in self._of_size[found.st_size]:
                alike[_digest(self._root / file.place, _BEGINNING_BYTES)].append(file)
        for file in alike.get(_digest(place, _BEGINNING_BYTES), ()):
            if (digest := _digest(place)) and digest == _digest(self._root / file.place):
                return file
        return None


def _looked_at(place: Path) -> os.stat_result | None:
    """What the file system says of a file; ``None`` where it can be no image."""
    try:
        found = place.stat()
    except (OSError, ValueError):
        return None
    return found if stat.S_ISREG(found.st_mode) and 0 < found.st_size <= MOST_BYTES else None


def _digest(place: Path, most_bytes: int = -1) -> bytes:
    """Of what a file begins with, or of all of it; empty where it cannot be read."""
    try:
        with open_regular(place) as file:
            return hashlib.blake2b(file.read(most_bytes)).digest()
    except OSError:
        return b""

"""Reads every file of a data folder once: is it what it seems, can it be decoded, is it there twice."""

import hashlib
import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from xray_tui.data import check_cache
from xray_tui.data.check_cache import Fact
from xray_tui.data.decoding import measure
from xray_tui.data.folders import ImageFile
from xray_tui.data.unreadable import MOST_BYTES, TOO_LARGE, Unreadable
from xray_tui.processors import processors
from xray_tui.regular_files import NotRegular, kind_of, open_regular


class NotOpened(Exception):
    """A file that is not opened, with the :class:`Fact` that says why."""

    def __init__(self, fact: Fact) -> None:
        super().__init__(fact.why)
        self.fact = fact


class Gate:
    """Lets through the regular files of one folder: a pipe would be waited for, a link may lead anywhere."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.realpath(root))
        self._inside: dict[Path, bool] = {}

    def find(self, path: str) -> tuple[Path, os.stat_result]:
        """Where a file of the folder really is.

        Raises:
            NotOpened: it is no regular file, or lies elsewhere.
        """
        place = self._root / path
        try:
            found = place.lstat()
            if stat.S_ISLNK(found.st_mode):
                place = Path(os.path.realpath(place, strict=True))
                found = place.lstat()
        except OSError as error:
            raise NotOpened(Fact("unreadable", error.strerror or str(error))) from None
        if not self._is_inside(place.parent):
            raise NotOpened(Fact("outside", "a link out of the folder"))
        if stat.S_ISDIR(found.st_mode):
            raise NotOpened(Fact("unreadable", "a folder"))
        if not stat.S_ISREG(found.st_mode):
            raise NotOpened(Fact("special", kind_of(found.st_mode)))
        return place, found

    def _is_inside(self, folder: Path) -> bool:
        """A class folder may itself be a link; each folder is asked once."""
        if folder not in self._inside:
            self._inside[folder] = Path(os.path.realpath(folder)).is_relative_to(self._root)
        return self._inside[folder]


class Reading(NamedTuple):
    """What was found out about the files of a folder."""

    facts: dict[str, Fact]
    """By what a file is called; not of all files where the reading was stopped."""
    fresh: int
    """Files that had to be read; of the others all was known."""
    unkept: str = ""
    """Why it could not be kept for the next time; empty where it was."""


def read_facts(
    root: Path,
    files: Sequence[ImageFile],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
    gentle: bool = False,
) -> Reading:
    """The facts of some files of a data folder; what is known from before and unchanged is not read again.

    Every file's bytes are hashed, not only those of files that share their size: they are read for
    decoding anyway.

    Args:
        root: the data folder.
        files: in it.
        progress: called with how many of how many are done, from the thread that called this.
        stopped: asked between files; once it says yes, the facts so far are kept and returned.
        gentle: leave the processor to others: one thread, idle half of the time.
    """
    known, gate = check_cache.load(root), Gate(root)
    facts: dict[str, Fact] = {}
    unread: list[tuple[ImageFile, Path]] = []
    for file in files:
        if stopped():
            return Reading(facts, 0)
        try:
            place, found = gate.find(file.place)
        except NotOpened as closed:
            facts[file.path] = closed.fact
            continue
        fact = known.get(file.path)
        if fact and (fact.size_bytes, fact.mtime_ns) == (found.st_size, found.st_mtime_ns):
            facts[file.path] = fact
        else:
            unread.append((file, place))
    progress(len(facts), len(files))
    if not unread:
        return Reading(facts, 0)
    pool = ThreadPoolExecutor(1 if gentle else processors())
    read, before = partial(_read_gently if gentle else _read, stopped=stopped), len(facts)
    unkept = ""
    try:
        for (file, _), fact in zip(unread, pool.map(read, unread), strict=True):
            if fact is None:
                break
            facts[file.path] = fact
            progress(len(facts), len(files))
    finally:
        pool.shutdown(cancel_futures=True)
        unkept = _keep(root, facts if len(facts) == len(files) else known | facts)
    return Reading(facts, len(facts) - before, unkept)


def _keep(root: Path, facts: Mapping[str, Fact]) -> str:
    """Keep the facts for the next time, or say why that cannot be."""
    try:
        check_cache.save(root, facts)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _read(unread: tuple[ImageFile, Path], stopped: Callable[[], bool]) -> Fact | None:
    """The fact of one file; ``None`` where it is no longer wanted."""
    file, place = unread
    if stopped():
        return None
    try:
        file.place.encode()
        with open_regular(place, follow=False) as opened:  # a link may stand there by now
            found = os.fstat(opened.fileno())
            if found.st_size > MOST_BYTES:  # it would be hashed to its end
                return Fact("unreadable", TOO_LARGE, found.st_size, found.st_mtime_ns)
            digest = hashlib.file_digest(opened, partial(hashlib.blake2b, digest_size=16)).hexdigest()
            seen = found.st_size, found.st_mtime_ns, digest
            opened.seek(0)
            try:
                return Fact("ok", "", *seen, *measure(opened))
            except Unreadable as error:
                # What may be read another time has no digest: it is not kept.
                return Fact("unreadable", str(error), *seen[:2], "" if error.for_now else digest)
    except UnicodeEncodeError:
        return Fact("unreadable", "its name is not UTF-8")
    except NotRegular as error:
        return Fact("special", f"{error.strerror}, by now")
    except OSError as error:
        return Fact("unreadable", error.strerror or str(error))


def _read_gently(unread: tuple[ImageFile, Path], stopped: Callable[[], bool]) -> Fact | None:
    begun = time.perf_counter()
    fact = _read(unread, stopped)
    time.sleep(time.perf_counter() - begun)
    return fact

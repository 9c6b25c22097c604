"""Whose image it is, where DICOM headers tell: patient IDs turned into numbers.

A patient ID identifies a person, and a digest of it can be undone by trying. So files of one ID get one
number, counted in the order of the files (``#1``, ``#2``): the same files have the same numbers on every
machine, and a number says nothing. The IDs themselves are kept nowhere, and never leave this process.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from xray_tui.data import dicom
from xray_tui.data.folders import ImageFile, Listing
from xray_tui.data.unreadable import Unreadable
from xray_tui.regular_files import open_regular

_KEPT = 1 << 17
"""Headers whose patients are known at once: a sweep asks for each trial."""
_THREADS = 8
"""For file servers that take their time; a header itself takes less than a millisecond."""


def told(listing: Listing, progress: Callable[[int, int], None] = lambda done, total: None) -> Listing:
    """The same images, those of DICOM files with the patient that their header tells. Opens each of them.

    A file whose header cannot be read, or tells none, is left as it is: its name may tell.

    Args:
        progress: called with how many of how many headers are read.
    """
    unknown = [file for files in listing.folders.values() for file in files if _asked(file)]
    if not unknown:
        return listing
    numbers: dict[str, str] = {}
    patients: dict[str, str] = {}
    for done, (file, patient) in enumerate(zip(unknown, _patients(listing.root, unknown), strict=True), 1):
        progress(done, len(unknown))
        if patient:
            patients[file.path] = numbers.setdefault(patient, f"#{len(numbers) + 1}")
    folders = {
        folder: [replace(file, patient=patients.get(file.path, file.patient)) for file in files]
        for folder, files in listing.folders.items()
    }
    return replace(listing, folders=folders)


def _asked(file: ImageFile) -> bool:
    return file.is_dicom and not file.patient


def _patients(root: Path, files: Sequence[ImageFile]) -> Iterator[str]:
    pool = ThreadPoolExecutor(_THREADS, "headers")
    try:
        yield from pool.map(lambda file: _patient(root / file.place), files)
    finally:  # ctrl+c waits for the headers under way alone
        pool.shutdown(cancel_futures=True)


def _patient(path: Path) -> str:
    """Empty also where the file cannot be read: that is told where its pixels are."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return ""
    return _in_header(path, found.st_size, found.st_mtime_ns)


@lru_cache(_KEPT)
def _in_header(path: Path, _size: int, _mtime_ns: int) -> str:
    try:
        with open_regular(path) as file:
            return dicom.patient_of(file)
    except (OSError, Unreadable):
        return ""

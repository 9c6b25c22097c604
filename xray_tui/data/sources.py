"""What may be named as data: a folder of class folders, a CSV file of labels, or MedMNIST's arrays.

Each comes to one :class:`Listing`: images that are files below a root, each with its class, its split and
perhaps its patient. Nothing further on asks what it came from.

Where an image is named by a run, its path begins with what the run has as its data: ``labels.csv/a/b.png``
is meant for ``a/b.png`` beside that file, see :func:`root_of`.
"""

from collections.abc import Callable
from pathlib import Path

from xray_tui.data import folders
from xray_tui.data.folders import Listing
from xray_tui.errors import UserError

LABELS, ARRAYS = ".csv", ".npz"
WANTED = "a folder with train/ and test/, a CSV file of labels, or an .npz file as MedMNIST has them"


def scan(
    source: Path, columns: str = "", progress: Callable[[int, int], None] = lambda done, total: None
) -> Listing:
    """List the images of a source, whose files are all there afterwards.

    Args:
        columns: of a CSV file, which are which; see :func:`labels.read`.
        progress: called with how many of how many images are unpacked, where any are.

    Raises:
        UserError: there is no such thing, it cannot be read, or its classes do not make a classifier.
    """
    return _unpacked(look(source, columns), progress)


def scan_labelled(
    source: Path, columns: str = "", progress: Callable[[int, int], None] = lambda done, total: None
) -> Listing:
    """List images to be judged: as :func:`scan`, or those of a folder with one folder a class, or a CSV file
    without splits.

    Returns:
        The images of the latter two as those of the split ``""``.

    Args and errors are those of :func:`scan`.
    """
    file = _as_file(source)
    if file is None:
        return folders.scan_labelled(source)
    if _is(file, LABELS):
        from xray_tui.data import labels  # late: for one kind of source

        return labels.read(file, columns, to_learn=False)
    return scan(file, columns, progress)


def look(source: Path, columns: str = "") -> Listing:
    """The same listing, with nothing written: files of an archive may not be there.

    Args and errors are those of :func:`scan`.
    """
    file = _as_file(source)
    if file is None:
        return folders.scan(source)
    if _is(file, ARRAYS):
        from xray_tui.data import archive  # late: as above

        return archive.read(file)
    from xray_tui.data import labels  # late: for one kind of source

    return labels.read(file, columns)


def within(path: Path) -> tuple[Path, str] | None:
    """Source and name of an image that is named by a file of labels or an archive; ``None``: by a folder."""
    for parent in path.parents:
        if parent.suffix.lower() in (LABELS, ARRAYS) and parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return None


def root_of(source: Path) -> Path:
    """The folder below which the images of a file of labels or an archive lie.

    Raises:
        UserError: the archive cannot be unpacked.
    """
    return scan(source).root if _is(source, ARRAYS) else source.parent


def _unpacked(listing: Listing, progress: Callable[[int, int], None]) -> Listing:
    if listing.told_by is None or not _is(listing.told_by, ARRAYS):
        return listing
    from xray_tui.data import archive  # late: Pillow and numpy, for one kind of source

    return archive.unpack(listing.told_by, progress)


def _as_file(source: Path) -> Path | None:
    """The file that is named, absolute, where it is one of those that are known."""
    try:
        file = source.expanduser().resolve()
        if not file.is_file():
            return None
    except (OSError, RuntimeError, ValueError):  # folders say what is wrong with it
        return None
    if not (_is(file, LABELS) or _is(file, ARRAYS)):
        raise UserError(f"{source} is no data", f"name {WANTED}")
    return file


def _is(file: Path, suffix: str) -> bool:
    return file.suffix.lower() == suffix

"""Labels in a CSV file: which images there are, of what class, perhaps in which split and of which patient.

The first row names the columns, known by the words that people use for them or told by ``--columns``.
Comma, semicolon, tab or bar separate them. Paths are relative to the folder of the CSV file, or absolute
and in it: a file from elsewhere cannot name what lies outside, so the CSV belongs above its images. Rows are
counted as a spreadsheet shows them, the names of the columns being row 1.
"""

import csv
import io
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from pathlib import Path

from xray_tui.data.folders import SPLIT_FOLDERS, ImageFile, Listing
from xray_tui.errors import UserError
from xray_tui.regular_files import read_regular
from xray_tui.words import brief, count

_MOST_BYTES = 1 << 28
"""Of a file: a few million rows."""
_MOST_CLASSES = 1000
_LONGEST_CLASS = 100
_SEPARATORS = ",;\t|"
_SHOWN = 5
"""Rows that an error names."""
_WORDS = {
    "path": "path image file filename filepath imagepath imagefile imagename imageindex img dicom dicompath",
    "label": "label labels class classname target diagnosis dx finding findings findinglabels category y",
    "split": "split set subset partition dataset datasettype usage",
    "patient": "patient patientid subject subjectid person personid pid",
}
"""What columns are called, in lower case and without spaces, dots, dashes and underscores."""
_SPLITS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}
_HOW = "name them: --columns 'path=COLUMN, label=COLUMN' (also split and patient)"


def read(file: Path, columns: str = "", *, to_learn: bool = True) -> Listing:
    """List the images that a CSV file names; each is looked for, none is opened.

    Args:
        file: absolute.
        columns: which are which, as ``path=Image Index, label=Finding``; ``split=`` says that there is none.
        to_learn: from train. Else images are to be judged: those of test, or all where no column tells
            splits, which are then those of the split ``""``.

    Raises:
        UserError: the file cannot be read, lacks a column, has rows that name no file, an image twice, no
            label or an unknown split; or its classes do not make a classifier.
    """
    rows = _rows(file)
    number = _columns(file, next(rows)[1], told(columns))
    trouble: dict[str, list[str]] = defaultdict(list)
    seen: dict[str, int] = {}
    found: list[tuple[str, ImageFile, str]] = []
    for row, cells in rows:
        cell = {what: cells[at].strip() if at < len(cells) else "" for what, at in number.items()}
        place, label = place_of(file.parent, cell["path"]), cell["label"]
        split = _SPLITS.get(cell["split"].casefold()) if "split" in cell else "train" if to_learn else ""
        name = brief(cell["path"], _LONGEST_CLASS)
        if place is None:
            trouble["not in the folder of the CSV file"].append(f"row {row} ({name})")
        elif not os.path.isfile(file.parent / place):  # noqa: PTH113  # a Path raises at a long name
            trouble["no such file"].append(f"row {row} ({name})")
        elif place in seen:
            trouble["the same image again"].append(f"row {row} ({name}, as row {seen[place]})")
        elif not label or len(label) > _LONGEST_CLASS or not label.isprintable():
            trouble["no label that can be a class"].append(f"row {row}")
        elif split is None:
            trouble["unknown split"].append(f"row {row} ({brief(cell['split'], _LONGEST_CLASS) or 'none'})")
        else:
            seen[place] = row
            found.append((split, ImageFile(place, 0, patient=cell.get("patient", "")), label))
    if trouble:
        raise UserError(_in_words(file, trouble), _remedy(trouble))
    return _listing(file, found, to_learn)


def told(columns: str) -> dict[str, str]:
    """The names of columns by what they hold.

    Raises:
        UserError: it is no list of them.
    """
    names = {}
    for part in filter(None, map(str.strip, columns.split(","))):
        what, equals, name = (word.strip() for word in part.partition("="))
        if not equals or what not in _WORDS or what in names:
            raise UserError(f"--columns {columns}: {part} is not understood", _HOW)
        names[what] = name
    return names


def cells(file: Path) -> Iterator[str]:
    """Every cell of the file but the names of the columns: the paths of its images are among them.

    Raises:
        UserError: it cannot be read.
    """
    rows = _rows(file)
    next(rows)
    for _, row in rows:
        yield from row


def place_of(folder: Path, cell: str) -> str | None:
    """Where in the folder a path of its CSV file leads, with forward slashes; ``None``: out of it."""
    text = cell.strip()
    if not text or "\0" in text:
        return None
    if "\\" in text and not os.path.lexists(folder / text):
        text = text.replace("\\", "/")
    path = Path(os.path.normpath(folder / text))
    place = os.path.relpath(path, folder)
    if place.startswith("../") and Path(text).is_absolute():  # it may go through a link to the folder
        place = os.path.relpath(_real(path.parent) / path.name, folder)
    return None if place in (".", "..") or place.startswith("../") else place


@lru_cache(maxsize=256)
def _real(folder: Path) -> Path:
    return Path(os.path.realpath(folder))  # resolve() fails where links lead in a circle


def _rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows with something in them, each with its number; the first is that of the columns.

    Raises:
        UserError: there are none, or it is no CSV file.
    """
    try:
        text = read_regular(file, _MOST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{file} is not in UTF-8", "save it as “CSV UTF-8”") from None
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from None
    if "\n" not in text:  # as Excel on a Mac may end its lines
        text = text.replace("\r", "\n")
    first, row, empty = text.lstrip().partition("\n")[0], 0, True
    try:
        separator = max(_SEPARATORS, key=lambda each: _fitness(next(csv.reader([first], delimiter=each), [])))
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
        for row, cells in enumerate(lines, 1):
            if any(map(str.strip, cells)):
                empty = False
                yield row, cells
    except csv.Error as error:
        raise UserError(f"{file}, row {row + 1}: {error}") from None
    if empty:
        raise UserError(f"{file} is empty", "its first row names the columns: path,label")


def _fitness(names: Sequence[str]) -> tuple[int, int]:
    """The columns that are known, then all: the larger, the likelier it is what separates them."""
    known = {word for words in _WORDS.values() for word in words.split()}
    return sum(_plain(name) in known for name in names), len(names)


def _plain(name: str) -> str:
    """Of a column: in lower case and without marks."""
    return name.strip().casefold().translate(_NO_MARKS)


def _columns(file: Path, names: Sequence[str], told: Mapping[str, str]) -> dict[str, int]:
    """Which column holds what."""
    there = brief(", ".join(name.strip() for name in names), 10 * _LONGEST_CLASS)
    number = {}
    for what, words in _WORDS.items():
        if what in told:
            if not told[what] and what in ("split", "patient"):
                continue
            wanted = told[what].casefold()
            fits = [at for at, name in enumerate(names) if name.strip().casefold() == wanted]
            if not fits:
                raise UserError(f"{file} has no column {told[what]}", f"its columns: {there}")
        else:
            known = words.split()
            fits = [at for at, name in enumerate(names) if _plain(name) in known]
        if len(fits) > 1:
            several = brief(", ".join(names[at] for at in fits), 10 * _LONGEST_CLASS)
            raise UserError(f"{file}: several columns may be the {what}: {several}", _HOW)
        if fits:
            number[what] = fits[0]
        elif what in ("path", "label"):
            raise UserError(f"{file}: no column is known to be the {what}; they are {there}", _HOW)
    return number


_NO_MARKS = str.maketrans("", "", " .-_")


def _listing(file: Path, found: Sequence[tuple[str, ImageFile, str]], to_learn: bool) -> Listing:
    classes = sorted({label for _, _, label in found})
    if not 2 <= len(classes) <= _MOST_CLASSES:
        there = (
            f"{count(len(classes))} classes" if classes[1:] else f"only {classes[0] if classes else 'none'}"
        )
        raise UserError(
            f"a classifier needs two classes or more; the column of labels in {file} has {there}",
            "name another column: --columns label=COLUMN",
        )
    by_name = {name: label for label, name in enumerate(classes)}
    folders: dict[str, list[ImageFile]] = {split: [] for split in (*SPLIT_FOLDERS, "")}
    for split, image, label in found:
        folders[split].append(ImageFile(image.path, by_name[label], patient=image.patient))
    folders = {split: sorted(files, key=attrgetter("path")) for split, files in folders.items() if files}
    if to_learn and "train" not in folders:
        raise UserError(f"{file} has no row of train", "its column of splits says train, val or test")
    if not to_learn and folders.keys().isdisjoint(("test", "")):
        raise UserError(f"{file} has no row of test", "--columns split= takes all rows")
    for split in ("train", "test") if to_learn else ():
        absent = sorted(set(range(len(classes))) - {image.label for image in folders.get(split, ())})
        if absent and split in folders:
            names = ", ".join(classes[label] for label in absent)
            raise UserError(f"{file} has no {split} image of {names}", "give each split every class")
    return Listing(file.parent, classes, folders, told_by=file)


def _in_words(file: Path, trouble: Mapping[str, Sequence[str]]) -> str:
    words = []
    for what, rows in trouble.items():
        more = f" and {count(len(rows) - _SHOWN)} more" if len(rows) > _SHOWN else ""
        words.append(f"{what}: {', '.join(rows[:_SHOWN])}{more}")
    return f"{file}: {'; '.join(words)}"


def _remedy(trouble: Mapping[str, Sequence[str]]) -> str:
    if "unknown split" in trouble:
        return "splits are train, val and test; --columns split= leaves them out"
    if "the same image again" in trouble:
        return "leave each image one row: a class is one label, not several"
    return "mend these rows or remove them; paths are relative to the folder of the CSV file"

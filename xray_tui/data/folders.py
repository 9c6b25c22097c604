"""What lies in a data folder: split folders, class folders, image files. Reads names, no images.

An image file is known by its suffix. Hospitals export DICOM under names without one, which are numbers or
UIDs (``IM000001``, ``1.2.840.113619.2.5.176``): such a file is opened, and is an image where it has DICOM's
magic. So notes, scripts and the index ``DICOMDIR`` are none.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from xray_tui.errors import UserError
from xray_tui.regular_files import open_regular

DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
SUFFIXES = frozenset({".jpeg", ".jpg", ".png"}) | DICOM_SUFFIXES
SPLIT_FOLDERS = ("train", "val", "test")
_MAGIC, _MAGIC_AT = b"DICM", 128
_LAYOUT = "wanted: train/CLASS/*.jpeg and test/CLASS/*.jpeg (val/ is optional), two classes or more"


@dataclass(frozen=True, slots=True)  # there may be a hundred thousand
class ImageFile:
    path: str
    """What it is called: relative to the data folder, with forward slashes."""
    label: int
    """Its class, as a number into the listing's classes."""
    hidden: str = ""
    """Its path, where it is called by a pseudonym instead."""
    patient: str = ""
    """Whose it is, where more than its name tells; see :mod:`xray_tui.data.patients`."""

    @property
    def place(self) -> str:
        """Where it lies, for who opens it. Whatever is written or shown has ``path``."""
        return self.hidden or self.path

    @property
    def is_dicom(self) -> bool:
        """By its name: what has none of the other suffixes was listed for its magic."""
        suffix = _suffix(self.place)
        return suffix in DICOM_SUFFIXES or suffix not in SUFFIXES


@dataclass(frozen=True)
class Listing:
    root: Path
    """Absolute; below it lie the images."""
    classes: list[str]
    """By name."""
    folders: dict[str, list[ImageFile]]
    """The image files of each split that is there, by path. A split folder has its name."""
    told_by: Path | None = None
    """The file that was named as data, absolute, where it was no folder."""

    @property
    def source(self) -> Path:
        """What was named as data: finds the same images again."""
        return self.told_by or self.root

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Images by split folder and class."""
        return {
            folder: {name: sum(f.label == label for f in files) for label, name in enumerate(self.classes)}
            for folder, files in self.folders.items()
        }


def scan(root: Path) -> Listing:
    """List a data folder, or the one doubled inside it (Kaggle's ``chest_xray/chest_xray``).

    Raises:
        UserError: the folder is not there, cannot be looked into, has not the layout, or its classes do not
            fit together.
    """
    return _listed(root, _scan)


def scan_labelled(root: Path) -> Listing:
    """List images to be evaluated on: a data folder, as :func:`scan`, or a folder with one folder a class.

    Returns:
        The images of the latter as those of the folder ``""``.

    Raises:
        UserError: as :func:`scan`.
    """
    return _listed(root, lambda root: _scan(root) if _is_split(root) else _scan_classes(root))


def _listed(root: Path, scan: Callable[[Path], Listing]) -> Listing:
    try:
        return scan(root.expanduser().resolve())
    except (OSError, RuntimeError, ValueError) as error:  # a link to itself, a home of nobody, a NUL
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise UserError(f"cannot look into {root}: {why}", "name the folder that holds train/") from None


def _is_split(root: Path) -> bool:
    return (root / "train").is_dir() or bool(_doubled(root))


def _doubled(root: Path) -> list[Path]:
    return [child for child in (root / root.name, root / "chest_xray") if (child / "train").is_dir()]


def _scan_classes(root: Path) -> Listing:
    if not root.is_dir():
        raise UserError(f"no such folder: {root}", "name one that holds a folder a class")
    found = {name: files for name, files in _classes(root).items() if files}
    if not found and (root / "test").is_dir():
        return _scan_classes(root / "test")
    if not found:
        raise UserError(f"no images in the folders of {root}", "wanted: CLASS/*.jpeg, or test/CLASS/*.jpeg")
    for name in found:
        _check_name(name)
    classes = sorted(found)
    files = [
        ImageFile(f"{name}/{file}", classes.index(name)) for name in classes for file in sorted(found[name])
    ]
    return Listing(root, classes, {"": files})


def _scan(root: Path) -> Listing:
    if not root.is_dir():
        raise UserError(f"no such folder: {root}", "name the folder that holds train/ and test/")
    if not (root / "train").is_dir() and (doubled := _doubled(root)):
        root = doubled[0]
    for needed in ("train", "test"):
        if not (root / needed).is_dir():
            raise UserError(f"{root} has no folder {needed}/", _LAYOUT)
    found = {name: _classes(root / name) for name in SPLIT_FOLDERS if (root / name).is_dir()}
    if not any(files for by_class in found.values() for files in by_class.values()):
        raise UserError(f"no images in {root}", _LAYOUT)
    if "val" in found and not any(found["val"].values()):
        del found["val"]
    for names in found.values():
        for name in names:
            _check_name(name)
    classes = sorted(found["train"])
    if len(classes) < 2:
        there = classes[0] if classes else "none"
        raise UserError(f"a classifier needs two classes; {root / 'train'} has {there}", _LAYOUT)
    for split, by_class in found.items():
        missing, extra = sorted(set(classes) - set(by_class)), sorted(set(by_class) - set(classes))
        if missing or extra:
            words = [f"lacks {', '.join(missing)}"] if missing else []
            words += [f"has {', '.join(extra)} besides"] if extra else []
            raise UserError(
                f"the classes of {split}/ differ from those of train/: it {' and '.join(words)}",
                "give every split folder the same class folders",
            )
        empty = [name for name, files in by_class.items() if not files]
        if empty and split != "val":
            raise UserError(f"no images of {', '.join(empty)} in {root / split}", _LAYOUT)
    number = {name: label for label, name in enumerate(classes)}
    return Listing(
        root=root,
        classes=classes,
        folders={
            split: [
                ImageFile(f"{split}/{name}/{file}", number[name])
                for name in sorted(by_class)
                for file in sorted(by_class[name])
            ]
            for split, by_class in found.items()
        },
    )


def _check_name(name: str) -> None:
    """The names of classes go into settings, journal and TensorBoard, which are text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = name.encode(errors="backslashreplace").decode()
        raise UserError(f"the name of the class folder {shown} is not UTF-8", "rename it") from None


def _classes(folder: Path) -> dict[str, list[str]]:
    """Image file names by class folder."""
    return {
        child.name: image_names(child, os.listdir(child))  # noqa: PTH208  # a Path each takes ten times the time
        for child in folder.iterdir()
        if child.is_dir() and not is_hidden(child.name)
    }


def image_names(folder: Path, names: Iterable[str]) -> list[str]:
    """Those names in a folder that are an image's; hidden ones are none (``.DS_Store``, ``._x.jpeg``)."""
    return [
        name
        for name in names
        if not name.startswith(".") and (_suffix(name) in SUFFIXES or _is_bare_dicom(folder, name))
    ]


def is_hidden(folder: str) -> bool:
    """Whether a folder of that name is nobody's images (``.cache``, ``__MACOSX``)."""
    return folder.startswith((".", "__"))


def is_dicom(file: BinaryIO) -> bool:
    """Whether a file says that it is DICOM, by its magic: 128 bytes of anything, then ``DICM``."""
    file.seek(_MAGIC_AT)
    found = file.read(len(_MAGIC))
    file.seek(0)
    return found == _MAGIC


def _is_bare_dicom(folder: Path, name: str) -> bool:
    """Whether a name without a suffix, or with a number for one, is that of a DICOM file."""
    suffix = _suffix(name)
    if (suffix and not suffix[1:].isdigit()) or name.upper() == "DICOMDIR":
        return False
    try:
        with open_regular(folder / name, buffer_bytes=_MAGIC_AT + len(_MAGIC)) as file:
            return is_dicom(file)
    except OSError:  # no regular file, or not ours to read
        return False


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122  # a Path each would take ten times the time

"""File names that tell nothing: what a run writes or shows names an image by a keyed digest of its path.

With the setting ``data.hash_names`` an image is called ``test/NORMAL/9f86d081884c7d65.jpeg``: split and class
stay, for they are labels, and the name of the file becomes 16 digits of an HMAC-SHA256. Where a CSV file
tells the labels, folders may be anything (a patient's, a date's), and only the digits are left. Names can be
guessed (``person14_virus_1``), so a plain digest would be undone by trying; the key makes that impossible
for whoever has not got it. It is made once, lies in the user's state folder and never in a run directory.
One key gives one image the same pseudonym in every run, so that runs can be compared image by image.

The engine hides the names where the plan is made: from there on :attr:`ImageFile.path` is the pseudonym, and
only who opens a file asks for :attr:`ImageFile.place`. Whoever reads a run finds the file by :func:`locate`.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

from xray_tui.data import labels, sources
from xray_tui.data.folders import SUFFIXES, ImageFile, Listing
from xray_tui.data.splits import Roles, named_patient, patient_of
from xray_tui.errors import UserError
from xray_tui.files import state_folder
from xray_tui.regular_files import read_regular

DIGITS = 16
"""64 bits: that two of a million images get the same ones has a chance of 1 in 30 million."""
_KEY_BYTES = 32
_MOST_BYTES = 1000
"""Of its file."""
_FORM = re.compile(rf"[0-9a-f]{{{DIGITS}}}({'|'.join(map(re.escape, sorted(SUFFIXES)))})?", re.IGNORECASE)
_KEPT_FOLDERS = 4
"""Data folders whose files are known by pseudonym at once."""


class Names:
    """What images and patients are called: here by their own names."""

    def hide(self, roles: Roles) -> Roles:
        return roles

    def patient(self, file: ImageFile) -> str:
        """The patient of an image; one whose name tells none is its own."""
        return patient_of(file)

    def named_patient(self, file: ImageFile) -> str | None:
        """The patient of an image where its header or the name of its file tells one."""
        return named_patient(file) and self.patient(file)


OWN_NAMES = Names()


class Pseudonyms(Names):
    """By pseudonyms.

    Args:
        key: that nobody can guess.
        keep_folders: those of the images are split and class.
    """

    def __init__(self, key: bytes, *, keep_folders: bool = True) -> None:
        self._key = key
        self._keep_folders = keep_folders

    def hide(self, roles: Roles) -> Roles:
        """The same images in the same order, called by pseudonyms.

        Raises:
            UserError: two of them would be called the same.
        """
        train, validation, test = (
            [self._hidden(file) for file in files] for files in (roles.train, roles.validation, roles.test)
        )
        files = train + validation + test
        if len({file.path for file in files}) < len({file.place for file in files}):
            raise UserError(
                "two images would have the same pseudonym",
                f"move {key_file()} away: another key is made, with other pseudonyms",
            )
        return replace(roles, train=train, validation=validation, test=test)

    def patient(self, file: ImageFile) -> str:
        """The same for all images of a patient; tells nothing of the images' own pseudonyms."""
        return f"patient-{self._digits('patient', patient_of(file))}"

    def path(self, path: str) -> str:
        """What an image is called whose file lies at ``path``, relative to the data folder."""
        file = PurePosixPath(path)
        known = file.suffix if file.suffix.lower() in SUFFIXES else ""  # another is the end of a UID
        called = self._digits("image", path) + known
        return str(file.with_name(called)) if self._keep_folders else called

    def _hidden(self, file: ImageFile) -> ImageFile:
        return replace(file, path=self.path(file.path), hidden=file.path)

    def _digits(self, what: str, name: str) -> str:
        told = f"{what}\0{name}".encode("utf-8", "surrogateescape")
        return hmac.new(self._key, told, hashlib.sha256).hexdigest()[:DIGITS]


def hiding(key: bytes, listing: Listing) -> Pseudonyms:
    """The pseudonyms of a listing's images."""
    told_by = listing.told_by
    return Pseudonyms(key, keep_folders=told_by is None or told_by.suffix.lower() != sources.LABELS)


def key_file() -> Path:
    """Where the key lies."""
    return state_folder() / "names.key"


def own_key() -> bytes:
    """The key of this user on this machine; made where there is none.

    Raises:
        UserError: it cannot be read or made, or is damaged.
    """
    file = key_file()
    if not file.exists():
        try:
            _make_key(file)
        except OSError as error:
            raise UserError(
                f"cannot make the key of the pseudonyms {file}: {error.strerror}",
                "--hash-names needs it; XRAY_TUI_STATE_DIR names another folder",
            ) from None
    return read_key()


def read_key() -> bytes:
    """The key, where there is one.

    Raises:
        UserError: there is none, or it cannot be read or is damaged.
    """
    file = key_file()
    try:
        key = bytes.fromhex(read_regular(file, _MOST_BYTES).decode("ascii").strip())
    except FileNotFoundError:
        raise UserError(
            f"the key of the pseudonyms is not on this machine: no {file}",
            "copy it from the user and the machine that began the run",
        ) from None
    except OSError as error:
        raise UserError(f"cannot read the key of the pseudonyms {file}: {error.strerror}") from None
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise UserError(
            f"the key of the pseudonyms {file} is damaged",
            "put back a copy; without one move it away: new runs then have other pseudonyms",
        )
    return key


def check_key(root: Path, called: Collection[str]) -> None:
    """Is the key the one that a run has been called its images with?

    Args:
        root: the run's data folder.
        called: pseudonyms of its images; with none, only whether there is a key is checked.

    Raises:
        UserError: it is not, or there is none.
    """
    key = read_key()
    if called and not any(path in _places(root, key) for path in called):
        raise UserError(
            f"no image of {root} has a pseudonym of this run: the key was another one",
            f"put the key back that the run began with: {key_file()}",
        )


def locate(path: Path) -> Path:
    """The file that is meant by a path in a data folder, or in a file that tells of images.

    Its name may be a pseudonym: then all images are listed the first time. To be called in a thread.

    Raises:
        UserError: it is a pseudonym, and its key or its file is not here.
    """
    told = sources.within(path)
    if told is not None:
        source, called = told
        root = sources.root_of(source)
        path = root / called
    else:
        source = root = path.parents[2] if len(path.parents) > 2 else path.parent
        called = "/".join(path.parts[-3:])
    if not _FORM.fullmatch(path.name) or path.exists():
        return path
    if not source.exists():
        raise UserError(f"the data folder {source} is not there")
    place = _places(source, read_key()).get(called)
    if place is None:
        raise UserError(
            "no file of the data folder has this pseudonym", "the file is gone, or the key was another one"
        )
    return root / place


@lru_cache(_KEPT_FOLDERS)
def _places(source: Path, key: bytes) -> dict[str, str]:
    """Where the images of a source lie, by pseudonym.

    Of a CSV file each cell counts that may be a path: which column has them, a run's settings may tell.
    """
    if source.suffix.lower() == sources.LABELS and source.is_file():
        names = Pseudonyms(key, keep_folders=False)
        places = {labels.place_of(source.parent, cell) for cell in labels.cells(source)}
        return {names.path(place): place for place in places if place is not None}
    names = Pseudonyms(key)
    files = [file.path for folder in sources.look(source).folders.values() for file in folder]
    return {names.path(path): path for path in files}


def _make_key(file: Path) -> None:
    """Write a new key, for its user alone; where another process is as quick, its key stays.

    Raises:
        OSError: as the file system says.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(opened, "w", encoding="ascii") as out:  # noqa: PTH123  # a descriptor has no path
            out.write(secrets.token_hex(_KEY_BYTES) + "\n")
            out.flush()
            os.fsync(opened)
        try:
            os.link(part, file)  # unlike a rename, it never takes the place of a key that is there
        except FileExistsError:
            return
    finally:
        part.unlink()

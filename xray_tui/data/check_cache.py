"""What was found out about the files of a data folder, kept so that only changed files are read again."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from xray_tui.files import cache_folder, replace_bytes
from xray_tui.regular_files import read_regular

_VERSION = 2


_MOST_BYTES = 1 << 30
Side = Annotated[int, Meta(ge=0, le=2**31)]


class Fact(Struct, frozen=True, array_like=True, gc=False):
    """One file, as it was when it was read."""

    state: Literal["ok", "unreadable", "special", "outside"]
    """``special`` is no regular file and ``outside`` a link out of the folder: neither was opened."""
    why: str = ""
    """Why it is not ``ok``, in words."""
    size_bytes: Annotated[int, Meta(ge=0, le=2**60)] = 0
    mtime_ns: int = 0
    digest: str = ""
    """BLAKE2b (128 bits) of the file's bytes, as hex."""
    width: Side = 0
    """In pixels, upright; 0 where it is not ``ok``."""
    height: Side = 0
    mode: str = ""
    """Pillow's word for channels and depth: ``L``, ``RGB``, ``I;16``."""


class _Kept(Struct, frozen=True):
    version: int
    root: str
    facts: dict[str, Fact]


def load(root: Path) -> dict[str, Fact]:
    """The kept facts of a data folder by path; none where the file is missing, broken or outdated."""
    try:
        kept = msgspec.msgpack.decode(read_regular(_file(root), _MOST_BYTES), type=_Kept)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return kept.facts if kept.version == _VERSION else {}


def save(root: Path, facts: Mapping[str, Fact]) -> None:
    """Keep the facts of the files that were opened.

    Raises:
        OSError: the cache folder cannot be written.
    """
    keep = {path: fact for path, fact in facts.items() if fact.digest and _is_text(path)}
    file = _file(root)
    file.parent.mkdir(parents=True, exist_ok=True)
    shown = os.fsencode(root).decode(errors="backslashreplace")
    replace_bytes(file, msgspec.msgpack.encode(_Kept(_VERSION, shown, keep)))


def _file(root: Path) -> Path:
    name = hashlib.blake2b(os.fsencode(root), digest_size=12).hexdigest()
    return cache_folder() / "checks" / f"{name}.msgpack"


def _is_text(path: str) -> bool:
    """Whether the name is UTF-8; others are read anew each time."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in path)

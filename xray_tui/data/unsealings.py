"""Who has looked at which test images: a ledger in the user's state folder, to which lines are only added.

Numbers of test are worth what they promise as long as nobody chooses by them. So each run that is about to
read its test images says so here first, and learns how many runs have looked at the same images, itself
included. A run that is resumed, or evaluated again, is still one run.

The images are known by a digest of their labels, places and sizes, none of which is found out by reading
one. With ``--limit`` they are other images, and counted by themselves.
"""

import errno
import hashlib
import os
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from xray_tui.data.folders import ImageFile
from xray_tui.files import keep_names, state_folder
from xray_tui.regular_files import NotRegular

if sys.platform != "win32":
    import fcntl

_MOST_BYTES = 1 << 27
"""Of the ledger: half a million looks."""
_PATIENCE_SECONDS = 10.0
"""Others hold it for milliseconds; one that was stopped meanwhile is not waited for."""
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT
for _name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):  # a pipe that somebody put there is not waited for
    _FLAGS |= getattr(os, _name, 0)


class _Look(Struct, frozen=True):
    """One line."""

    t: float
    """Unix seconds."""
    test: str
    """The digest of the images."""
    run: str


class Looks(NamedTuple):
    times: int
    """Runs that have looked at the images, the one that asks included."""
    damaged: int
    """Lines of the ledger that cannot be read: they may have told of more."""


def ledger_file() -> Path:
    return state_folder() / "unsealings.jsonl"


def digest_of(root: Path, test: Sequence[ImageFile]) -> str:
    """Of test images, as hex: the same whatever a run calls them, and wherever the data folder lies.

    Args:
        root: the data folder.
    """
    digest = hashlib.blake2b(digest_size=16)
    for place, label in sorted((file.place, file.label) for file in test):
        try:
            size = (root / place).stat().st_size
        except OSError:  # the run will say that it cannot be read
            size = -1
        digest.update(f"{label} {size} {place}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def look(test: str, run: Path) -> Looks:
    """Note that a run is about to look at test images, unless that is known already.

    Args:
        test: their digest.
        run: its directory when it began.

    Raises:
        OSError: the ledger cannot be read or written: nothing was noted.
    """
    name = os.fsencode(run).decode(errors="backslashreplace")
    with _opened() as ledger:
        content = _content(ledger)
        lines = [line for line in content.split(b"\n") if line.strip()]
        looks = [look for line in lines if (look := _decoded(line))]
        runs = {look.run for look in looks if look.test == test}
        if name not in runs:
            line = msgspec.json.encode(_Look(time.time(), test, name)) + b"\n"
            # A line that a process has not finished is nobody's beginning.
            _append(ledger, line if content[-1:] in (b"", b"\n") else b"\n" + line, len(content))
    return Looks(len(runs | {name}), len(lines) - len(looks))


@contextmanager
def _opened() -> Iterator[int]:
    """A descriptor of the ledger, which is made where there is none, locked against other processes."""
    file = ledger_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    is_new = not file.exists()
    ledger = os.open(file, _FLAGS, 0o666)
    try:
        if not stat.S_ISREG(mode := os.fstat(ledger).st_mode):
            raise NotRegular(mode, file)
        if is_new:
            keep_names(file.parent)
        _lock(ledger, file)
        yield ledger
    finally:
        os.close(ledger)  # which lets go of it


def _lock(ledger: int, file: Path) -> None:
    """A file system without locks is taken as it is: each line is still written whole."""
    if sys.platform == "win32":
        return
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(ledger, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise OSError(errno.EAGAIN, "another process holds it", str(file)) from None
            time.sleep(0.01)
        except OSError:
            return
        else:
            return


def _content(ledger: int) -> bytes:
    size = os.fstat(ledger).st_size
    if size > _MOST_BYTES:
        raise OSError(errno.EFBIG, f"larger than {_MOST_BYTES:,} bytes", str(ledger_file()))
    os.lseek(ledger, 0, os.SEEK_SET)
    content = b""
    while len(content) < size and (more := os.read(ledger, size - len(content))):
        content += more
    return content


def _append(ledger: int, line: bytes, end: int) -> None:
    """The whole line or nothing of it.

    Args:
        end: bytes of the ledger before.
    """
    if os.write(ledger, line) < len(line):
        os.ftruncate(ledger, end)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(ledger_file()))
    os.fsync(ledger)


def _decoded(line: bytes) -> _Look | None:
    try:
        return msgspec.json.decode(line, type=_Look)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None

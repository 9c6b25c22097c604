"""Opening what somebody else may have put there: regular files alone, and never more of one than makes sense.

Opening a named pipe waits for ever, reading ``/dev/zero`` never ends, and opening a device may do something.
So a path is looked at before it is opened, and what was opened is looked at again: between the two it may
have become something else, which ``O_NONBLOCK`` keeps from being waited for.
"""

import errno
import os
import stat
from io import BufferedReader, FileIO
from pathlib import Path

from xray_tui.errors import UserError

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
}

_FLAGS = os.O_RDONLY
for _name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _name, 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_CHUNK_BYTES = 1 << 20


class NotRegular(OSError):
    """What is there is no regular file; ``strerror`` says what it is."""

    def __init__(self, mode: int, path: Path) -> None:
        super().__init__(errno.EINVAL, kind_of(mode), str(path))


def kind_of(mode: int) -> str:
    """What a mode of ``stat`` is, in words."""
    return _KINDS.get(stat.S_IFMT(mode), "no regular file")


def check_replaceable(path: Path) -> None:
    """Before what a person named is replaced by a file. A link is replaced, not followed.

    Raises:
        UserError: it is, or leads to, a folder, a device, a pipe or a socket.
    """
    try:
        mode = path.stat().st_mode
    except OSError:  # there is nothing; else whoever writes is told why that cannot be
        return
    if not stat.S_ISREG(mode):
        raise UserError(f"cannot write {path}: it is {kind_of(mode)}", "name a file")


def open_regular(path: Path, *, follow: bool = True, buffer_bytes: int = 1 << 16) -> BufferedReader:
    """Open a file to read it.

    Args:
        follow: whether the last part of the path may be a link.
        buffer_bytes: what is read at a time.

    Raises:
        NotRegular: it is a pipe, a socket, a device or a folder; it was not read, and not waited for.
        OSError: as the file system says.
    """
    return BufferedReader(FileIO(_open(path, follow)), buffer_bytes)


def read_regular(path: Path, most_bytes: int, *, follow: bool = True) -> bytes:
    """The content of a file.

    Args:
        follow: as of :func:`open_regular`.

    Raises:
        NotRegular: as :func:`open_regular`.
        OSError: it is larger than ``most_bytes``, or as the file system says.
    """
    descriptor = _open(path, follow)
    try:
        content = os.read(descriptor, min(os.fstat(descriptor).st_size, most_bytes) + 1)
        while len(content) <= most_bytes and (more := os.read(descriptor, _CHUNK_BYTES)):
            content += more  # it has grown meanwhile
    finally:
        os.close(descriptor)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"larger than {most_bytes:,} bytes", str(path))
    return content


def _open(path: Path, follow: bool) -> int:
    """A descriptor of it; errors as of :func:`open_regular`."""
    try:
        found = os.stat(path, follow_symlinks=follow)  # noqa: PTH116  # a thousand runs are looked at like that
        if not stat.S_ISREG(found.st_mode):
            raise NotRegular(found.st_mode, path)
        descriptor = os.open(path, _FLAGS if follow else _FLAGS | _NOFOLLOW)
    except ValueError as error:  # a NUL in the name
        raise OSError(errno.EINVAL, str(error), str(path)) from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise NotRegular(mode, path)
    return descriptor

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

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
}


class NotRegular(OSError):
    """What is there is no regular file; ``strerror`` says what it is."""

    def __init__(self, mode: int, path: Path) -> None:
        super().__init__(errno.EINVAL, kind_of(mode), str(path))


def kind_of(mode: int) -> str:
    """What a mode of ``stat`` is, in words."""
    return _KINDS.get(stat.S_IFMT(mode), "no regular file")


def open_regular(path: Path, *, follow: bool = True, buffer_bytes: int = 1 << 16) -> BufferedReader:
    """Open a file to read it.

    Args:
        follow: whether the last part of the path may be a link.
        buffer_bytes: what is read at a time.

    Raises:
        NotRegular: it is a pipe, a socket, a device or a folder; it was not read, and not waited for.
        OSError: as the file system says.
    """
    try:
        found = path.stat(follow_symlinks=follow)
        if not stat.S_ISREG(found.st_mode):
            raise NotRegular(found.st_mode, path)
        flags = os.O_RDONLY
        for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "" if follow else "O_NOFOLLOW"):
            flags |= getattr(os, name, 0) if name else 0
        file: BufferedReader = BufferedReader(FileIO(os.open(path, flags)), buffer_bytes)
    except ValueError as error:  # a NUL in the name
        raise OSError(errno.EINVAL, str(error), str(path)) from None
    mode = os.fstat(file.fileno()).st_mode
    if not stat.S_ISREG(mode):
        file.close()
        raise NotRegular(mode, path)
    return file


def read_regular(path: Path, most_bytes: int, *, follow: bool = True) -> bytes:
    """The content of a file.

    Args:
        follow: as of :func:`open_regular`.

    Raises:
        NotRegular: as :func:`open_regular`.
        OSError: it is larger than ``most_bytes``, or as the file system says.
    """
    with open_regular(path, follow=follow) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f"larger than {most_bytes:,} bytes", str(path))
    return content

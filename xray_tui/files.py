"""Writing a file so that a reader sees the old one or the new one, never half of one; where caches lie."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

_T = TypeVar("_T")


class Insist(Protocol):
    """Does a write to the disk. Whoever waits for room meanwhile asks what it is that has none."""

    def __call__(self, write: Callable[[], _T], what: Callable[[], str] = str) -> _T: ...


def at_once(write: Callable[[], _T], what: Callable[[], str] = str) -> _T:
    """Where nobody is to wait."""
    return write()


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well.

    Args:
        durable: wait until content and name are on the disk: a power cut leaves the old file or the new one.

    Raises:
        OSError: as the file system says.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)  # a link that a stranger put there would be written through
    try:
        yield part
        if durable:
            with part.open("rb") as written:
                os.fsync(written.fileno())
        part.replace(path)
        if durable:
            keep_names(path.parent)
    finally:
        part.unlink(missing_ok=True)


def keep_names(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    if os.name == "nt":  # there a folder cannot be opened
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def replace_bytes(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Replace the content of a small file at once."""
    with replacing(path, durable=durable) as part:
        part.write_bytes(content)


def state_folder() -> Path:
    """Where what outlasts a sitting is kept: ``XRAY_TUI_STATE_DIR``, else the user's state folder."""
    given = os.environ.get("XRAY_TUI_STATE_DIR")
    if given:
        return Path(given)
    import platformdirs  # late: as below

    return platformdirs.user_state_path("xray-tui")


def cache_folder() -> Path:
    """Where what can be found out again is kept: ``XRAY_TUI_CACHE_DIR``, else the user's cache folder."""
    given = os.environ.get("XRAY_TUI_CACHE_DIR")
    if given:
        return Path(given)
    import platformdirs  # late: settings read small files before the first frame, and need no cache

    return platformdirs.user_cache_path("xray-tui")

"""Image files as a person names them: files, folders, patterns, lists of paths. Reads names, no images."""

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from xray_tui.data.folders import image_names, is_hidden
from xray_tui.words import count

STANDARD_INPUT = "-"


def image_paths(
    words: Iterable[str],
    lines: Iterable[bytes] = (),
    *,
    leave_out: Path | None = None,
    say: Callable[[str], None] = lambda trouble: None,
) -> Iterator[Path]:
    """Each image once, in the order in which they are named; those of a folder by name.

    What is named by itself is an image, whether it exists or not: whoever opens it says so. Of folders, those
    below them too, less hidden ones.

    Args:
        words: files, folders, patterns (``scans/**/*.png``, where the shell left them), and
            :data:`STANDARD_INPUT` for the lines.
        lines: a file or a folder each; taken as they are needed.
        leave_out: a folder whose images are none, though it lies below one that is named.
        say: told of a folder without images or that cannot be looked into, and at the end how many paths came
            more than once.
    """
    seen: set[str] = set()
    again = 0
    hidden = os.path.realpath(leave_out) if leave_out else ""
    for named in _named(words, lines):
        # Not Path.is_dir, which raises at a name that is too long: that is told where it is opened.
        for path in _below(named, hidden, say) if os.path.isdir(named) else (named,):  # noqa: PTH112
            place = os.path.abspath(path)  # noqa: PTH100  # of a Path it would follow links
            if place in seen:
                again += 1
            else:
                seen.add(place)
                yield path
    if again:
        say(f"{count(again)} path{'' if again == 1 else 's'} came more than once: an image is looked at once")


def _named(words: Iterable[str], lines: Iterable[bytes]) -> Iterator[Path]:
    for word in words:
        if word == STANDARD_INPUT:
            yield from (Path(os.fsdecode(line)) for ended in lines if (line := ended.rstrip(b"\r\n")))
            continue
        path = os.path.expanduser(word)  # noqa: PTH111  # of a Path it raises where there is no such user
        is_pattern = any(letter in path for letter in "*?[") and not os.path.lexists(path)
        found = sorted(glob.glob(path, recursive=True)) if is_pattern else []  # noqa: PTH207  # absolute ones too
        yield from map(Path, found or [path])


def _below(top: Path, hidden: str, say: Callable[[str], None]) -> Iterator[Path]:
    def tell(error: OSError) -> None:
        say(f"cannot look into {error.filename}: {error.strerror}")

    some = False
    for folder, folders, names in os.walk(top, onerror=tell):
        folders[:] = [
            name
            for name in sorted(folders)
            if not (is_hidden(name) or (hidden and os.path.realpath(Path(folder, name)) == hidden))
        ]
        for name in image_names(Path(folder), sorted(names)):
            some = True
            yield Path(folder, name)
    if not some:
        say(f"no images in {top}")

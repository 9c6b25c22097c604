"""The memory that this process may take: a container or a job may have been given a part of the machine's."""

from pathlib import Path

import psutil

_CGROUP = Path("/sys/fs/cgroup")
"""Of this process, as a container sees it: version 2."""


def limit_bytes() -> int | None:
    """Of the container or job; ``None`` where it has none."""
    return _number(_CGROUP / "memory.max")  # else it says "max"


def free_bytes() -> int:
    """What can be taken now."""
    available = int(psutil.virtual_memory().available)
    limit, used = limit_bytes(), _number(_CGROUP / "memory.current")
    if limit is None or used is None:
        return available
    return max(0, min(available, limit - used + _files_bytes()))


def _files_bytes() -> int:
    """Of files that were read, which count as used and go when room is wanted."""
    try:
        lines = (_CGROUP / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):
        return 0
    return next((int(number) for name, number in map(str.split, lines) if name == "inactive_file"), 0)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None

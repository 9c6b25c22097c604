"""What this process asks of the system before torch is loaded. Knows no torch itself."""

import ctypes
import gc
import os
import sys

from xray_tui.errors import UserError

# Parameters of glibc's mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
_NEW_OBJECTS = 3_000
"""A collection of so many takes some 2 ms, of so few none is worth it."""
_LONGEST_WAIT = 20
"""Older objects wait for at most so many times as many collections as the threshold says."""
_MOST_NEW_OBJECTS = 200_000
"""More than a dashboard makes between two calls: where they fail to come, memory stays bounded."""


def set_up() -> None:
    """Make CPU training fast and a good neighbour. To be called first, before threads start.

    Both settings change how fast a run is, never what it computes.
    """
    # OpenMP's threads wait for each other after every operation, by spinning. Where anything else wants a
    # core (a dashboard's screen, another user), the spinning thread keeps it from the one it waits for:
    # measured on two busy cores, five to ten times slower than sleeping; on two idle ones, no difference.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _keep_freed_memory()


def place() -> tuple[int, int]:
    """Rank of this process, and how many there are: torchrun says so; else it is alone."""
    size = int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1
    return (int(os.environ["RANK"]), size) if size > 1 else (0, 1)


def be_alone(who: str = "the dashboard") -> None:
    """Refuse to be one of several processes.

    Args:
        who: wants to be alone, for the words.

    Raises:
        UserError: in the first of them; the others just end.
    """
    rank, size = place()
    if rank:
        sys.exit(2)
    if size > 1:
        raise UserError(
            f"{who} is a single process, and torchrun started several",
            "train with `torchrun … -m xray_tui train DATA`, and look on with `xray-tui watch`",
        )


def keep_objects() -> None:
    """What is there now stays, and the garbage collector need not walk it again and again.

    Torch brings some hundred thousand objects: a full collection over them holds every thread up for a
    third of a second, a key in the dashboard as much as a batch. What is garbage now is never freed: not
    for a loop to call.
    """
    gc.freeze()


def collect_seldom() -> None:
    """Leave the garbage collector's work to :func:`collect_if_due`, which is called when nobody waits.

    For a dashboard: a painting makes and drops thousands of objects, so that by itself the collector comes
    while one is under way. It took 10 to 36 ms of the 50 that a key may take, at every fifth key.
    """
    gc.set_threshold(_MOST_NEW_OBJECTS, 5, 100)


def collect_if_due() -> None:
    """Collect the cycles of new objects where those are many.

    Those of older ones, which take ten times as long, wait until few new ones come, up to a limit.
    """
    new, young, old = gc.get_count()
    _, of_young, of_old = gc.get_threshold()
    if new >= _NEW_OBJECTS and young < _LONGEST_WAIT * of_young:
        gc.collect(0)
    elif young >= of_young:
        gc.collect(2 if old >= of_old else 1)


def release_objects() -> None:
    """Collect all garbage, also among what :func:`keep_objects` kept: a run has ended."""
    gc.unfreeze()
    gc.collect()


def give_back_memory() -> None:
    """Give freed memory back to the system after all: this process trains no more.

    Does nothing where the C library is not glibc.
    """
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _keep_freed_memory() -> None:
    """Keep large freed blocks instead of giving them back to the system after every operation.

    Each feature map of a CPU batch is tens of megabytes, and glibc maps and unmaps every one: half of
    the time of a batch goes into page faults. Kept, EfficientNet-Lite0 at 256 px runs about twice as
    fast on two cores, in both stages; the price is that memory stays at its peak. One arena for all
    threads, since a thread's own arena cannot hold such blocks.

    Does nothing where the C library is not glibc.
    """
    libc = _glibc()
    if libc is not None:
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_M_ARENA_MAX, 1)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None

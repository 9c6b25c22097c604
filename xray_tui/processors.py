"""The processors that this process may use: on a shared machine it may have been given a few of them."""

import os

import psutil


def processors() -> int:
    """How many threads can run at once."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cores() -> int:
    """How many threads can compute at once: two on one core take as long as one after the other."""
    return min(psutil.cpu_count(logical=False) or processors(), processors())

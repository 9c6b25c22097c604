"""Where a run's time goes: what ``--debug`` tells at its end."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

_T = TypeVar("_T")


class Times:
    """Seconds by what they went into, of the thread that trains; and of those that work beside it.

    They are taken on the host. A GPU works on while the host goes ahead: what it is given shows as the
    time to hand it over, and what it takes shows where the host has to wait for it.
    """

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._seconds: dict[str, float] = {}
        self._beside: dict[str, float] = {}
        self._lock = threading.Lock()
        self._within: list[float] = []
        """Of each part under way, the seconds that parts within it have taken."""

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        """Count the time within, less what is counted in there by itself. Of the thread that trains only."""
        began = time.perf_counter()
        self._within.append(0.0)
        try:
            yield
        finally:
            taken = time.perf_counter() - began
            self._seconds[what] = self._seconds.get(what, 0.0) + taken - self._within.pop()
            if self._within:
                self._within[-1] += taken

    @contextmanager
    def beside(self, what: str) -> Iterator[None]:
        """Count the processor time of a thread that works while the other one trains."""
        began = time.thread_time()
        try:
            yield
        finally:
            with self._lock:
                self._beside[what] = self._beside.get(what, 0.0) + time.thread_time() - began

    def waiting(self, what: str, items: Iterable[_T]) -> Iterator[_T]:
        """The items; the time until each is there is counted."""
        iterator = iter(items)
        while True:
            with self(what):
                item = next(iterator, None)
            if item is None:
                return
            yield item

    def table(self) -> str:
        """A line for each part, the longest first."""
        whole = time.perf_counter() - self._began
        rows = sorted(self._seconds.items(), key=lambda row: -row[1])
        rows.append(("the rest", whole - sum(self._seconds.values())))
        lines = [f"{whole:10.1f} s  in all"]
        lines += [f"{taken:10.1f} s  {taken / whole:6.1%}  {what}" for what, taken in rows]
        for what, taken in self._beside.items():
            lines.append(f"{taken:10.1f} s  {'':6}  {what}, by other threads meanwhile")
        return "\n".join(lines)

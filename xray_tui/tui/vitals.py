"""How busy the machine is."""

from typing import NamedTuple

import psutil


class Vitals(NamedTuple):
    cpu_percent: float
    """Of all cores, since the last look."""
    memory_bytes: int
    """Resident size of this process."""


def take_vitals() -> Vitals:
    return Vitals(psutil.cpu_percent(None), psutil.Process().memory_info().rss)

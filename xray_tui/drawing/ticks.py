"""Round values along an axis, and how they are written."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """The ticks with as many digits as tell them apart."""
    step = min((b - a for a, b in pairwise(ticks)), default=1.0)
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    return [f"{tick:.{digits}f}" for tick in ticks]


def log_labels(ticks: Sequence[float]) -> list[str]:
    """Each tick with its own digits: 0.001, 0.02, 10; below that as 1e-5."""
    return [f"{tick:.10g}" if tick >= 1e-4 else f"{tick:.0e}".replace("e-0", "e-") for tick in ticks]


def nice_step(span: float, steps: int) -> float:
    """A round step (1, 2 or 5 times a power of ten) that cuts the span into at most that many."""
    rough = span / max(1, steps)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * 0.999)


def nice_ticks(low: float, high: float, most: int) -> list[float]:
    """Round values from ``low`` to ``high``, at most ``most`` and one."""
    step = nice_step(high - low, most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def log_limits(values: Iterable[float]) -> tuple[float, float]:
    """Where a logarithmic axis begins and ends: round values (1, 2 or 5) around those above 0."""
    positive = [value for value in values if value > 0]
    if not positive:
        return 0.1, 1.0
    lowest, highest = min(positive), max(positive)
    around = _ones_twos_fives(lowest / 10, highest * 10)
    low = max(value for value in around if value <= lowest * (1 + 1e-9))
    high = min(value for value in around if value >= highest * (1 - 1e-9) and value > low)
    return low, high


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Round values (1, 2 or 5) between two above 0, at most ``most`` and one.

    Where they are too many, whole decades stay; where only the ends are left, evenly spaced values.
    """
    inside = [v for v in _ones_twos_fives(low, high) if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]
    if len(inside) < 3:
        return nice_ticks(low, high, most)
    if len(inside) > most + 1:
        decades = [value for value in inside if f"{value:e}".startswith("1")]
        if len(decades) < 2:
            return inside[::2]
        inside = decades[:: math.ceil(len(decades) / (most + 1))]
        if len(inside) <= most and low < inside[0]:
            inside = [low, *inside]
    return inside


def _ones_twos_fives(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    return [float(f"{factor}e{power}") for power in powers for factor in (1, 2, 5)]


def whole_ticks(last: int, most: int) -> list[int]:
    """Epoch numbers from 0 on, evenly spread, at most ``most`` and one."""
    step = max(1, math.ceil(nice_step(max(1, last), most)))
    return list(range(0, last + 1, step))

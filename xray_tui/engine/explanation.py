"""What came of asking a network where it looked. Knows no torch: a screen shows it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as fractions of a radiograph's width and height."""


@dataclass(frozen=True)
class Explanation:
    heat: NDArray[np.float32]
    """Grad-CAM, (h, w) in 0 to 1: of the size of the feature map, a few pixels."""
    box: Box
    """The part of the radiograph that the network was given, which the heat lies on."""
    predicted: int
    """By these weights; the class that the heat is about."""
    probabilities: NDArray[np.float32]
    """(C,), by these weights."""
    epoch: int | None
    """The epoch whose weights these are; ``None`` where that is not known, or they are of no whole one."""

    @property
    def silent(self) -> bool:
        """Whether no place speaks for the class."""
        return not bool((self.heat > 0).any())

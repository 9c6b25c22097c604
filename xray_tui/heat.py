"""A Grad-CAM map laid over a radiograph: on the screen, in TensorBoard, in a run's pictures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Matplotlib's inferno (Smith, van der Walt & Firing 2015), less its dark third, which would be read as
# film, and its palest end, which looks cold there.
_COLOURS = np.array(
    [(101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21), (250, 193, 39), (245, 219, 76)],
    np.float32,
)
_FAINTEST, _STRONGEST = 0.25, 0.7
"""Heat below the first leaves the film alone; the second is how much of the film the most heat covers."""
_KEPT_LIGHT = 0.35
"""Of a heat colour on black film: what is left is lit by the film, whose structures stay to be seen."""
_UNSEEN_LIGHT = 0.5
"""Of the film that the network was not given."""


@dataclass(frozen=True, eq=False)
class Overlay:
    """What lies over a radiograph; compared by identity."""

    heat: NDArray[np.float32]
    """(h, w) in 0 to 1, of a few pixels."""
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    """Where it lies: left, top, right, bottom, as fractions of the radiograph. The network saw only this."""


def lay_over(film: Image.Image, overlay: Overlay) -> Image.Image:
    """The film in grey with the heat in colour, and dimmed where the network did not look at all.

    Args:
        film: of any mode.

    Returns:
        RGB, of the film's size.
    """
    grey = np.asarray(film.convert("L"), np.float32) / 255
    left, right = (round(edge * film.width) for edge in overlay.box[::2])
    top, bottom = (round(edge * film.height) for edge in overlay.box[1::2])
    left, top = max(0, left), max(0, top)
    right, bottom = min(film.width, max(right, left + 1)), min(film.height, max(bottom, top + 1))
    lit = np.full_like(grey, _UNSEEN_LIGHT)
    lit[top:bottom, left:right] = 1.0
    pixels = np.repeat((grey * lit)[..., None], 3, axis=2)

    size = (right - left, bottom - top)
    small = Image.fromarray(np.ascontiguousarray(overlay.heat, np.float32))
    heat = np.asarray(small.resize(size, Image.Resampling.BICUBIC)).clip(0, 1)  # bicubic overshoots
    share = ((heat - _FAINTEST) / (1 - _FAINTEST)).clip(0, 1)
    cover = _STRONGEST * (share * share * (3 - 2 * share))[..., None]
    inside = pixels[top:bottom, left:right]
    coloured = _colours(share) * (_KEPT_LIGHT + (1 - _KEPT_LIGHT) * inside)
    pixels[top:bottom, left:right] = inside + cover * (coloured - inside)
    return Image.fromarray((pixels * 255).round().astype(np.uint8))


def _colours(share: NDArray[np.float32]) -> NDArray[np.float32]:
    """0 to 1 → RGB in 0 to 1, (H, W, 3)."""
    stops = np.linspace(0, 1, len(_COLOURS))
    channels = [np.interp(share, stops, _COLOURS[:, channel]) for channel in range(3)]
    return (np.stack(channels, -1) / 255).astype(np.float32)

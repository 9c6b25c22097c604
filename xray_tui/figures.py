"""Figures of a run: numbers in, PNG bytes out; knows nobody.

Drawn with matplotlib's objects alone, never with pyplot, whose figures are global state: runs live in
threads. The same numbers give the same bytes. Colours are two of Okabe & Ito (2008), which every kind of
colour vision tells apart; printed grey, line style and marker do.
"""

from __future__ import annotations

import io
import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
PANEL_PX = (484, 396)
"""Width and height of a figure with one panel; panels stand side by side."""
PICTURE_PX = 176
"""Side of the square that a radiograph is fitted into."""


class _Look(NamedTuple):
    color: str
    line: str
    marker: str
    hatch: str


_LOOKS = (_Look("#0072B2", "-", "o", ""), _Look("#D55E00", "--", "s", "////"))
_FAINT, _TEXT = "#808080", "#202020"
_TITLE_PX, _MARGIN_PX = 26, 12
"""Above a panel; right of it."""
_SMALL, _NORMAL = 7.5, 9.0
"""Points."""
_LONGEST_NAME = 22
"""Characters of a class's name."""
_WORDS_PX, _GAP_PX = 34, 8
"""Height of the words below a radiograph; between two of them."""
_MOST_CHARACTERS = 27
"""Of a line below a radiograph."""
_BAR = 0.02
"""Width of a bar, as part of the probabilities."""
_IN_A_ROW = 4
_MOST_MARKED = 40
"""Epochs beyond which a curve has no marker each."""

# Both would fall into the middle of a screen. For the whole process and once: `warnings.catch_warnings` is
# not to be used from several threads.
warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
logging.getLogger("matplotlib").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Traced:
    """A split's curve through all thresholds; ``x`` rises."""

    label: str
    x: NDArray[np.float64]
    """(K,)"""
    y: NDArray[np.float64]
    area: float | None = None
    """Under it, and its 95 % interval: they stand in the legend."""
    interval: tuple[float, float] | None = None
    point: tuple[float, float] | None = None
    """Where the operating point lies."""
    chance: float | None = None
    """The height that guessing has, of a precision-recall curve."""


@dataclass(frozen=True)
class Binned:
    """How often images are positive that are called so with about the same probability."""

    label: str
    predicted: NDArray[np.float64]
    """Mean probability of a bin's images, (B,): of bins that have some."""
    observed: NDArray[np.float64]
    """Part of them that is positive."""
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class Picture:
    """A mistake to be looked at."""

    words: str
    """One line or two."""
    images: Sequence[NDArray[np.uint8]]
    """One or several side by side: (H, W) grey or (H, W, 3)."""


def epochs(
    numbers: Sequence[int],
    losses: Mapping[str, Sequence[float | None]],
    rates: Mapping[str, Sequence[float | None]],
    *,
    boundary: int | None = None,
    best: int | None = None,
) -> bytes:
    """Two panels over the epochs: losses and rates.

    Args:
        numbers: of the epochs, (E,).
        losses: by label, two at most, each (E,); likewise ``rates``, which are fractions.
        boundary: the first unfrozen epoch.
        best: the best one.
    """
    from matplotlib.ticker import MaxNLocator

    figure, panels = _panels(2)
    for axes, title, curves in zip(panels, ("loss", "rate on validation"), (losses, rates), strict=True):
        for (label, values), look in zip(curves.items(), _LOOKS, strict=False):
            heights = np.array([math.nan if value is None else value for value in values], float)
            marker = look.marker if len(numbers) <= _MOST_MARKED else ""
            axes.plot(numbers, heights, look.line, color=look.color, marker=marker, markersize=3, label=label)
            if best is not None and best in numbers:
                axes.plot([best], [heights[numbers.index(best)]], "*", color=_TEXT, markersize=9, zorder=4)
        if boundary is not None and boundary > min(numbers, default=boundary):
            axes.axvline(boundary - 0.5, color=_FAINT, linestyle=":", linewidth=1.2)
            axes.annotate(
                " unfrozen",
                (boundary - 0.5, 0.985),
                xycoords=("data", "axes fraction"),
                fontsize=_SMALL,
                va="top",
                color=_FAINT,
            )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        _finish(axes, title, "epoch", "")
        axes.legend(loc="best")
    return _png(figure)


def roc(curves: Sequence[Traced]) -> bytes:
    """Receiver operating characteristic: ``x`` is 1 - specificity, ``y`` sensitivity."""
    figure, (axes,) = _panels(1)
    axes.plot([0, 1], [0, 1], color=_FAINT, linestyle=":", linewidth=1)
    _trace(axes, curves, "AUC", steps="default")
    _finish(axes, "ROC", "1 − specificity", "sensitivity")
    return _png(figure)


def precision_recall(curves: Sequence[Traced]) -> bytes:
    """Precision (``y``) over recall (``x``), which is sensitivity."""
    figure, (axes,) = _panels(1)
    for curve, look in zip(curves, _LOOKS, strict=False):
        if curve.chance is not None:
            axes.axhline(curve.chance, color=look.color, linestyle=":", linewidth=1)
    # A point's precision holds back to the point before: average precision is the area below.
    _trace(axes, curves, "average precision", steps="steps-pre")
    _finish(axes, "precision and recall", "recall (sensitivity)", "precision")
    return _png(figure)


def calibration(panels: Mapping[str, Sequence[Binned]]) -> bytes:
    """Reliability, and below it how many images stand behind each point.

    Args:
        panels: one or two curves of a split (before and after calibration), by its title.
    """
    figure, columns = _panels(len(panels), ratios=(3, 1))
    for number, (title, curves) in enumerate(panels.items()):
        above, below = columns[number], columns[number + len(panels)]
        above.plot([0, 1], [0, 1], color=_FAINT, linestyle=":", linewidth=1)
        for index, (curve, look) in enumerate(zip(curves, _LOOKS, strict=False)):
            x, y = curve.predicted, curve.observed
            above.plot(x, y, look.line, color=look.color, marker=look.marker, markersize=4, label=curve.label)
            aside = _BAR * (index - (len(curves) - 1) / 2)
            below.bar(x + aside, curve.counts, _BAR, color=look.color, hatch=look.hatch)
        below.set_yscale("log")  # the bins at both ends hold most images
        below.set_ylim(bottom=0.8)
        below.yaxis.set_major_formatter(lambda images, _: f"{images:,.0f}")
        below.yaxis.minorticks_off()
        for axes in (above, below):
            axes.set_xlim(-0.02, 1.02)
        above.set_ylim(-0.02, 1.02)
        _finish(above, title, "", "part that is positive" if number == 0 else "")
        _finish(below, "", "probability of positive", "images" if number == 0 else "")
        above.legend(loc="best")
    return _png(figure)


def confusion(matrices: Mapping[str, Sequence[Sequence[int]]], classes: Sequence[str]) -> bytes:
    """Confusion matrices beside each other; shades are parts of the actual class.

    Args:
        matrices: images by actual class (rows) and predicted class (columns), by title.
    """
    names = [_shortened(name) for name in classes]
    upright = len(names) > 3
    longest_px = 7 * max(map(len, names))
    figure, panels = _panels(len(matrices), below_px=36 + (longest_px if upright else 12))
    size = _NORMAL if len(classes) <= 5 else 5.5
    for axes, (title, matrix) in zip(panels, matrices.items(), strict=True):
        counts = np.array(matrix, float)
        parts = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        axes.imshow(parts, cmap="Blues", vmin=0, vmax=1)
        for (row, column), part in np.ndenumerate(parts):
            axes.text(
                column,
                row,
                f"{counts[row, column]:,.0f}\n{part:.1%}",
                ha="center",
                va="center",
                color="white" if part > 0.55 else _TEXT,
                fontsize=size,
            )
        axes.set_xticks(range(len(names)), names, rotation=90 if upright else 0)
        axes.set_yticks(range(len(names)), names, rotation=90, va="center")
        _finish(axes, title, "predicted", "actual", grid=False)
    return _png(figure)


def pictures(shown: Sequence[Picture]) -> bytes:
    """A sheet of radiographs with words below each.

    Raises:
        ValueError: there is none.
    """
    import PIL.Image  # late, as matplotlib: a journal is read without either
    import PIL.ImageOps

    wide = max(len(picture.images) for picture in shown)
    columns = min(max(1, _IN_A_ROW // wide), len(shown))
    width, height = PICTURE_PX * wide, PICTURE_PX + _WORDS_PX
    sheet = PIL.Image.new("RGB", (columns * width, -(-len(shown) // columns) * height), "white")
    figure = _figure(*sheet.size)
    for number, picture in enumerate(shown):
        left, top = number % columns * width, number // columns * height
        for index, pixels in enumerate(picture.images):
            image = PIL.ImageOps.contain(PIL.Image.fromarray(pixels), (PICTURE_PX - _GAP_PX, PICTURE_PX))
            sheet.paste(image, (left + _GAP_PX // 2 + index * PICTURE_PX, top + PICTURE_PX - image.height))
        words = "\n".join(_shortened(line, _MOST_CHARACTERS * wide) for line in picture.words.splitlines())
        below = 1 - (top + PICTURE_PX + 3) / sheet.height
        figure.text((left + _GAP_PX // 2) / sheet.width, below, words, va="top", fontsize=_SMALL, color=_TEXT)
    figure.figimage(np.asarray(sheet), zorder=-1)
    return _png(figure)


def _figure(width_px: float, height_px: float) -> Figure:
    from matplotlib.figure import Figure  # late: it takes half a second

    _forget_taste()
    return Figure((width_px / DPI, height_px / DPI), dpi=DPI, facecolor="white")


@cache
def _forget_taste() -> None:
    """What somebody has set in a matplotlibrc was not set for these figures: it would make others of them."""
    import matplotlib

    default = matplotlib.rcParamsDefault
    # Whoever looks which backend that is imports pyplot, which none of this needs.
    matplotlib.rcParams.update({name: default[name] for name in default if name != "backend"})


def _panels(
    count: int, ratios: Sequence[int] = (1,), *, below_px: int = 44, beside_px: int = 56
) -> tuple[Figure, list[Axes]]:
    """Axes in a row, or in one row for each of the ratios of their heights; row by row.

    Args:
        below_px: what the words below and left of each take. (matplotlib's own layout takes longer than
            the drawing.)
    """
    width, height = PANEL_PX[0] * count, PANEL_PX[1]
    figure = _figure(width, height)
    inner_px = PANEL_PX[0] - beside_px - _MARGIN_PX
    margins = {
        "left": beside_px / width,
        "right": 1 - _MARGIN_PX / width,
        "bottom": below_px / height,
        "top": 1 - _TITLE_PX / height,
        "wspace": (beside_px + _MARGIN_PX) / inner_px,
    }
    grid = figure.subplots(len(ratios), count, squeeze=False, height_ratios=ratios, gridspec_kw=margins)
    return figure, list(grid.flat)


def _trace(axes: Axes, curves: Sequence[Traced], area: str, steps: Any) -> None:
    for curve, look in zip(curves, _LOOKS, strict=False):
        label = _in_legend(curve, area)
        axes.plot(curve.x, curve.y, look.line, color=look.color, drawstyle=steps, label=label)
        if curve.point is not None:
            x, y = curve.point
            axes.plot([x], [y], look.marker, color=look.color, markeredgecolor=_TEXT, markersize=7, zorder=4)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.legend(loc="lower right" if area == "AUC" else "lower left")


def _in_legend(curve: Traced, area: str) -> str:
    words = curve.label
    if curve.area is not None:
        words += f", {area} {curve.area:.3f}"
    if curve.interval is not None:
        words += f" ({curve.interval[0]:.3f} to {curve.interval[1]:.3f})"
    return words


def _finish(axes: Axes, title: str, x: str, y: str, *, grid: bool = True) -> None:
    axes.set_title(title, fontsize=_NORMAL, color=_TEXT)
    axes.set_xlabel(x, fontsize=_NORMAL, color=_TEXT)
    axes.set_ylabel(y, fontsize=_NORMAL, color=_TEXT)
    axes.tick_params(labelsize=_SMALL, colors=_TEXT)
    if grid:
        axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _shortened(name: str, most: int = _LONGEST_NAME) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _png(figure: Figure) -> bytes:
    import PIL.Image
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_parse_math(False)  # a class may be called $x$
        text.set_usetex(False)
        text.set_fontfamily("DejaVu Sans")  # comes with matplotlib: the same on every machine
    for axes in figure.axes:
        legend = axes.get_legend()
        for text in legend.get_texts() if legend else ():
            text.set_fontsize(_SMALL)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    out = io.BytesIO()
    PIL.Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).save(out, "PNG")
    return out.getvalue()

"""How one image fared over all epochs: a strip of bars, and the same in words."""

from collections.abc import Sequence
from itertools import pairwise

from rich.text import Text

from xray_tui.runs.predictions import Fate
from xray_tui.tui.themes import Palette

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_WIDEST = 4
"""Cells of one epoch's bar; wider ones would look like blocks."""
_PALEST = 0.45
"""Of the colour, where the network was torn between classes."""


def strip(
    fates: Sequence[Fate],
    width: int,
    palette: Palette,
    *,
    rows: int = 2,
    boundary: int | None = None,
    best: int | None = None,
    current: int | None = None,
) -> list[Text]:
    """A bar an epoch, as high as the probability of the actual class; below them a line of marks.

    Wrong epochs have the colour of errors, pale where the network was not sure. Where there are more epochs
    than cells, neighbours share a bar: it is wrong where half of them or more are.

    Args:
        width: in cells.
        rows: of the bars.
        boundary: the first unfrozen epoch.
        best: the best epoch.
        current: the epoch that is looked at.

    Returns:
        ``rows`` lines of bars and one of marks, each at most ``width`` cells wide.
    """
    if not fates or width < 1:
        return [Text() for _ in range(rows + 1)]
    each = max(1, min(_WIDEST, width // len(fates)))  # cells
    groups = _grouped(fates, min(len(fates), width // each))
    lines = [Text(no_wrap=True) for _ in range(rows + 1)]
    for group in groups:
        here = any(fate.epoch == current for fate in group)
        colour = _colour(group, palette)
        style = palette.bar(colour) if here else colour
        eighths = max(1, round(_mean(group) * 8 * rows))
        bar = each - 1 if each > 1 else 1
        for row in range(rows):
            level = min(8, max(0, eighths - 8 * (rows - 1 - row)))
            lines[row].append(_EIGHTHS[level] * bar, style).append(" " * (each - bar))
        lines[rows].append_text(_mark(group, each, palette, boundary, best, current))
    return lines


def in_words(fates: Sequence[Fate], width: int = 80) -> str:
    """``wrong in 7 of 15 epochs, right since epoch 11``, or a little shorter where that is too long."""
    if not fates:
        return ""
    wrong, of = sum(not fate.right for fate in fates), len(fates)
    if of == 1:
        return f"{'wrong' if wrong else 'right'} in the only epoch so far"
    if wrong in (0, of):
        return f"{'wrong' if wrong else 'right'} in all {of} epochs"
    last = fates[-1].right
    since = fates[-1].epoch
    for fate in reversed(fates):
        if fate.right != last:
            break
        since = fate.epoch
    when = f"since epoch {since}" if since != fates[-1].epoch else "in the last one"
    now = f"{'right' if last else 'wrong'} {when}"
    words = f"wrong in {wrong} of {of} epochs, {now}"
    return words if len(words) <= width else words.replace(" epochs", "").replace("epoch ", "")


def _grouped(fates: Sequence[Fate], bars: int) -> list[Sequence[Fate]]:
    edges = [round(bar * len(fates) / bars) for bar in range(bars + 1)]
    return [fates[start:end] for start, end in pairwise(edges)]


def _mean(group: Sequence[Fate]) -> float:
    known = [fate.probability for fate in group if fate.probability == fate.probability]
    return sum(known) / len(known) if known else 0.0


def _colour(group: Sequence[Fate], palette: Palette) -> str:
    right = 2 * sum(fate.right for fate in group) > len(group)
    sure = abs(2 * _mean(group) - 1)
    return palette.faded(palette.success if right else palette.error, _PALEST + (1 - _PALEST) * sure)


def _mark(
    group: Sequence[Fate],
    cells: int,
    palette: Palette,
    boundary: int | None,
    best: int | None,
    current: int | None,
) -> Text:
    """What stands under a bar: the star, the epoch looked at, or where the whole network begins to learn."""
    epochs = {fate.epoch for fate in group}
    mark = Text(" " * cells)
    if best in epochs:
        mark = Text("★".ljust(cells), f"bold {palette.best}")
    elif current in epochs:
        mark = Text("▴".ljust(cells), palette.text)
    elif boundary in epochs:
        mark = Text("┊".ljust(cells), palette.unfrozen)
    if current in epochs and best in epochs and cells > 1:
        mark = Text.assemble(("★", f"bold {palette.best}"), ("▴".ljust(cells - 1), palette.text))
    return mark

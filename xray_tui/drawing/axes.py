"""Axes around a chart."""

from collections.abc import Iterable

from xray_tui.drawing.raster import Raster


def draw_axes(
    raster: Raster,
    left: int,
    upwards: Iterable[tuple[int, str]],
    along: Iterable[tuple[int, str]],
    *,
    line: str,
    words: str,
) -> None:
    """A value axis up column ``left``, with faint lines across, and one along the last row but one.

    Args:
        upwards: row and label of each tick, the most important first: of several on a row the first is drawn.
        along: column and label of each tick.
        line, words: their colours.
    """
    bottom = raster.height - 2
    for y in range(bottom):
        raster.put(left, y, "│", line)
    for x in range(left + 1, raster.width):
        raster.put(x, bottom, "─", line)
    raster.put(left, bottom, "└", line)
    taken: set[int] = set()
    for y, label in upwards:
        if y in taken:  # on a logarithmic axis they crowd
            continue
        taken.add(y)
        if y < bottom:
            for x in range(left + 1, raster.width):
                raster.put(x, y, "┈", line)
        raster.put(left, y, "┤" if y < bottom else "┴", line)
        raster.write(left - 1 - len(label), y, label, words)
    for x, label in along:
        raster.put(x, bottom, "┴", line)
        raster.write(min(x - (len(label) - 1) // 2, raster.width - len(label)), bottom + 1, label, words)

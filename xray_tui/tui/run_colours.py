"""A colour for each run, the same wherever the run appears."""

import zlib
from collections.abc import Iterable

from xray_tui.tui.terminal_colours import of_the_terminal
from xray_tui.tui.themes import Palette

# Neighbours differ most: a run whose colour is taken moves on by one.
_ON_DARK = (
    "#6cb2f5",
    "#f0935f",
    "#7fc98f",
    "#e57db4",
    "#e3c15b",
    "#a88df0",
    "#4fc9bd",
    "#ee7178",
    "#b4cc5e",
    "#cf9ff0",
    "#cfa377",
    "#7f94f5",
)
_ON_LIGHT = (
    "#1f63b5",
    "#b4500f",
    "#2c7a35",
    "#b0277a",
    "#846600",
    "#6c43b8",
    "#08766c",
    "#b3261e",
    "#5a7312",
    "#9433ad",
    "#85572f",
    "#3a4cc0",
)
_OF_THE_TERMINAL = (
    "bright_blue",
    "yellow",
    "bright_green",
    "bright_magenta",
    "bright_cyan",
    "bright_red",
    "blue",
    "bright_yellow",
    "green",
    "magenta",
    "cyan",
    "red",
)


def run_colour(name: str, palette: Palette) -> str:
    """The run's own colour, from the name of its directory alone."""
    colours = _colours(palette)
    return colours[_own(name, len(colours))]


def run_colours(names: Iterable[str], palette: Palette) -> dict[str, str]:
    """Colours for runs that are seen together: each its own, but no two alike while there are colours left.

    Args:
        names: of the directories; earlier ones keep their own colour.
    """
    colours = _colours(palette)
    given: dict[str, str] = {}
    taken: set[int] = set()
    for name in names:
        first = _own(name, len(colours))
        places = [(first + step) % len(colours) for step in range(len(colours))]
        place = next((place for place in places if place not in taken), first)
        taken.add(place)
        given[name] = colours[place]
    return given


def _own(name: str, colours: int) -> int:
    return zlib.crc32(name.encode("utf-8", "surrogateescape")) % colours  # hash() differs in each process


def _colours(palette: Palette) -> tuple[str, ...]:
    if palette.ansi:
        return tuple(map(of_the_terminal, _OF_THE_TERMINAL))
    return _ON_DARK if palette.dark else _ON_LIGHT

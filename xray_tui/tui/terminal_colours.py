"""The terminal's own colours, written as numbers until they are painted.

A colour's name means one thing to rich (``yellow`` is the terminal's third) and another to Textual (a
stylesheet's ``yellow`` is #ffff00), and text goes through both. So each is written as a number that
nothing else has, and the last step before the terminal gives it its name.
"""

from collections.abc import Mapping
from functools import lru_cache

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

NAMES = (
    "black",
    "red",
    "green",
    "yellow",
    "blue",
    "magenta",
    "cyan",
    "white",
    "bright_black",
    "bright_red",
    "bright_green",
    "bright_yellow",
    "bright_blue",
    "bright_magenta",
    "bright_cyan",
    "bright_white",
    "default",
)
_NUDGE = (0x03, 0x05, 0x06)
"""Off the usual value in every part, so that no grey and no round number is one of them."""


def _number(name: str) -> str:
    """About what the colour is, in case it is mixed after all."""
    usual = Color(128, 128, 128) if name == "default" else Color.parse(f"ansi_{name}")
    red, green, blue = (part ^ nudge for part, nudge in zip(usual.rgb, _NUDGE, strict=True))
    if name == "default":
        blue ^= 0x08  # bright black is as grey
    return Color(red, green, blue).hex6


_NUMBERS = {name: _number(name) for name in NAMES}
_BY_TRIPLET: Mapping[tuple[int, ...], RichColor] = {
    Color.parse(number).rgb: RichColor.parse(name) for name, number in _NUMBERS.items()
}


def of_the_terminal(name: str) -> str:
    """The number for one of :data:`NAMES`, as ``#rrggbb``."""
    return _NUMBERS[name]


class TerminalColours(LineFilter):
    """Gives the numbers their names. Without a theme of the terminal's colours there are none."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.style is None else Segment(segment.text, _named(segment.style))
            for segment in segments
        ]


@lru_cache(maxsize=4096)
def _named(style: Style) -> Style:
    ink, ground = _name(style.color), _name(style.bgcolor)
    return style if ink is None and ground is None else style + Style(color=ink, bgcolor=ground)


def _name(colour: RichColor | None) -> RichColor | None:
    return _BY_TRIPLET.get(colour.triplet) if colour is not None and colour.triplet else None

"""The screen in ASCII alone, pictures too."""

from functools import lru_cache

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

from xray_tui.drawing.ascii import in_ascii

_RAMP = " .:-=+*#%@"
"""From dark to bright, for pictures."""
_PICTURE = "▀"
_GROUND = 0.55
"""How bright the ground of a picture's cell is, beside its character."""


class AsciiFilter(LineFilter):
    """Comes before the filters of colours: what a picture's cell becomes is read off its colours."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.text.isascii() else _in_ascii(segment.text, segment.style)
            for segment in segments
        ]


@lru_cache(maxsize=1 << 14)
def _in_ascii(words: str, style: Style | None) -> Segment:
    if style is not None and words.strip(_PICTURE) == "":
        return _picture(len(words), style)
    return Segment(in_ascii(words), style)


def _picture(cells: int, style: Style) -> Segment:
    """Two pixels, one above the other, as one sign as bright as both: to be read without colours too."""
    pixels = [_grey(style.color), _grey(style.bgcolor)]
    bright = sum(pixels) / len(pixels)
    sign = _RAMP[min(len(_RAMP) - 1, int(bright * len(_RAMP)))]
    ink = _mixed(style.color, style.bgcolor)
    ground = ink.blend(Color(0, 0, 0), 1 - _GROUND)
    return Segment(sign * cells, Style.from_color(ink.rich_color, ground.rich_color))


def _mixed(one: RichColor | None, other: RichColor | None) -> Color:
    first, second = (_rgb(colour) for colour in (one, other))
    return first.blend(second, 0.5)


def _grey(colour: RichColor | None) -> float:
    return _rgb(colour).brightness


def _rgb(colour: RichColor | None) -> Color:
    """Without a colour: black, as a film is where nothing is on it."""
    return Color(0, 0, 0) if colour is None or colour.is_default else Color.from_rich_color(colour)

"""The frame of a pane."""

from typing import Any, Self

from rich.text import Text
from textual.containers import Container
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

_Words = Text | str


class Framed(Widget):
    """Has a frame with words in it, and where it holds other widgets, nothing else of its own. To be named as
    the last base, for Textual gives a class the default style of the first.

    Textual paints all of a pane where a word in its frame changes, and of one that holds others, each line
    between the two edges for itself.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._inscribed: dict[str, _Words] = {}
        self._edge: int | None = None
        """The line that is painted alone, while its words change."""
        self._lines: tuple[object, dict[int, Strip]] = None, {}
        """By width and place: the first line, one of those between, the last."""

    def inscribe(self, title: _Words | None = None, subtitle: _Words | None = None) -> None:
        """Set the words that are given, where they are others."""
        for name, words in (("border_title", title), ("border_subtitle", subtitle)):
            if words is None or words == self._inscribed.get(name):
                continue
            self._inscribed[name] = words
            self._edge = 0 if name == "border_title" else max(0, self.outer_size.height - 1)
            setattr(self, name, words)
            self._edge = None

    def refresh(self, *regions: Region, **how: Any) -> Self:
        self._lines = None, {}
        if self._edge is not None:
            offset = self.content_offset
            regions = (Region(-offset.x, self._edge - offset.y, self.outer_size.width, 1),)
        return super().refresh(*regions, **how)

    def render_lines(self, crop: Region) -> list[Strip]:
        last = self.outer_size.height - 1
        if not self.is_container or last < 2:
            return super().render_lines(crop)
        of = crop.x, crop.width, last
        if self._lines[0] != of:
            self._lines = of, {}
        lines = self._lines[1]
        for y in {min(y, 1) if y < last else last for y in crop.line_range} - lines.keys():
            lines[y] = super().render_lines(Region(crop.x, y, crop.width, 1))[0]
        return [lines[min(y, 1) if y < last else last] for y in crop.line_range]


class FramedContainer(Container, Framed):
    """Arranges its children in a frame, and no more."""

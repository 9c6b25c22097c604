"""Words that are painted as they were set."""

from itertools import zip_longest
from typing import Any, NamedTuple, Self

from rich.style import Style
from rich.text import Text
from textual.geometry import Region, Size
from textual.strip import Strip

from xray_tui.tui.panes.sized import Sized
from xray_tui.tui.text import set_in


class _Print(NamedTuple):
    """What is painted at a size and in a style."""

    size: Size
    style: Style
    lines: list[Strip]
    below: Strip


class Printed(Sized):
    """Paints its words line by line, and again only the lines that are others; what is too wide is cut.

    Textual wraps a text, and puts into the style of each piece where it stands, for the mouse to select it:
    no two styles are equal then, and nothing that is kept by style is found again.
    """

    ALLOW_SELECT = False
    _print: _Print | None = None

    def words(self) -> Text:
        """What is so now."""
        return Text()

    def render(self) -> Text:
        return self.words()

    def renew(self) -> None:
        """Say what is so now: beside a training each line that is painted is felt."""
        before, self._print = self._print, self._printed()
        if before is None or before[:2] != self._print[:2]:
            super().refresh()
            return
        lines = zip_longest(before.lines, self._print.lines)
        for y, (was, line) in enumerate(lines):
            if was != line:
                self.refresh(Region(0, y, self._print.size.width, 1))

    def refresh(self, *regions: Region, **how: Any) -> Self:
        if not regions:
            self._print = None
        return super().refresh(*regions, **how)

    def render_lines(self, crop: Region) -> list[Strip]:
        if self._print is not None and self._print[:2] != (self.size, self.rich_style):
            self._print = None
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        if self._print is None:
            self._print = self._printed()
        return self._print.lines[y] if y < len(self._print.lines) else self._print.below

    def _printed(self) -> _Print:
        size, style = self.size, self.rich_style
        lines = [
            Strip(set_in(line, style, self.app.console)).adjust_cell_length(size.width, style)
            for line in self.words().split("\n", allow_blank=True)
        ]
        return _Print(size, style, lines, Strip.blank(size.width, style))

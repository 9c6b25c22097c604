"""Words that are painted as they were set."""

from rich.segment import Segment
from rich.text import Text
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class Printed(Widget):
    """Paints what ``render`` gives line by line; what is too wide is cut.

    Textual wraps a text, and puts into the style of each piece where it stands, for the mouse to select it:
    no two styles are equal then, and nothing that is kept by style is found again.
    """

    ALLOW_SELECT = False
    _printed: list[Strip] | None = None
    """The lines, while they are painted."""

    def render(self) -> Text:
        return Text()

    def render_lines(self, crop: Region) -> list[Strip]:
        self._printed = None
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        if self._printed is None:
            self._printed = self._print()
        return self._printed[y] if y < len(self._printed) else Strip.blank(self.size.width, self.rich_style)

    def _print(self) -> list[Strip]:
        style, width = self.rich_style, self.size.width
        lines = self.render().split("\n", allow_blank=True)
        pieces = (Segment.apply_style(line.render(self.app.console, end=""), style) for line in lines)
        return [Strip(list(line)).adjust_cell_length(width, style) for line in pieces]

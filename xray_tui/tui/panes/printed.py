"""Words that are painted as they were set."""

from rich.text import Text
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from xray_tui.tui.text import set_in


class Printed(Widget):
    """Paints what ``render`` gives line by line; what is too wide is cut.

    Textual wraps a text, and puts into the style of each piece where it stands, for the mouse to select it:
    no two styles are equal then, and nothing that is kept by style is found again.
    """

    ALLOW_SELECT = False
    _printed: tuple[list[Strip], Strip] | None = None
    """The lines, and what comes below them, while they are painted."""

    def render(self) -> Text:
        return Text()

    def render_lines(self, crop: Region) -> list[Strip]:
        self._printed = None
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        if self._printed is None:
            self._printed = self._print()
        lines, below = self._printed
        return lines[y] if y < len(lines) else below

    def _print(self) -> tuple[list[Strip], Strip]:
        style, width = self.rich_style, self.size.width  # a style takes longer to come by than a line
        lines = self.render().split("\n", allow_blank=True)
        pieces = (Strip(set_in(line, style, self.app.console)) for line in lines)
        return [strip.adjust_cell_length(width, style) for strip in pieces], Strip.blank(width, style)

"""A text to be read and scrolled."""

from typing import Any

from rich.console import RenderableType
from rich.measure import Measurement
from rich.segment import Segment
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.panes.still import Still

_BEFORE_BAR = 1
"""Free cells between a line and the scrollbar."""


class Document(ScrollView, Still, can_focus=True):
    """Set in lines once for each width; a Static sets a table anew for its height and at each drawing.

    Args:
        foot: what its lower edge says, besides that there is more.
    """

    def __init__(self, text: RenderableType, foot: str = "", **named: Any) -> None:
        super().__init__(**named)
        self._text = text
        self._foot = self.border_subtitle = foot
        self._set: tuple[int, list[Strip]] = -1, []
        """The lines of a width."""
        self._canvas = 0
        """Cells of the lines that are painted."""

    @property
    def plain(self) -> str:
        """What is to be read, as wide as it is seen."""
        return "\n".join(line.text.rstrip() for line in self._lines(self.scrollable_content_region.width))

    def get_content_width(self, container: Size, viewport: Size) -> int:
        options = self.app.console.options.update_width(container.width)
        return Measurement.get(self.app.console, options, self._text).maximum + _BEFORE_BAR

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def tell(self, text: RenderableType) -> None:
        """Another text; the same one stays set."""
        self.scroll_home(animate=False)
        if text != self._text:
            self._text = text
            self._set = -1, []
            self._measure()
            self.refresh(layout=True)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._set = -1, []

    def on_resize(self) -> None:
        self._measure()

    def _measure(self) -> None:
        lines = len(self._lines(self.scrollable_content_region.width))
        self.virtual_size = Size(1, lines)
        more = lines > self.scrollable_content_region.height
        arrows = KeyMap.of(self.app).spell("↑ ↓")
        self.border_subtitle = f"{arrows} scroll   {self._foot}" if more else self._foot

    def render_lines(self, crop: Region) -> list[Strip]:
        self._canvas = self.scrollable_content_region.width  # once for all lines: Textual works it out
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width = self._canvas
        lines, at = self._lines(width), y + self.scroll_offset.y
        return lines[at] if at < len(lines) else Strip.blank(width, self.rich_style)

    def _lines(self, width: int) -> list[Strip]:
        if self._set[0] != width:
            options = self.app.console.options.update_width(max(1, width - _BEFORE_BAR)).update(height=None)
            style = self.rich_style
            lines = self.app.console.render_lines(self._text, options, style=style, pad=False)
            self._set = (
                width,
                [Strip(Segment.simplify(line)).adjust_cell_length(width, style) for line in lines],
            )
        return self._set[1]

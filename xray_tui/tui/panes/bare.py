"""Widgets that draw all that they are."""

from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class Bare(Widget):
    """Has no border, no padding and no tint: its lines go to the screen as ``render_line`` gives them. So it
    should keep them, and give each segment a style with a ground. To be named as the last base, for Textual
    gives a class the default style of the first.

    Textual would ask for each line whether it has any of that, which takes as long as to draw it.
    """

    def render_lines(self, crop: Region) -> list[Strip]:
        if self.parent is None:  # it has been taken out, its styles too, and no new layout has come yet
            return [Strip.blank(crop.width)] * crop.height
        filters, background = self.get_line_filters(), self.background_colors[1]
        strips = []
        for y in crop.line_range:
            strip = self.render_line(y)
            for each in filters:
                strip = strip.apply_filter(each, background)
            strips.append(strip.crop_extend(crop.x, crop.right, None))
        return strips

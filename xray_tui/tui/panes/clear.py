"""Containers that leave no trace on the screen."""

from textual.containers import Container
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class Clear(Widget):
    """Paints nothing of its own: between its children is seen what lies behind. To be named as the last base,
    for Textual gives a class the default style of the first.

    Textual paints all of a container, line by line, also where its children cover it: of a tab's
    painting that was a third.
    """

    def render_lines(self, crop: Region) -> list[Strip]:
        return []


class ClearContainer(Container, Clear):
    """Arranges its children, and no more."""

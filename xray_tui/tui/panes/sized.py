"""What is drawn for a size."""

from textual import events
from textual.geometry import Size
from textual.widget import Widget


class Sized(Widget):
    """A widget that is told of a new size only where it is one, and that has a size while it is out of sight.

    Textual tells it at each change of tabs too; drawing all of a tab once more is felt behind a key. What
    is out of sight has no size to Textual, not yet either when a key brings it back: it will have the same.
    """

    _size_before: Size | None = None
    _size_in_sight = Size(0, 0)

    @property
    def size(self) -> Size:
        """Of the content, in cells; out of sight as it was."""
        return super().size or self._size_in_sight

    def on_resize(self, event: events.Resize) -> None:
        self._size_in_sight = super().size
        if event.size != self._size_before:
            self._size_before = event.size
            self.resized()

    def resized(self) -> None:
        """The size is another."""

"""What is drawn for a size."""

from textual import events
from textual.geometry import Size
from textual.widget import Widget


class Sized(Widget):
    """A widget that is told of a new size only where it is one.

    Textual tells it at each change of tabs too; drawing all of a tab once more is felt behind a key.
    """

    _size_before: Size | None = None

    def on_resize(self, event: events.Resize) -> None:
        if event.size != self._size_before:
            self._size_before = event.size
            self.resized()

    def resized(self) -> None:
        """The size is another."""

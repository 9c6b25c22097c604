"""What goes where the mouse is pressed, and on with it until it is let go."""

from abc import abstractmethod

from textual import events
from textual.widget import Widget


class Dragged(Widget):
    _dragging = False

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self._dragging = True
        self.capture_mouse()
        self.go_to(event)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._dragging:
            self.go_to(event)

    def on_mouse_up(self) -> None:
        self._dragging = False
        self.release_mouse()

    @abstractmethod
    def go_to(self, event: events.MouseEvent) -> None:
        """The mouse is pressed here now."""

"""What looks the same with the focus as without."""

from typing import Self

from textual import events
from textual.widget import Widget


class Still(Widget):
    """Takes and gives up the focus without being painted. To be named as the last base, for Textual gives a
    class the default style of the first.

    Textual looks up all styles of what has it, and paints it whole, twice.
    """

    def focus(self, scroll_visible: bool = True) -> Self:
        self.app.call_later(self._take_focus, scroll_visible)
        return self

    def _take_focus(self, scroll_visible: bool) -> None:
        if self.is_attached:
            self.screen.set_focus(self, scroll_visible)

    def watch_has_focus(self, _has_focus: bool) -> None:
        """No style asks for it."""

    def on_focus(self, event: events.Focus) -> None:
        self._focus_moved(event, events.DescendantFocus(self), here=True)

    def on_blur(self, event: events.Blur) -> None:
        self._focus_moved(event, events.DescendantBlur(self), here=False)

    def _focus_moved(self, event: events.Event, told: events.Event, *, here: bool) -> None:
        event.prevent_default()
        self.has_focus = here
        if self.parent is not None:
            self.parent.post_message(told)

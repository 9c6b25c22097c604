"""The screen below all others, on which a new focus paints what it changes and no more."""

from collections.abc import Iterator
from typing import ClassVar

from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget


class Ground(Screen[None]):
    """Lights the frame of the pane that has the focus.

    Textual paints the whole screen where the focus moves, and where a style asks for ``:focus-within``, it
    looks the styles of all that is in there up again: together half the time that a tab takes to show.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"ground--lit"}
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def watch_focused(self, before: Widget | None, now: Widget | None) -> None:
        for frame in set(_frames(before)) - set(_frames(now)):
            frame.styles.border = None
        self._light()

    def notify_style_update(self) -> None:
        """The theme may be another, and its colours are those of the component in a moment."""
        super().notify_style_update()
        self.call_next(self._light)

    def _light(self) -> None:
        for frame in _frames(self.focused):
            frame.styles.border = self.get_component_styles("ground--lit").border


def _frames(widget: Widget | None) -> Iterator[Widget]:
    if widget is not None:
        yield from (
            each
            for each in widget.ancestors_with_self
            if isinstance(each, Widget) and (each.has_class("pane") or each.id == "form")
        )

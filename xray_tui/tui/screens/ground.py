"""The screen below all others, on which a new focus paints what it changes and no more."""

from collections.abc import Iterator
from typing import Any, ClassVar

from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget


class Ground(Screen[None]):
    """Lights the frame of the pane that has the focus.

    Textual paints the whole screen where the focus moves, and where a style asks for ``:focus-within``, it
    looks the styles of all that is in there up again: together half the time that a tab takes to show.
    A frame on a page that has gone out of sight stays as it is: most often the focus comes back to it.
    """

    BLANK = True  # its pages cover it: one empty line is painted for all
    COMPONENT_CLASSES: ClassVar[set[str]] = {"ground--lit"}
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._lit: set[Widget] = set()

    def on_mount(self) -> None:
        # A page may also come into sight without the focus moving.
        self.screen_layout_refresh_signal.subscribe(self, lambda _: self._light())

    def watch_focused(self) -> None:
        self.call_next(self._light)  # once the page is in sight where the focus goes

    def notify_style_update(self) -> None:
        """The theme may be another, and its colours are those of the component in a moment."""
        super().notify_style_update()
        self.call_next(self._light_anew)

    def _light_anew(self) -> None:
        for frame in self._lit:
            frame.styles.border = None
        self._lit.clear()
        self._light()

    def _light(self) -> None:
        wanted = set(_frames(self.focused))
        for frame in wanted - self._lit:
            frame.styles.border = self.get_component_styles("ground--lit").border
        for frame in self._lit - wanted:
            if not _in_sight(frame):
                wanted.add(frame)
            elif frame.is_attached:
                frame.styles.border = None
        self._lit = wanted


def _frames(widget: Widget | None) -> Iterator[Widget]:
    if widget is not None:
        yield from (
            each
            for each in widget.ancestors_with_self
            if isinstance(each, Widget) and (each.has_class("pane") or each.id == "form")
        )


def _in_sight(frame: Widget) -> bool:
    return all(each.display for each in frame.ancestors_with_self)

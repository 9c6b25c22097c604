"""Changing a value where it stands: a line to type in, a few choices, or a key to press.

Each covers the value's cell, has the focus until it is left, and says what the person does by messages.
"""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Input

from xray_tui.tui.themes import Palette


class Left(Message):
    """The person wants the value as it was."""

    def __init__(self, editor: Widget) -> None:
        super().__init__()
        self.editor = editor
        """Which one speaks: what one says that is gone already may come late."""


class Entered(Message):
    """The value has changed, but is not taken yet."""

    def __init__(self, editor: Widget, text: str) -> None:
        super().__init__()
        self.editor = editor
        self.text = text


class Taken(Message):
    """The person wants that value.

    Args:
        going: she has gone elsewhere already: a wrong value cannot be mended any more.
    """

    def __init__(self, editor: Widget, text: str, *, going: bool = False) -> None:
        super().__init__()
        self.editor = editor
        self.text = text
        self.going = going


class TypedValue(Input):
    """Text or a number."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "leave", show=False)]

    def __init__(self, value: str, suggester: Suggester | None = None) -> None:
        super().__init__(value, suggester=suggester, compact=True, classes="value-editor")

    def action_leave(self) -> None:
        self.post_message(Left(self))

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(Entered(self, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(Taken(self, event.value))

    def on_blur(self) -> None:
        self.post_message(Taken(self, self.value, going=True))


class ChosenValue(Widget, can_focus=True):
    """One of a few: left and right go through them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,up", "step(-1)", "before", show=False),
        Binding("right,down,space", "step(1)", "next", show=False),
        Binding("enter", "take", "take", show=False),
        Binding("escape", "leave", "leave", show=False),
    ]

    def __init__(self, value: str, choices: Sequence[str]) -> None:
        super().__init__(classes="value-editor")
        self._choices = choices
        self._at = choices.index(value) if value in choices else 0

    @property
    def value(self) -> str:
        return self._choices[self._at]

    def render(self) -> Text:
        palette = Palette.of(self.app)
        return Text.assemble(
            ("‹ ", palette.primary), (self.value, f"bold {palette.text}"), (" ›", palette.primary)
        )

    def action_step(self, step: int) -> None:
        self._at = (self._at + step) % len(self._choices)
        self.refresh()
        self.post_message(Entered(self, self.value))

    def action_take(self) -> None:
        self.post_message(Taken(self, self.value))

    def action_leave(self) -> None:
        self.post_message(Left(self))

    def on_click(self, event: events.Click) -> None:
        """On the mark before the value the choice before, elsewhere the next one."""
        event.stop()
        self.action_step(-1 if event.get_content_offset_capture(self).x < 2 else 1)

    def on_blur(self) -> None:
        self.post_message(Taken(self, self.value, going=True))


class PressedKey(Widget, can_focus=True):
    """The next key that is pressed, whatever it does elsewhere; escape alone leaves."""

    def __init__(self) -> None:
        super().__init__(classes="value-editor")

    def render(self) -> Text:
        return Text("press a key …", f"italic {Palette.of(self.app).primary}")

    async def _on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        self.post_message(Left(self) if event.key == "escape" else Taken(self, event.key))

    def on_blur(self) -> None:
        self.post_message(Left(self))

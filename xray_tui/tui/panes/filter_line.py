"""One line to filter a list with, previewed while a person types."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from rich.style import StyleType
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Static

from xray_tui.tui.text import clean
from xray_tui.tui.themes import Palette

_LABEL_CELLS = 2


class FilterInput(Input):
    """Enter keeps the words, escape clears them; either lets go of the focus at once.

    Args:
        left: called then.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "clear", "clear", show=False)]

    def __init__(self, left: Callable[[], None]) -> None:
        super().__init__(compact=True, placeholder="filter", select_on_focus=False)
        self._left = left

    async def action_submit(self) -> None:
        self._left()

    def action_clear(self) -> None:
        self.value = ""
        self._left()


class FilterLine(Vertical):
    """The filter, what it comes to at its right, and below it a hint or what is wrong with it.

    Args:
        examples: as they are hinted at while the line has the focus; as many as fit.
        below: gives the focus to what is filtered; done at once, so that no key that follows is lost.
    """

    class Edited(Message):
        """The words have changed."""

        def __init__(self, words: str) -> None:
            super().__init__()
            self.words = words

    class Left(Message):
        """The person is done with the line."""

    def __init__(
        self, examples: Sequence[str], below: Callable[[], None] | None = None, **named: Any
    ) -> None:
        super().__init__(**named)
        self._examples = examples
        self._below = below
        self._complaint = ""
        self._hint_looks: tuple[Text, StyleType] | None = None

    def compose(self) -> ComposeResult:
        with Horizontal(classes="filter-words"):
            yield Static("/ ", classes="filter-label")
            yield FilterInput(self._leave)
            yield Static(classes="filter-count")
        yield Static(classes="filter-hint")

    def on_mount(self) -> None:
        self._show_hint()

    @property
    def words(self) -> str:
        return self.query_one(FilterInput).value.strip()

    def edit(self) -> None:
        """Give the line the focus."""
        self.query_one(FilterInput).focus()

    def clear(self) -> None:
        self.query_one(FilterInput).value = ""

    def show_count(self, count: Text) -> None:
        """Say what the filter comes to."""
        self.query_one(".filter-count", Static).update(count)

    def complain(self, complaint: str) -> None:
        """Say what is wrong with the words; nothing is, where it is empty."""
        if complaint != self._complaint:
            self._complaint = complaint
            self.set_class(bool(complaint), "-wrong")
            self._show_hint()

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Edited(event.value.strip()))

    def _leave(self) -> None:
        if self._below is not None:
            self._below()
        else:
            self.screen.set_focus(None)
        self.post_message(self.Left())

    def on_descendant_focus(self) -> None:
        self.add_class("-edited")

    def on_descendant_blur(self) -> None:
        self.remove_class("-edited")

    def on_resize(self) -> None:
        self._show_hint()

    def notify_style_update(self) -> None:
        """The colours may have changed."""
        super().notify_style_update()
        if self.is_mounted:
            self._show_hint()

    def _show_hint(self) -> None:
        hint = self._hint()
        looks = (hint, hint.style)  # texts are equal whatever their style
        if looks != self._hint_looks:  # every focus asks, and new words are a new layout
            self._hint_looks = looks
            self.query_one(".filter-hint", Static).update(hint)

    def _hint(self) -> Text:
        palette = Palette.of(self.app)
        if self._complaint:
            return clean(self._complaint, palette.error)
        shown = Text(no_wrap=True)
        for example in self._examples:
            if shown.cell_len + len(example) > self.content_size.width - _LABEL_CELLS:
                break
            shown.append(f"{example}  ", palette.faint)
        shown.rstrip()
        return shown

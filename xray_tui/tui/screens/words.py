"""A question whose answer is one line of words: a note, a name, a file."""

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from xray_tui.tui.screens.ask import Answer, AnswerLine
from xray_tui.tui.themes import Palette
from xray_tui.words import harmless


def no_complaint(words: str) -> str:
    """Takes everything."""
    return ""


class WordsScreen(ModalScreen[str | None]):
    """Gives back the words, without blanks at their ends; ``None`` where the person left.

    Args:
        title: what is asked for.
        words: what becomes of it.
        verb: what enter does with it.
        value: what stands in the line at first.
        check: what is wrong with some words; empty where they will do.
    """

    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "back", show=False)]

    def __init__(
        self,
        title: str,
        words: str,
        verb: str,
        value: str = "",
        *,
        check: Callable[[str], str] = no_complaint,
    ) -> None:
        super().__init__()
        self._title = title
        self._words = words
        self._verb = verb
        self._value = value
        self._check = check

    def compose(self) -> ComposeResult:
        palette = Palette.of(self.app)
        with Vertical(classes="box words-box"):
            title, words = harmless(self._title), harmless(self._words)
            yield Static(Text.assemble((f"{title}\n", f"bold {palette.text}"), (words, palette.muted)))
            yield Input(self._value, compact=True, select_on_focus=False)
            yield Static(id="words-verdict")
            yield AnswerLine([Answer("take", "enter", self._verb), Answer("leave", "escape", "back")])

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        complaint = self._check(event.value.strip())
        self.query_one("#words-verdict", Static).update(Text(complaint, Palette.of(self.app).error))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._take()

    def action_answer(self, answer: str) -> None:
        if answer == "take":
            self._take()
        else:
            self.action_leave()

    def action_leave(self) -> None:
        self.dismiss(None)

    def _take(self) -> None:
        words = self.query_one(Input).value.strip()
        if not self._check(words):
            self.dismiss(words)

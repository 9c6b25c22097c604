"""A question whose answer is one line of words: a note, a name, a file."""

from collections.abc import Awaitable, Callable
from typing import ClassVar

from rich.text import Text
from textual import on, work
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
        proposed: whether that is selected, so that typing replaces it.
        check: what is wrong with some words; empty where they will do.
        use: does with the words what they are for; what goes wrong is shown beneath them, and they stay.
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
        proposed: bool = False,
        check: Callable[[str], str] = no_complaint,
        use: Callable[[str], Awaitable[str]] | None = None,
    ) -> None:
        super().__init__()
        self._title = title
        self._words = words
        self._verb = verb
        self._value = value
        self._proposed = proposed
        self._check = check
        self._use = use
        self._using = False

    def compose(self) -> ComposeResult:
        palette = Palette.of(self.app)
        with Vertical(classes="box words-box"):
            title, words = harmless(self._title), harmless(self._words)
            yield Static(Text.assemble((f"{title}\n", f"bold {palette.text}"), (words, palette.muted)))
            yield Input(self._value, compact=True, select_on_focus=False)
            yield Static(id="words-verdict")
            yield AnswerLine([Answer("take", "enter", self._verb), Answer("leave", "escape", "back")])

    def on_mount(self) -> None:
        if self._proposed:
            self.query_one(Input).select_all()

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._complain(self._check(event.value.strip()))

    def _complain(self, complaint: str) -> None:
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
        if self._check(words) or self._using:
            return
        if self._use is None:  # at once, so that the next key is for what is behind
            self.dismiss(words)
        else:
            self._try(words, self._use)

    @work
    async def _try(self, words: str, use: Callable[[str], Awaitable[str]]) -> None:
        self._using = True
        try:
            complaint = await use(words)
        finally:
            self._using = False
        if complaint:
            self._complain(complaint)
        else:
            self.dismiss(words)

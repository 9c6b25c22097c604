"""A question with a few answers, each a key."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.panes.lines import SpotLine
from xray_tui.tui.themes import Palette

_ROOMY_COLUMNS = 60
"""From that on (of the whole terminal) answers stand well apart."""


class Answer(NamedTuple):
    id: str
    key: str
    """Several with commas; the first is shown."""
    title: str


class AnswerLine(SpotLine):
    """The answers, to be clicked or read as keys."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        super().__init__()
        self._answers = answers

    def words(self) -> Text:
        palette, keymap, line = Palette.of(self.app), KeyMap.of(self.app), self.start_line()
        gap = " " * (4 if self.app.size.width >= _ROOMY_COLUMNS else 2)
        for answer in self._answers:
            key = "enter" if answer.key == "enter" else keymap.written(answer.key.split(",")[0])
            entry = Text.assemble(
                (f"{key} ", f"bold {palette.primary}"), (f"{answer.title}{gap}", palette.text)
            )
            self.add_spot(line, entry, f"screen.answer('{answer.id}')")
        return line


class AskScreen(ModalScreen[str]):
    """Gives back the id of the answer; escape gives the last one, which changes nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "back", show=False)]

    def __init__(self, question: str, words: str, answers: Sequence[Answer]) -> None:
        super().__init__()
        self._question = question
        self._words = words
        self._answers = answers
        for answer in answers:
            self._bindings.bind(answer.key, f"answer('{answer.id}')", answer.title, show=False)

    def compose(self) -> ComposeResult:
        palette = Palette.of(self.app)
        words = Text.assemble((f"{self._question}\n", f"bold {palette.text}"), (self._words, palette.muted))
        with Vertical(classes="box"):
            yield Static(words)
            yield AnswerLine(self._answers)

    def action_answer(self, answer: str) -> None:
        self.dismiss(answer)

    def action_leave(self) -> None:
        self.dismiss(self._answers[-1].id)

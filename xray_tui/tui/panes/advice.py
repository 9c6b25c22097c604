"""What the watchers say about a run: one line above its panes."""

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from xray_tui.runs.advice import Action, Advice
from xray_tui.tui.actions import BY_ID
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.panes.lines import SpotLine
from xray_tui.tui.text import fit
from xray_tui.tui.themes import Palette
from xray_tui.words import harmless

ACT_WORDS: dict[Action, str] = {
    "learning_rate": "change the learning rate",
    "unfreeze": "unfreeze now",
    "stop": "stop the run",
    "mistakes": "look at the mistakes",
    "data": "look at the data",
    "history": "History, to begin again with changes",
}
"""What the key does, by the action that an advice names."""
_SIGNS = {"error": "✖", "warning": "▲", "note": "●"}
_LEAST_WORDS = 24
"""Cells that the words must have, else they are left out."""


class AdviceLine(SpotLine):
    """The most important advice, its key, and how many more there are; a click on the key acts."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._said: Sequence[Advice] = ()
        self._can_act = False

    def show(self, said: Sequence[Advice], *, can_act: bool) -> None:
        """
        Args:
            can_act: whether the first one's action makes sense now.
        """
        self._said, self._can_act = said, can_act
        self.display = bool(said)
        self.renew()

    def words(self) -> Text:
        line = self.start_line()
        if not self._said:
            return line
        palette, width, first = Palette.of(self.app), self.size.width, self._said[0]
        colour = severity_colour(first, palette)
        head = Text.assemble((f"{_SIGNS[first.severity]} ", colour), (first.title, f"bold {colour}"))
        ends = self._ends(first, len(self._said) - 1, palette)
        # The longest end beside which the words have room, else beside which at least the title has.
        fitting = [
            end
            for words in (_LEAST_WORDS + 2, 0)
            for end in ends
            if head.cell_len + words + 2 + end.cell_len <= width
        ]
        end = fitting[0] if fitting else ends[-1]
        room = max(0, width - end.cell_len - 2) if end.cell_len else width
        words = room - head.cell_len - 2
        if words >= _LEAST_WORDS:
            head.append("  ").append(shortened(harmless(first.words), words), palette.text)
        line.append_text(fit(head, room))
        if end.cell_len:
            line.append("  ")
            self.add_spot(line, end, "app.perform('act')" if self._can_act else "app.perform('warnings')")
        return line

    def _ends(self, first: Advice, more: int, palette: Palette) -> list[Text]:
        """The end of the line, from its longest form to its shortest."""
        keymap = KeyMap.of(self.app)
        key, full, short = keymap.shown_key("act"), ACT_WORDS[first.action], BY_ID[first.action].title
        ends = []
        for does, others in (
            (f": {full}", f"+{more} more"),
            (f": {full}", f"+{more}"),
            (f": {short.lower()}", f"+{more}"),
            ("", f"+{more}"),
        ):
            end = Text()
            if self._can_act:
                end.append(key, f"bold {palette.primary}").append(does, palette.muted)
            if more:
                end.append("  " if end.cell_len else "").append(others, palette.muted)
                end.append(f" {keymap.shown_key('warnings')}", f"bold {palette.primary}")
            ends.append(end)
        return ends


def shortened(words: str, cells: int) -> str:
    """What fits of a sentence: whole parts of it, else cut."""
    if cell_len(words) <= cells:
        return words
    parts = [at for mark in (", ", ": ") for at in range(len(words)) if words.startswith(mark, at)]
    whole = [words[:at] for at in sorted(parts, reverse=True) if cell_len(words[:at]) <= cells]
    return whole[0] if whole else fit(Text(words), cells).plain


def severity_colour(said: Advice, palette: Palette) -> str:
    return {"error": palette.error, "warning": palette.warning, "note": palette.primary}[said.severity]

"""Which panes of the Mistakes tab are seen where there is no room for all."""

from typing import Any, NamedTuple

from rich.text import Text

from xray_tui.tui.panes.lines import SpotLine
from xray_tui.tui.themes import Palette


class Turn(NamedTuple):
    title: str
    panes: tuple[str, ...]
    """The ids of what is seen, the one that takes the focus first."""


ALL = ("list-pane", "film", "verdict", "threshold")
CURVES = ("list-pane", "curves", "verdict", "threshold")
"""Likewise, with the curves in place of the radiograph."""
PANES = (*ALL, "curves")
_NARROW = (
    Turn("list", ("list-pane",)),
    Turn("radiograph", ("film",)),
    Turn("verdict", ("verdict",)),
    Turn("threshold", ("list-pane", "threshold")),
    Turn("curves", ("curves",)),
)
_BESIDE = (
    Turn("list", ("list-pane", "film")),
    Turn("verdict", ("verdict", "film")),
    Turn("threshold", ("list-pane", "threshold")),
    Turn("curves", ("curves",)),
)
BESIDE_COLUMNS = 66
"""From that on list and radiograph stand side by side."""


def turns_for(columns: int) -> tuple[Turn, ...]:
    """The turns of a terminal that wide, in their order."""
    return _BESIDE if columns >= BESIDE_COLUMNS else _NARROW


class TurnLine(SpotLine):
    """The turns, of which one is seen; a click takes another."""

    JUMPS = True

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._turns: tuple[Turn, ...] = ()
        self._current = 0

    def show(self, turns: tuple[Turn, ...], current: int) -> None:
        self._turns, self._current = turns, current
        self.renew()

    def words(self) -> Text:
        palette, line = Palette.of(self.app), self.start_line()
        for index, turn in enumerate(self._turns):
            style = f"bold {palette.text} underline" if index == self._current else palette.faint
            self.add_spot(line, Text(turn.title, style), f"app.pane({index})")
            line.append("  ")
        return line.append("tab: next", palette.faint) if self.size.width >= 50 else line

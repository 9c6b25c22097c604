"""The command palette: every action of the registry by name, every pane, the themes, a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from rich.text import Text
from textual.command import DiscoveryHit, Hit, Hits, Provider

from xray_tui.tui.jump import jump, targets
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.text import fit
from xray_tui.tui.themes import Palette
from xray_tui.words import harmless

if TYPE_CHECKING:
    from xray_tui.tui.app import XrayApp


class _Command(NamedTuple):
    title: str
    key: str
    help: str
    run: Callable[[], Any]


WIDTH = 100
"""Of the palette in cells, where the screen has them. The style sheet says so too."""
_TITLE, _KEY = 24, 6
_AROUND = 7
"""Cells of a row that are border, padding and scroll bar."""


class Commands(Provider):
    """What makes sense now, where the person is."""

    async def discover(self) -> Hits:
        for command in self._commands():
            yield DiscoveryHit(self._row(command), command.run, command.title)

    async def search(self, query: str) -> Hits:
        """By title; words that only the help has count for less."""
        matcher = self.matcher(query)
        for command in self._commands():
            score = max(matcher.match(command.title), 0.4 * matcher.match(command.help))
            if score > 0:
                yield Hit(score, self._row(command), command.run, command.title)

    def _row(self, command: _Command) -> Text:
        """One line: the title, its key, and as much of the help as there is room for."""
        palette, width = Palette.of(self.app), self.app.size.width
        room = min(WIDTH, width * 94 // 100) - _AROUND
        row = fit(Text(command.title, f"bold {palette.text}"), min(_TITLE, room - _KEY - 1))
        row.append_text(fit(Text(command.key, palette.primary), _KEY, right=True))
        if room - row.cell_len > 12:
            row.append("  ").append(command.help, f"not bold {palette.muted}")
        return fit(row, room)

    def _commands(self) -> Iterator[_Command]:
        app = cast("XrayApp", self.app)
        keymap = KeyMap.of(app)
        for action in app.sensible_actions():
            title = app.action_title(action)
            title = f"{title[:1].upper()}{title[1:]}"
            yield _Command(title, keymap.shown(action), action.help, partial(app.action_perform, action.id))
        for target in targets(self.screen):
            if target.letter:
                words = f"Go to {harmless(target.title)}"
                yield _Command(words, "", "Give it the focus.", partial(jump, target))
        yield _Command("Theme", "", "Choose the colours; each is shown while you choose.", app.search_themes)
        yield _Command("Screenshot", "", "Save a picture of the screen (SVG) here.", app.save_picture)

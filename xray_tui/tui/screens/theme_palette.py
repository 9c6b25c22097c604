"""Choosing a theme: it is put on while the cursor is on it, and taken off again with escape."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual import on
from textual.await_complete import AwaitComplete
from textual.command import Command, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from xray_tui.tui import remembered
from xray_tui.tui.text import fit
from xray_tui.words import harmless

_NAME, _ORIGIN = 22, 16
"""Cells of a theme's name, and of where it comes from."""

if TYPE_CHECKING:
    from xray_tui.tui.app import XrayApp


class ThemeCommands(Provider):
    """The themes in the order in which they are offered."""

    async def discover(self) -> Hits:
        for name in self._app.themes.names:
            yield DiscoveryHit(self._row(name), partial(self._take, name), name)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name in self._app.themes.names:
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, self._row(name), partial(self._take, name), name)

    def _row(self, name: str) -> Text:
        row = fit(Text(harmless(name), "bold"), _NAME)
        return row.append(" ").append_text(
            fit(Text(harmless(self._app.themes.origin(name)), "not bold dim"), _ORIGIN)
        )

    def _take(self, name: str) -> None:
        self._app.themes.put_on(name)
        try:
            remembered.save_theme(name)
        except OSError as error:
            words = f"The theme could not be remembered: {error}"
            self._app.notify(words, severity="warning", markup=False)

    @property
    def _app(self) -> XrayApp:
        return cast("XrayApp", self.app)


class ThemePalette(CommandPalette):
    """The palette with the themes alone, at the side: the dashboard is to be seen in the theme."""

    def __init__(self) -> None:
        super().__init__(providers=[ThemeCommands], placeholder="theme")
        self._before = ""

    def on_mount(self) -> None:
        self._before = self.app.theme
        self._at_current = False
        # The toolkit's own screens are left out when a theme changes.
        self.app.theme_changed_signal.subscribe(self, lambda _: self.app.stylesheet.update(self))

    @on(OptionList.OptionHighlighted)
    def _preview(self, event: OptionList.OptionHighlighted) -> None:
        rows, name = event.option_list, _theme(event.option)
        if not self._at_current:  # the list has just come, with its cursor on the first one
            self._at_current = True
            names = [_theme(option) for option in rows.options]
            if self._before in names and name != self._before:
                rows.highlighted = names.index(self._before)
                return
        if name and name != self.app.theme:
            cast("XrayApp", self.app).themes.put_on(name)

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Leave; where none was taken the theme of before comes back."""
        if self._selected_command is None:
            cast("XrayApp", self.app).themes.put_on(self._before)
        return super().dismiss(result)


def _theme(option: Option) -> str:
    return str(option.hit.text) if isinstance(option, Command) else ""

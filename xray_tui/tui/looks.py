"""How the dashboard is drawn, whatever it shows: its theme, with or without colours and unicode."""

import time
from collections.abc import Sequence
from pathlib import Path

from textual import work
from textual.app import App
from textual.filter import Monochrome, NoColor
from textual.notifications import Notify
from textual.screen import Screen

from xray_tui.tui.ascii import AsciiFilter
from xray_tui.tui.screens.ground import Ground
from xray_tui.tui.terminal_colours import TerminalColours
from xray_tui.tui.themes import MEANINGS, Themes
from xray_tui.tui.toasts import tell_of_themes
from xray_tui.words import harmless

_THEMES_SECONDS = 1.0
_HANDING_OVER_SECONDS = 0.001


class Looks(App[int]):
    """An app with our themes, of which a person's own may change at any time.

    Args:
        styles: style sheets; none is the usual one.
        theme: the one to put on; else that of the last sitting.
        ascii_only: draw without unicode.

    Raises:
        UserError: there is no such theme.
    """

    def __init__(self, *, styles: Sequence[str] = (), theme: str = "", ascii_only: bool = False) -> None:
        super().__init__(css_path=[*styles] or None)
        self.animation_level = "none"
        self.ascii_only = ascii_only
        self._terminal_colours = TerminalColours(enabled=False)
        self._filters.insert(0, self._terminal_colours)
        if ascii_only:
            self._filters.insert(0, AsciiFilter())  # before the colours go: a picture is made of them
        self.themes = Themes(self)
        self.themes.choose(theme)
        self._follow_theme()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return MEANINGS

    def post_display_hook(self) -> None:
        """Let the thread that writes to the terminal have the interpreter: it waited 5 to 20 ms."""
        if not self.is_headless:
            time.sleep(_HANDING_OVER_SECONDS)

    def get_default_screen(self) -> Screen[None]:
        return Ground(id="_default")

    def on_mount(self) -> None:
        tell_of_themes(self, self.themes.complaints)
        self.set_interval(_THEMES_SECONDS, self._look_at_themes)

    @work(exclusive=True, group="themes")
    async def _look_at_themes(self) -> None:
        tell_of_themes(self, await self.themes.look())

    def watch_theme(self) -> None:
        self._follow_theme()
        if self.is_running:
            self.call_after_refresh(self.restyle)

    def on_notify(self, event: Notify) -> None:
        """What a toast still says is not said again: a key held down would fill the screen."""
        new = event.notification
        if any((toast.title, toast.message) == (new.title, new.message) for toast in self._notifications):
            event.prevent_default()

    def restyle(self) -> None:
        """The theme is another: texts that were made in the old one's colours are to be made anew."""

    def _follow_theme(self) -> None:
        """The last steps before the terminal are others where the theme is made of its own colours."""
        ansi = self._terminal_colours.enabled = self.current_theme.ansi
        if self.no_color:  # the toolkit looks at its first theme only
            grey = [place for place, one in enumerate(self._filters) if isinstance(one, Monochrome | NoColor)]
            self._filters[grey[0]] = NoColor() if ansi else Monochrome()

    def search_themes(self) -> None:
        """Choose a theme, seeing each while the cursor is on it."""
        from xray_tui.tui.screens.theme_palette import ThemePalette  # late: seldom wanted

        self.push_screen(ThemePalette())

    def save_picture(self) -> None:
        """The screen as an SVG in the current folder."""
        try:
            file = self.save_screenshot(path=str(Path.cwd()))
        except OSError as error:
            self.notify(f"The picture could not be saved: {error}", severity="error", markup=False)
        else:
            self.notify(harmless(file), title="saved", markup=False)

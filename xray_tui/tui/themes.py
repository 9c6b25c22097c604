"""Colours by their meaning, and the themes that are on offer."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from textual.app import App
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from xray_tui.errors import UserError
from xray_tui.settings_file import config_folder, nearest
from xray_tui.tui import remembered
from xray_tui.tui.terminal_colours import of_the_terminal
from xray_tui.tui.theme_files import MEANINGS as MEANINGS
from xray_tui.tui.theme_files import adapted, complete, contrast, read_files, read_themes
from xray_tui.words import harmless

DEFAULT = "reading-room"
_OURS_FIRST = (DEFAULT, "light-box", "high-contrast", "colour-blind-safe", "terminal")
_TEXTUAL = tuple(name for name in BUILTIN_THEMES if not BUILTIN_THEMES[name].ansi)
"""Textual's own, after ours. Those of the terminal's colours stay out: our ``terminal`` does it."""

_ENOUGH = 7.0
"""A contrast to the ground that suits everybody: WCAG's AAA for text."""

Stamp = tuple[int, int]
"""When a file was written (in ns) and its size in bytes: together they tell its version."""


@dataclass(frozen=True)
class Palette:
    """The colours of the theme in use by what they mean, as ``#rrggbb``.

    Those of the terminal's own are what :func:`of_the_terminal` gives: they are not to be mixed. So
    colours are mixed here, by :meth:`faded` and :meth:`ground`, and nowhere else.
    """

    frozen: str
    unfrozen: str
    train: str
    validation: str
    accuracy: str
    auc: str
    best: str
    hairline: str
    text: str
    muted: str
    faint: str
    lit: str
    primary: str
    success: str
    warning: str
    error: str
    background: str
    dark: bool
    ansi: bool
    """Whether these are the terminal's own colours."""
    told_apart: bool = True
    """Whether they can be: not where the terminal shows none (``NO_COLOR``), or may not (``--ascii``)."""

    @classmethod
    def of(cls, app: App[Any]) -> "Palette":
        """The palette of the theme that is on. Asked for often: one is kept for each theme."""
        variables = app.theme_variables
        known = _palettes.get(app)
        if known is None or known[0] is not variables:
            colours = not app.no_color and not getattr(app, "ascii_only", False)
            known = _palettes[app] = (variables, cls._made(variables, app.current_theme, colours))
        return known[1]

    @classmethod
    def _made(cls, variables: Mapping[str, str], theme: Theme, told_apart: bool) -> "Palette":
        names = (*MEANINGS, "primary", "success", "warning", "error", "background")
        colours = {name: _as_hex(variables[name]) for name in names}
        text = _as_hex(variables["foreground"])
        return cls(**colours, text=text, dark=theme.dark, ansi=theme.ansi, told_apart=told_apart)

    def stage(self, stage: str | None) -> str:
        """The colour of a stage."""
        return {"frozen": self.frozen, "unfrozen": self.unfrozen}.get(stage or "", self.muted)

    def faded(self, colour: str, share: float) -> str:
        """That share (0 to 1) of the colour on the background; the terminal's own cannot be mixed."""
        if self.ansi:
            return colour if share >= 0.5 else self.faint
        return Color.parse(self.background).blend(Color.parse(colour), share).hex6

    def ground(self, colour: str, share: float) -> str:
        """A style for text on a ground of that much (0 to 1) of the colour.

        A little less of it where the text could be read worse than words beside what matters.
        """
        if self.ansi:
            return f"reverse {colour}" if share >= 0.5 else colour
        return _ground(self.text, self.muted, self.background, colour, share)

    def pixel(self, colour: str) -> str:
        """The colour as ``#rrggbb``, for a picture; of the terminal's own about what they are."""
        if colour == of_the_terminal("default"):
            return "#000000" if self.dark else "#ffffff"
        return colour

    def bar(self, colour: str) -> str:
        """A style for a bar of that colour which is filled in part."""
        return colour if self.ansi else f"{colour} on {self.faded(self.text, 0.16)}"

    def badge(self, colour: str) -> str:
        """A style for a few words that stand out on that colour."""
        return f"bold reverse {colour}" if self.ansi else f"bold {self.background} on {colour}"


@lru_cache(maxsize=1024)
def _ground(text: str, muted: str, background: str, colour: str, share: float) -> str:
    inks = [Color.parse(ink) for ink in (text, background)]
    under = Color.parse(background)
    least = min(_ENOUGH, 0.9 * contrast(Color.parse(muted), under))
    while True:
        ground = under.blend(Color.parse(colour), share)
        ink = max(inks, key=lambda ink: contrast(ink, ground))
        if contrast(ink, ground) >= least or share < 0.05:
            return f"{ink.hex6} on {ground.hex6}"
        share *= 0.95


_palettes: WeakKeyDictionary[App[Any], tuple[Mapping[str, str], Palette]] = WeakKeyDictionary()


def _as_hex(colour: str) -> str:
    parsed = Color.parse(colour)
    return parsed.hex6 if parsed.ansi is None else of_the_terminal(colour.removeprefix("ansi_"))


def packed_folder() -> Path:
    """The themes that come along: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "themes"
    return inside if inside.is_dir() else package.parent / "themes"


def own_folder() -> Path:
    """Where a person's own themes are; it need not exist."""
    return config_folder() / "themes"


class Themes:
    """The themes on offer: ours, a person's own, Textual's. A person's folder may change at any time.

    Args:
        app: where they are registered.
    """

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._folder = own_folder()
        self._ours, self.complaints = read_themes(packed_folder())
        if not any(theme.name == DEFAULT for theme in self._ours):
            self._ours.append(complete(DEFAULT, {"primary": "#62b6c4"}))
        self._stamps = _stamps(self._folder)
        self._looking = asyncio.Lock()
        self._own, complaints = _read(self._stamps)
        self.complaints += complaints
        self._register()

    @property
    def names(self) -> list[str]:
        """All of them, in the order in which they are offered."""
        ours = sorted(self._ours, key=lambda theme: _place(theme.name))
        own = sorted(theme.name for theme in self._own.values())
        return list(dict.fromkeys([*(theme.name for theme in ours), *own, *_TEXTUAL]))

    def origin(self, name: str) -> str:
        """Where a theme comes from, in words; nothing for ours."""
        for file, theme in self._own.items():
            if theme.name == name:
                return f"yours: {file.name}"
        return "Textual's" if name in _TEXTUAL else ""

    def choose(self, configured: str = "") -> None:
        """Put on the theme of the config file; without one that of the last sitting, or the default.

        Raises:
            UserError: the config file's theme is not there.
        """
        last = remembered.load_theme()
        if configured:
            self.put_on(configured)
        elif not last or last in self.names:
            self.put_on(last or DEFAULT)
        else:
            self.complaints.append(f"the theme {harmless(last)} is gone; {DEFAULT} is on instead")
            self.put_on(DEFAULT)

    def put_on(self, name: str) -> None:
        """
        Raises:
            UserError: there is no such theme.
        """
        if name not in self.names:
            hint = nearest(name, self.names) or f"there are: {', '.join(self.names)}"
            complaints = "".join(f"\nnot a theme: {complaint}" for complaint in self.complaints)
            raise UserError(f"no theme {name!r}", hint + complaints)
        if name in _TEXTUAL and self.origin(name) == "Textual's":
            self._app.register_theme(adapted(BUILTIN_THEMES[name]))  # here: few people want one of them
        if self._app.is_running:
            self._app.theme = name
        else:
            self._begin_with(name)

    def _begin_with(self, name: str) -> None:
        """As setting the theme does, less reading all style sheets anew: they have not been read yet.

        That took a third of the time to the first frame.
        """
        app = self._app
        app.set_reactive(App.theme, name)
        dark = app.current_theme.dark
        app.set_class(dark, "-dark-mode", update=False)
        app.set_class(not dark, "-light-mode", update=False)
        app.stylesheet.set_variables(app.get_css_variables())
        app._refresh_truecolor_filter(app.ansi_theme)

    async def look(self) -> list[str]:
        """Look for changes in the person's folder; gives a line about each changed file that is no theme.

        The last version that was one stays in use. Reads in a thread: the folder may be far away.
        """
        async with self._looking:
            stamps = await asyncio.to_thread(_stamps, self._folder)
            if stamps == self._stamps:
                return []
            changed = {file: stamp for file, stamp in stamps.items() if self._stamps.get(file) != stamp}
            read, complaints = await asyncio.to_thread(_read, changed)
            self._stamps = stamps
        before = self._app.current_theme
        self._own = {file: theme for file, theme in self._own.items() if file in stamps} | read
        self._register()
        if self._app.theme not in self.names:
            self._app.theme = DEFAULT
        elif self._app.current_theme != before:
            self._app.mutate_reactive(App.theme)  # the same name, other colours
        return complaints

    def _register(self) -> None:
        """A person's own theme wins over ours of the same name."""
        for theme in (*self._ours, *self._own.values()):
            self._app.register_theme(theme)
        for name in self._app.available_themes.keys() - {*self.names, *BUILTIN_THEMES}:
            self._app.unregister_theme(name)  # of a file that is gone


def _stamps(folder: Path) -> dict[Path, Stamp]:
    found = {}
    try:
        for file in sorted(folder.glob("*.toml")):
            status = file.stat()
            found[file] = (status.st_mtime_ns, status.st_size)
    except OSError:  # a file that went between the two looks; the next look sees it all
        pass
    return found


def _read(files: Mapping[Path, Stamp]) -> tuple[dict[Path, Theme], list[str]]:
    read, complaints = {}, []
    for file in files:
        themes, wrong = read_files([file])
        complaints += wrong
        for theme in themes:
            read[file] = theme
    return read, complaints


def _place(name: str) -> tuple[int, str]:
    return (_OURS_FIRST.index(name) if name in _OURS_FIRST else len(_OURS_FIRST), name)

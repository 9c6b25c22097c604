"""What there is to know about the setting or the key under the cursor."""

from collections.abc import Callable
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.widget import Widget

from xray_tui import config
from xray_tui.kinds import allowed, choices, written
from xray_tui.settings import PRESETS, Settings
from xray_tui.tui.actions import Action
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.panes.setting_rows import Key, Setting
from xray_tui.tui.themes import Palette
from xray_tui.tui.values import NextRun
from xray_tui.words import ABSENT, harmless

Lines = list[tuple[str, Text]]
"""Labels, empty for a continued line, each with what it says."""


class SettingHelp(Widget, can_focus=False):
    """Shows it. It has the size of its pane, so that another row costs no new layout."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._words: Callable[[], RenderableType] = str

    def show(self, words: Callable[[], RenderableType]) -> None:
        """Show what this gives, in the colours of whatever theme is on."""
        self._words = words
        self.refresh()

    def render(self) -> RenderableType:
        return self._words()


def help_words(
    entry: Setting | Key,
    values: NextRun,
    keymap: KeyMap,
    palette: Palette,
    *,
    entered: str | None = None,
    short: bool = False,
) -> Group:
    """
    Args:
        entered: the value that the person is about to take.
        short: for a low pane: no blank lines, and the choices on one.
    """
    if isinstance(entry, Setting):
        words, lines = config.describe(entry.path), _setting(entry.path, values, palette, entered, short)
    else:
        words, lines = entry.action.help.rstrip("."), _key(entry.action, keymap, palette)
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    for label, said in lines:
        if label or not short:
            grid.add_row(Text(label, palette.faint), said)
    return Group(Text(f"{words[:1].upper()}{words[1:]}.", palette.muted), *([] if short else [""]), grid)


def _setting(path: str, values: NextRun, palette: Palette, entered: str | None, short: bool) -> Lines:
    few, said = choices(path), values.text(path) if entered is None else entered
    lines: Lines = []
    if few and short:
        words = Text(" ").join(
            Text(choice, f"bold {palette.primary}" if choice == said else palette.text) for choice in few
        )
        lines.append(("one of", words))
    elif few:
        for number, choice in enumerate(few):
            here = choice == said
            style = f"bold {palette.primary}" if here else palette.text
            lines.append(("" if number else "one of", Text(f"{'▸' if here else ' '} {choice}", style)))
    else:
        lines.append(("may be", Text(allowed(path), palette.text)))
    lines.append(("default", Text(harmless(_default(path, values)), palette.text)))
    lines.append(("from", Text(values.origin(path), palette.text)))
    lines.append(("", Text()))
    lines.append(("in the file", Text(path, palette.muted)))
    if config.option_of(path):
        lines.append(("option", Text(config.option_of(path), palette.muted)))
        lines.append(("environment", Text(config.variable_of(path), palette.muted)))
    return lines


def _default(path: str, values: NextRun) -> str:
    """The default, and the preset's value where that is another."""
    default = written(config.get(Settings(), path)) or ABSENT
    preset = str(values.value("preset"))
    if path in PRESETS.get(preset, {}):  # type: ignore[call-overload]
        return f"{written(values.usual(path))} by the preset {preset}, else {default}"
    return default


def _key(action: Action, keymap: KeyMap, palette: Palette) -> Lines:
    where = ", ".join(place.capitalize() for place in action.places) if action.places else "everywhere"
    return [
        ("works in", Text(where.replace("Form", "the start form"), palette.text)),
        ("default", Text(keymap.written(action.key), palette.text)),
        ("from", Text(keymap.origin(action), palette.text)),
        ("", Text()),
        ("in the file", Text(f"[keys] {action.id}", palette.muted)),
    ]

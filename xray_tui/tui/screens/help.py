"""The help: what is seen here, the keys that work here, the keys that work everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual.widget import Widget

from xray_tui.tui.actions import ACTIONS, BY_ID, FIXED, RUN_PLACES
from xray_tui.tui.jump import title_of
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.screens.notice import NoticeScreen
from xray_tui.tui.themes import Palette

if TYPE_CHECKING:
    from xray_tui.tui.app import XrayApp

_EVERYWHERE = {"run": "The run", "tabs": "Tabs", "look": "Looking", "help": "The dashboard"}
_ROW = "  "
_GAP = "  "
_KEY_CELLS = 8
"""Of the keys' column, where none is longer."""
_Told = tuple[str, str]
"""A title and what there is to tell."""


def help_notice(app: XrayApp) -> NoticeScreen:
    """What has the focus, the tab in front and its keys; then the other panes in sight, and all the keys."""
    palette, keymap = Palette.of(app), KeyMap.of(app)
    parts: list[RenderableType] = []

    def part(title: str, content: RenderableType) -> None:
        parts.extend((Text(title, f"bold {palette.text}"), content, ""))

    here, others = _seen(app)
    for title, words in here:
        part(title, _words(keymap.fill(words), palette))
    own = [action for action in ACTIONS if action.places and action.fits(app.place)]
    if own:
        part("Keys here", _Keys([(keymap.shown(action), action.help) for action in own], palette))
    for title, words in others:
        part(title, _words(keymap.fill(words), palette))
    for group, title in _EVERYWHERE.items():
        rows = [
            (keymap.shown(action), action.help)
            for action in ACTIONS
            if action.group == group and not action.places
        ]
        rows += [(key, words) for key, of, words in FIXED if of == group]
        part(title, _Keys(rows, palette))
    if app.place in RUN_PLACES:
        part("Colours", _colours(palette))
    return NoticeScreen("help", Group(*parts[:-1]))


def _seen(app: XrayApp) -> tuple[list[_Told], list[_Told]]:
    """Titles and texts of where the person is (the pane with the focus, the tab), and of the other panes."""
    told: set[type] = set()

    def tell(node: Widget, title: str) -> list[_Told]:
        words = getattr(node, "HELP", "")
        if not words or type(node) in told:
            return []
        told.add(type(node))
        return [(_sentence(title), words)]

    front, here = app.front, []
    for node in app.focused.ancestors_with_self if app.focused is not None else ():
        if isinstance(node, Widget) and node is not front:
            here += tell(node, title_of(node))
    here += tell(front, BY_ID[app.place].title if app.place in BY_ID else "The start form")
    others = []
    for node in front.walk_children(Widget):
        if node.is_on_screen:
            others += tell(node, title_of(node))
    return here, others


def _sentence(title: str) -> str:
    return title[:1].upper() + title[1:]


def _words(words: str, palette: Palette) -> RenderableType:
    """The text with its lines joined: only after a full stop does a line end where it did."""
    joined = ""
    for line in words.splitlines():
        joined += line.strip() + ("\n" if line.rstrip().endswith(".") or not line.strip() else " ")
    return Padding(Text(joined.rstrip(), palette.muted), (0, 0, 0, len(_ROW)))


@dataclass(frozen=True)
class _Keys:
    """Keys, and what each does; set in lines here, for rich's own tables take ten times as long."""

    rows: Sequence[tuple[str, str]]
    palette: Palette

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        key_style = Style.parse(f"bold {self.palette.primary}")
        words_style = Style.parse(self.palette.muted)
        cells = max(_KEY_CELLS, *(cell_len(key) + len(_ROW) for key, _ in self.rows)) + len(_GAP)
        for key, words in self.rows:
            head = set_cell_size(f"{_ROW}{key}", cells)
            for line in wrap(words, max(1, options.max_width - cells)) or [""]:
                yield Segment(head, key_style)
                yield Segment(line, words_style)
                yield Segment.line()
                head = " " * cells


def _colours(palette: Palette) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for name, colour, words in (
        ("frozen", palette.frozen, "only the new head learns"),
        ("unfrozen", palette.unfrozen, "the whole network learns; ┊ marks where that begins"),
        ("★", palette.best, "the epoch with the lowest validation loss: its weights are kept"),
        ("validation", palette.validation, "images that the network does not learn from"),
    ):
        grid.add_row(Text(f"{_ROW}{name}", colour), Text(words, palette.muted))
    return grid

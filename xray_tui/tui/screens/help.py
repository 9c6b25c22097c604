"""The help: what is seen here, the keys that work here, the keys that work everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from textual.widget import Widget

from xray_tui.tui.actions import ACTIONS, BY_ID, FIXED, RUN_PLACES
from xray_tui.tui.jump import title_of
from xray_tui.tui.keymap import KeyMap
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


def help_sheet(app: XrayApp) -> Sheet:
    """What has the focus, the tab in front and its keys; then the other panes in sight, and all the keys."""
    keymap = KeyMap.of(app)
    here, others = _seen(app)
    parts: list[_Part] = [_Part(title, words=keymap.fill(words)) for title, words in here]
    own = [action for action in ACTIONS if action.places and action.fits(app.place)]
    if own:
        parts.append(_Part("Keys here", [_Row(keymap.shown(action), action.help) for action in own]))
    parts += [_Part(title, words=keymap.fill(words)) for title, words in others]
    for group, title in _EVERYWHERE.items():
        rows = [
            _Row(keymap.shown(action), action.help)
            for action in ACTIONS
            if action.group == group and not action.places
        ]
        parts.append(
            _Part(title, rows + [_Row(keymap.spell(key), words) for key, of, words in FIXED if of == group])
        )
    palette = Palette.of(app)
    if app.place in RUN_PLACES:
        parts.append(_Part("Colours", _colours(palette)))
    return Sheet(parts, palette)


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
        if hasattr(node, "HELP") and node.is_on_screen:
            others += tell(node, title_of(node))
    return here, others


def _sentence(title: str) -> str:
    return title[:1].upper() + title[1:]


class _Row(NamedTuple):
    key: str
    words: str
    colour: str = ""
    """Of the key; the accent where there is none."""


class _Part(NamedTuple):
    title: str
    rows: Sequence[_Row] = ()
    words: str = ""


@dataclass(frozen=True)
class Sheet:
    """The parts, set in lines here: rich's own texts and tables take many times as long."""

    parts: Sequence[_Part]
    palette: Palette

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        title, words = Style.parse(f"bold {self.palette.text}"), Style.parse(self.palette.muted)
        for place, part in enumerate(self.parts):
            if place:
                yield Segment.line()
            yield Segment(part.title, title)
            yield Segment.line()
            for line in _set(part.words, options.max_width - len(_ROW)):
                yield Segment(f"{_ROW}{line}", words)
                yield Segment.line()
            yield from self._rows(part.rows, words, options.max_width)

    def _rows(self, rows: Sequence[_Row], style: Style, width: int) -> Iterator[Segment]:
        cells = max([_KEY_CELLS, *(cell_len(row.key) + len(_ROW) for row in rows)]) + len(_GAP)
        for key, words, colour in rows:
            head = set_cell_size(f"{_ROW}{key}", cells)
            for line in _set(words, width - cells) or [""]:
                yield Segment(head, Style.parse(colour or f"bold {self.palette.primary}"))
                yield Segment(line, style)
                yield Segment.line()
                head = " " * cells


def _set(words: str, width: int) -> list[str]:
    """The lines of a text; only after a full stop does a line end where it did."""
    joined = ""
    for line in words.splitlines():
        joined += line.strip() + ("\n" if line.rstrip().endswith(".") or not line.strip() else " ")
    return [line for whole in joined.rstrip().splitlines() for line in wrap(whole, max(1, width)) or [""]]


def _colours(palette: Palette) -> list[_Row]:
    return [
        _Row("frozen", "only the new head learns", palette.frozen),
        _Row("unfrozen", "the whole network learns; ┊ marks where that begins", palette.unfrozen),
        _Row("★", "the epoch with the lowest validation loss: its weights are kept", palette.best),
        _Row("validation", "images that the network does not learn from", palette.validation),
    ]

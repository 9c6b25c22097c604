"""The settings and the keys as one table under headings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text
from textual.geometry import Region

from xray_tui import config
from xray_tui.config import Origin
from xray_tui.kinds import written
from xray_tui.tui.actions import ACTIONS, Action
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.panes.rows import Cell, Column, Row, RowList
from xray_tui.tui.text import clean, shorten
from xray_tui.tui.themes import Palette
from xray_tui.tui.values import NextRun
from xray_tui.words import ABSENT, harmless

NAME, VALUE, RUN, DEFAULT, FROM = 1, 2, 3, 4, 5
"""Places of the columns; the first one holds the mark of what is not the default."""
_COLUMNS = (
    Column("", 1),
    Column("setting", 17),
    Column("value", 14, flexible=True),
    Column("this run", 10, rank=1),
    Column("default", 12, rank=3),
    Column("from", 12, rank=2),
)

_GROUPS = {
    "data": "Data",
    "model": "Model",
    "training": "Training",
    "training.frozen": "Frozen stage",
    "training.unfrozen": "Unfrozen stage",
    "training.optimizer": "Optimiser",
    "training.loss": "Loss",
    "training.averaging": "Average of weights",
    "training.augmentation": "Augmentation",
    "evaluation": "Evaluation",
    "hardware": "Hardware",
    "run": "Run",
}
_KEY_GROUPS = {
    "run": "the run",
    "runs": "a run in History",
    "tabs": "tabs",
    "look": "looking",
    "help": "the dashboard",
}


@dataclass(frozen=True)
class Heading:
    title: str


@dataclass(frozen=True)
class Setting:
    path: str

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2].replace("_", " ")

    @property
    def words(self) -> str:
        """What a filter looks through."""
        return " ".join((self.path, self.name, config.describe(self.path), config.option_of(self.path)))


@dataclass(frozen=True)
class Key:
    action: Action

    @property
    def name(self) -> str:
        return self.action.title

    @property
    def words(self) -> str:
        return " ".join(("key", self.action.id, self.action.title, self.action.help))


Entry = Heading | Setting | Key


def entries(values: NextRun) -> list[Entry]:
    """All settings by group, then all keys by group, each group under a heading."""
    groups: dict[str, list[str]] = {name: [] for name in _GROUPS}
    for path in values.paths:
        groups.setdefault(path.rpartition(".")[0] or "training", []).append(path)
    groups["training"].sort(key=lambda path: "." in path)  # the preset first: it says what the others are
    found: list[Entry] = []
    for name, paths in groups.items():
        found += [Heading(_GROUPS.get(name, name.replace(".", ", ").capitalize())), *map(Setting, paths)]
    for group, words in _KEY_GROUPS.items():
        found.append(Heading(f"Keys: {words}"))
        found += [Key(action) for action in ACTIONS if action.group == group]
    return found


def matching(found: Sequence[Entry], words: str) -> list[Entry]:
    """The entries in whose name or help every word occurs, under their headings."""
    wanted = words.lower().split()
    kept: list[Entry] = []
    heading: Heading | None = None
    for entry in found:
        if isinstance(entry, Heading):
            heading = entry
        elif all(word in entry.words.lower() for word in wanted):
            if heading is not None:
                kept.append(heading)
                heading = None
            kept.append(entry)
    return kept


class SettingRows(RowList):
    """The cursor stands on settings and keys only, never on a heading."""

    def __init__(self, values: NextRun, **named: Any) -> None:
        super().__init__(_COLUMNS, **named)
        self._values = values
        self._entries: Sequence[Entry] = ()
        self._run: Callable[[str], Any] | None = None
        self.editing = ""
        """While the value under the cursor is being changed: how that ends."""
        self.problem = ""
        """What is wrong with what is typed there."""

    def show_entries(self, found: Sequence[Entry], run: Callable[[str], Any] | None) -> None:
        """Show these, the cursor on the entry it was on.

        Args:
            run: the value of a setting in the run on the desk, by dotted path; ``None`` without a run.
        """
        at = self.entry
        self._entries, self._run = found, run
        columns = [column for place, column in enumerate(_COLUMNS) if run is not None or place != RUN]
        if columns != self._columns:
            self._columns, self._fitted = columns, (-1, [])
        first = next((index for index, entry in enumerate(found) if not isinstance(entry, Heading)), None)
        self.show_rows(len(found), self._cells, cursor=found.index(at) if at in found else first)

    @property
    def entry(self) -> Setting | Key | None:
        """What the cursor is on."""
        if self.cursor is None or self.cursor >= len(self._entries):
            return None
        entry = self._entries[self.cursor]
        return None if isinstance(entry, Heading) else entry

    @property
    def value_region(self) -> Region | None:
        """Where on the screen the value under the cursor stands; nothing while it is scrolled away."""
        if self.cursor is None:
            return None
        x, y = self.content_region.x, 1 + self.cursor - round(self.scroll_target_y)
        for place, column in self.visible_columns:
            if place == VALUE:
                inside = 1 <= y < self.scrollable_content_region.height
                return Region(x, self.content_region.y + y, column.width, 1) if inside else None
            x += column.width + 1
        return None

    def _move_to(self, index: int) -> None:
        """Headings are stepped over, and come into sight with the first row below them."""
        index = min(self.count - 1, max(0, index))
        onward, back = range(index, self.count), range(index, -1, -1)
        if self.cursor is not None and index < self.cursor:
            onward, back = back, onward
        to = next((at for at in (*onward, *back) if not isinstance(self._entries[at], Heading)), None)
        if to is None:
            return
        super()._move_to(to)
        if to and isinstance(self._entries[to - 1], Heading):
            self._in_sight = to - 1
            self._reveal()

    def _cells(self, index: int) -> Row:
        entry, palette = self._entries[index], Palette.of(self.app)
        if isinstance(entry, Heading):
            return (lambda width: _rule(entry.title, width, palette),)
        cells = self._setting(entry, palette) if isinstance(entry, Setting) else self._key(entry, palette)
        if index == self.cursor and self.editing:
            colour = palette.error if self.problem else palette.muted
            told = Text(harmless(self.problem.removeprefix("wanted: ") or self.editing), colour)
            return (*cells[:VALUE], Text(), lambda width: told)
        return cells if self._run is not None else (*cells[:RUN], *cells[DEFAULT:])

    def _setting(self, entry: Setting, palette: Palette) -> list[Cell]:
        path, values = entry.path, self._values
        changed, wrong = values.changed(path), values.wrong(path)
        colour = palette.error if wrong else palette.text if changed else palette.muted
        shown = clean(
            shorten(values.text(path), self._value_cells) or ABSENT, f"bold {colour}" if changed else colour
        )
        return [
            Text("•" if changed else " ", palette.primary),
            Text(entry.name, palette.text),
            shown,
            self._in_run(path, palette),
            clean(written(values.usual(path)) or ABSENT, palette.faint),
            _origin(values.origin(path), palette),
        ]

    def _in_run(self, path: str, palette: Palette) -> Text:
        """The run's own value, where it is another one."""
        value = self._run(path) if self._run is not None else None
        same = value is None or value == self._values.value(path)
        return Text() if same else clean(written(value) or ABSENT, palette.warning)

    def _key(self, entry: Key, palette: Palette) -> list[Cell]:
        keymap, action = KeyMap.of(self.app), entry.action
        changed = keymap.keys(action) != action.key
        return [
            Text("•" if changed else " ", palette.primary),
            Text(entry.name, palette.text),
            Text(keymap.shown_all(action), f"bold {palette.text}" if changed else palette.muted),
            Text(),
            Text(keymap.written(action.key), palette.faint),
            _origin(keymap.origin(action), palette),
        ]

    @property
    def _value_cells(self) -> int:
        return next((column.width for place, column in self.visible_columns if place == VALUE), 0)


def _origin(origin: Origin, palette: Palette) -> Text:
    colours: dict[Origin, str] = {
        "default": palette.faint,
        "config file": palette.frozen,
        "environment": palette.auc,
        "command line": palette.validation,
        "edited": palette.best,
    }
    return Text(origin, colours.get(origin, palette.muted))


def _rule(title: str, cells: int, palette: Palette) -> Text:
    text = Text(f"{title} ", f"bold {palette.primary}", no_wrap=True, end="")
    return text.append("─" * max(0, cells - text.cell_len), palette.hairline)

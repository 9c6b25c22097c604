"""The list of mistakes: a filter line and rows."""

import asyncio
from collections.abc import Sequence
from typing import Any

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.predictions import write_mistakes
from xray_tui.tui.image_filter import EXAMPLES
from xray_tui.tui.panes.filter_line import FilterInput, FilterLine
from xray_tui.tui.panes.frame import Framed
from xray_tui.tui.panes.rows import Column, Row, RowList
from xray_tui.tui.text import film_name, short_names
from xray_tui.tui.themes import Palette
from xray_tui.tui.worklist import DIRECTIONS, Direction, Listed, Order, Worklist
from xray_tui.words import count, harmless, number, probability

_COLUMNS: Sequence[tuple[Column, Order | None]] = (
    (Column("image", 11, flexible=True), "name"),
    (Column("called", 7), None),
    (Column("p", 4, right=True), "confidence"),
    (Column("loss", 5, right=True), "loss"),
    (Column("wrong", 6, right=True, rank=1), "wrong"),
)
ORDER_OF_COLUMN: Sequence[Order | None] = [order for _, order in _COLUMNS]

_MANY = 100
_AROUND_TITLE = 6
"""Columns of a pane's edge that no title takes."""

_DIRECTION_WORDS: dict[Direction, str] = {"all": "", "missed": "missed only", "alarms": "false alarms only"}


class MistakeRows(RowList):
    """``g`` is Grad-CAM here, not the first row."""

    def __init__(self, **named: Any) -> None:
        super().__init__([column for column, _ in _COLUMNS], **named)
        self._bindings.key_to_bindings.pop("g", None)


class ListPane(Vertical, Framed):
    """Shows a :class:`Worklist`."""

    def compose(self) -> ComposeResult:
        yield FilterLine(EXAMPLES, self._to_rows, id="mistake-filter")
        yield MistakeRows(id="worklist")
        yield Static(id="none-listed")

    def on_mount(self) -> None:
        self._title: Sequence[tuple[str, str]] = [("mistakes", "")]
        self._say_title()
        self._counted: int | None = None
        self._nothing = ""
        self._show_filter_line()

    @property
    def rows(self) -> MistakeRows:
        return self.query_one(MistakeRows)

    @property
    def filter_line(self) -> FilterLine:
        return self.query_one(FilterLine)

    def edit_filter(self) -> None:
        self.filter_line.display = True
        self.filter_line.edit()

    def _to_rows(self) -> None:
        if self.rows.display:
            self.rows.focus()
        else:  # nothing matches: the tab gives them the focus when they are there again
            self.screen.set_focus(None)

    def on_descendant_focus(self) -> None:
        self._show_filter_line()

    def on_descendant_blur(self) -> None:
        self._show_filter_line()

    @work(group="export")
    async def write(
        self, directory: RunDirectory, epoch: int, rows: Sequence[Listed], threshold: float | None
    ) -> None:
        """Into a file of the run's directory.

        Args:
            rows: as :meth:`Worklist.table` gives them.
            threshold: that they are mistakes at.
        """
        try:
            file = await asyncio.to_thread(write_mistakes, directory, epoch, rows, threshold)
        except OSError as error:
            self.notify(f"The list cannot be written: {error}", severity="error", markup=False)
            return
        mistakes = f"{count(len(rows))} mistake{'' if len(rows) == 1 else 's'}"
        self.notify(f"{mistakes} written to\n{harmless(str(file))}", title="exported", markup=False)

    def _show_filter_line(self) -> None:
        """It is there while it is typed in or while it filters."""
        line = self.filter_line
        typing = isinstance(self.screen.focused, FilterInput) and line in self.screen.focused.ancestors
        line.display = typing or bool(line.words)

    def on_resize(self) -> None:
        self._say_title()

    def _say_title(self) -> None:
        """The first that there is room for."""
        room = self.outer_size.width - _AROUND_TITLE
        head, rest = next((pair for pair in self._title if len("".join(pair)) <= room), self._title[-1])
        self.inscribe(Text.assemble(head, (rest, Palette.of(self.app).muted)))

    def show(self, work: Worklist, epochs: int) -> None:
        """
        Args:
            epochs: of how many epochs it is known what was wrong in them.
        """
        assert work.found is not None
        palette, names = Palette.of(self.app), short_names(work.classes)
        self._title = _titles(work)
        self._say_title()
        self.inscribe(subtitle=_DIRECTION_WORDS[work.direction])
        shown = len(work.listed)
        if self.filter_line.display and shown != self._counted:  # which lays the screen out anew
            self._counted = shown
            self.filter_line.show_count(Text(f" {count(shown)} shown", palette.muted))
        rows, none = self.rows, self.query_one("#none-listed", Static)
        rows.display, none.display = bool(shown), not shown
        if not shown and (words := _nothing(work)) != self._nothing:
            self._nothing = words
            none.update(words)
        rows.show_sort(ORDER_OF_COLUMN.index(work.order), descending=work.falling)
        rows.show_rows(
            shown,
            lambda place: _row(work, int(work.listed[place]), names, epochs, rows.width_of(0), palette),
            cursor=work.place,
        )


def _titles(work: Worklist) -> list[tuple[str, str]]:
    """How many there are, of what and by which rule, in two parts: in long words and in short ones."""
    assert work.found is not None
    epoch, of = f"epoch {work.found.epoch}", len(work.images)
    at = "" if work.threshold is None else f" at p ≥ {probability(work.threshold)}"
    return [
        (f"mistakes · {epoch}", f"  {count(work.mistakes)} of {count(of)}{at}"),
        (epoch, f"  {work.mistakes}/{of}{at}"),
    ]


def next_direction(direction: Direction) -> Direction:
    return DIRECTIONS[(DIRECTIONS.index(direction) + 1) % len(DIRECTIONS)]


def _nothing(work: Worklist) -> str:
    if not work.mistakes:
        if work.uncalled == len(work.images):
            return "This epoch's probabilities are no numbers: no image is right or wrong."
        where = "in this epoch" if work.threshold is None else "at this threshold"
        if work.uncalled:
            images = "1 image" if work.uncalled == 1 else f"{count(work.uncalled)} images"
            return f"No mistakes {where}, but the probabilities of {images} are no numbers."
        return f"No mistakes {where}: every validation image is right."
    if work.filter.words:
        return "No mistake matches the filter: escape clears it."
    what = "missed: no positive image is called otherwise" if work.direction == "missed" else "a false alarm"
    return f"None of the mistakes is {what}. f shows the others."


def _row(work: Worklist, image: int, names: Sequence[str], epochs: int, width: int, palette: Palette) -> Row:
    assert work.found is not None
    actual, said = int(work.images.actual[image]), int(work.predicted[image])
    right = actual == said
    way = Text.assemble(
        (names[actual], palette.text),
        ("→", palette.muted),
        (names[said], palette.success if right else palette.error),
    )
    name = Text("✓ " if right else "", palette.success)
    stem = film_name(work.images.paths[image], width - name.cell_len)
    name.append(stem, palette.muted if right else palette.text)
    loss = float(work.found.losses[image])
    wrong = work.times_wrong(image)
    return (
        name,
        way,
        Text(number(_known(work.probability(image)), 2), palette.text),
        Text(number(_known(loss), 2), palette.muted),
        Text(
            _of(wrong, epochs),
            palette.error if epochs and wrong == epochs else palette.muted,
        ),
    )


def _of(wrong: int, epochs: int) -> str:
    """``7/15``; of a hundred epochs and more there is only room for the first number."""
    if not epochs:
        return ""
    return f"{wrong}/{epochs}" if epochs < _MANY else str(wrong)


def _known(value: float) -> float | None:
    """What is no number shows as absent."""
    return value if value == value else None

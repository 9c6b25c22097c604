"""Curves where there is no room for axes: one line each."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.color import Color
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from textual.renderables.sparkline import Sparkline
from textual.widget import Widget


class Spark(NamedTuple):
    label: Text
    colour: str
    values: Sequence[float]


class Sparks(Widget, can_focus=False):
    """A label and a sparkline to a line."""

    def __init__(self, *, classes: str = "") -> None:
        super().__init__(classes=classes)
        self._sparks: Sequence[Spark] = ()

    def show(self, sparks: Sequence[Spark]) -> None:
        relaid = len(sparks) != len(self._sparks)
        self._sparks = sparks
        self.refresh(layout=relaid)

    def render(self) -> RenderableType:
        labels = max((spark.label.cell_len for spark in self._sparks), default=0)
        width = max(1, self.content_size.width - labels - 1)
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(width=labels)
        grid.add_column(width=width)
        for spark in self._sparks:
            colour = Color.parse(spark.colour)
            line = Sparkline(spark.values or [0.0], width=width, min_color=colour, max_color=colour)
            grid.add_row(spark.label, line)
        return grid

"""The threshold: the slider, and what comes of it."""

from collections.abc import Sequence
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal

from xray_tui.tui.panes.frame import Framed
from xray_tui.tui.panes.rates import RatesPane, RatesShown
from xray_tui.tui.panes.slider import Division, Slider
from xray_tui.tui.themes import Palette
from xray_tui.words import probability


class ThresholdPane(Horizontal, Framed):
    """What is called positive from where on, with the rates there."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.slider = Slider()
        self._rates = RatesPane()

    def compose(self) -> ComposeResult:
        yield self.slider
        yield self._rates

    def show(self, division: Division, rates: RatesShown, rule: Sequence[str], own: float | None) -> None:
        """
        Args:
            rule: what is called positive, and from where on.
            own: the run's own threshold; ``None`` where it calls the likeliest class.
        """
        palette, (name, since) = Palette.of(self.app), rule
        self.slider.show(division)
        self._rates.show(rates)
        title = Text.assemble("threshold  ", (f"{name} ", palette.muted))
        title.append(since, palette.muted if division.threshold == own else palette.primary)
        where = "are at 0.5" if len(rates.classes) == 2 else "take the likeliest class"
        own_rule = f"own numbers {where}" if own is None else f"operating point is {probability(own)}"
        self.inscribe(title, f"view only; the run's {own_rule}")

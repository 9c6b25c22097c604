"""The threshold: the slider, and what comes of it."""

from typing import Any, NamedTuple

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal

from xray_tui.tui.panes.frame import Framed
from xray_tui.tui.panes.rates import RatesPane, RatesShown
from xray_tui.tui.panes.slider import Division, Slider
from xray_tui.tui.themes import Palette


class Rule(NamedTuple):
    """What is called."""

    positive: str
    since: str
    """From where on."""
    own: str
    """The run's own rule, in words."""
    moved: bool
    """Whether a person tries out another one."""


class ThresholdPane(Horizontal, Framed):
    """What is called positive from where on, with the rates there."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.slider = Slider()
        self._rates = RatesPane()

    def compose(self) -> ComposeResult:
        yield self.slider
        yield self._rates

    def show(self, division: Division, rates: RatesShown, rule: Rule) -> None:
        palette = Palette.of(self.app)
        self.slider.show(division)
        self._rates.show(rates)
        title = Text.assemble("threshold  ", (f"{rule.positive} ", palette.muted))
        title.append(rule.since, palette.primary if rule.moved else palette.muted)
        self.inscribe(title, f"view only; the run's {rule.own}")

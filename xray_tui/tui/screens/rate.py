"""Asks for another learning rate."""

import math

from rich.text import Text
from textual import on
from textual.widgets import Input, Static

from xray_tui.events import Stage
from xray_tui.tui.screens.words import WordsScreen
from xray_tui.tui.themes import Palette


def read_rate(words: str) -> float | None:
    """A positive number as people write it (``3e-4``, ``0.0003``); ``None`` where it is none."""
    try:
        value = float(words)
    except ValueError:
        return None
    return value if 0 < value < math.inf else None


def complaint(words: str) -> str:
    """What is wrong with a learning rate; empty where it will do."""
    return "" if read_rate(words) else "A positive number, such as 3e-4."


class RateScreen(WordsScreen):
    """Gives back the rate in words that :func:`read_rate` reads; ``None`` where it stays.

    Args:
        rate: the one in use.
        stage: that it is used in.
        whose: said first, where that is not plain.
    """

    def __init__(self, rate: float, stage: Stage, whose: str = "") -> None:
        words = f"{whose}Of the {stage} stage, from the next batch on. Now {rate:g}."
        super().__init__("Learning rate", words, "change", f"{rate:g}", proposed=True, check=complaint)
        self._rate = rate

    @on(Input.Changed)
    def _show_change(self, event: Input.Changed) -> None:
        """How it compares to the one in use."""
        new = read_rate(event.value)
        if new is None:
            return  # WordsScreen says what is wrong with it
        event.prevent_default()
        event.stop()
        words = Text(f"{self._rate:g} → {new:g}", Palette.of(self.app).text)
        words.append(f"   {_times(new / self._rate)}", Palette.of(self.app).muted)
        self.query_one("#words-verdict", Static).update(words)


def _times(factor: float) -> str:
    if factor == 1:
        return "as it is"
    return f"× {factor:.3g}" if factor > 1 else f"÷ {1 / factor:.3g}"

"""Words in place of panes that have nothing to show."""

from textual.widgets import Static

from xray_tui.tui.text import clean
from xray_tui.tui.themes import Palette


class Instead(Static):
    """What there is to say, and below it what to do about it."""

    def say(self, words: str, hint: str = "") -> None:
        palette = Palette.of(self.app)
        text = clean(words, palette.text)
        if hint:
            text.append("\n\n").append_text(clean(hint, palette.muted))
        text.no_wrap = False
        self.update(text)

"""The words in a pane's frame."""

from rich.text import Text
from textual.content import Content
from textual.widget import Widget

_Words = Text | str


def inscribe(pane: Widget, title: _Words | None = None, subtitle: _Words | None = None) -> None:
    """Set the words that are given, where they are others: set anew, the same ones paint the whole pane."""
    for name, words in (("border_title", title), ("border_subtitle", subtitle)):
        if words is None:
            continue
        content = Content.from_rich_text(words) if isinstance(words, Text) else Content.from_markup(words)
        if content.markup != (getattr(pane, name) or ""):
            setattr(pane, name, words)

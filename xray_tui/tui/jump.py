"""Jump mode: a letter over everything that can be reached; pressing it goes there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Offset
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Static

from xray_tui.tui.panes.form import Field
from xray_tui.tui.panes.lines import SpotLine
from xray_tui.tui.themes import Palette

_LETTERS = "asdfghjklqwertyuiopzxcvbnm"


class Target(NamedTuple):
    """Something to jump to: a widget that takes the focus, or words that do something."""

    key: str
    title: str
    at: Offset
    """Where its badge begins on the screen."""
    widget: Widget | None = None
    line: SpotLine | None = None
    action: str = ""

    @property
    def letter(self) -> bool:
        """Whether it has no key of its own outside jump mode."""
        return self.key.isalpha()


def targets(screen: Screen[object]) -> list[Target]:
    """What can be reached on the screen: its tabs by their own keys, all else by letters."""
    found, letters = [], iter(_LETTERS)
    for line in screen.query(SpotLine):
        if line.JUMPS and line.region.area:
            for spot, key in zip(line.spots, line.jump_keys() or letters, strict=False):
                at = line.content_region.offset + Offset(spot.cells.start, 0)
                found.append(Target(key, spot.words, at, line=line, action=spot.action))
    reachable = [widget for widget in screen.focus_chain if screen.find_widget(widget).visible_region.area]
    firsts = {pane_of(widget): widget for widget in reversed(reachable)}
    for widget, letter in zip(reachable, letters, strict=False):
        pane = pane_of(widget)
        if pane is not None and firsts[pane] is widget:
            at = pane.region.offset
        else:  # a field of several: beside it, so that its words can be read
            at = screen.find_widget(widget).visible_region.offset - Offset(3, 0)
        found.append(Target(letter, title_of(widget), Offset(max(0, at.x), max(0, at.y)), widget))
    return found


def pane_of(widget: Widget) -> Widget | None:
    """The bordered pane that a widget is, or stands in."""
    for node in widget.ancestors_with_self:
        if isinstance(node, Widget) and node.has_class("pane"):
            return node
    return None


def title_of(widget: Widget) -> str:
    """What a widget is called on the screen, in words."""
    before = _label_before(widget)
    if before:
        return before
    for node in widget.ancestors_with_self:
        title = getattr(node, "border_title", None)
        if title:
            return _first_words(Content.from_markup(str(title)).plain)
    return (widget.id or type(widget).__name__).replace("-", " ")


def _first_words(title: str) -> str:
    """Of ``mistakes (82, the worst 10)`` only what does not change."""
    return title.split("(")[0].split("·")[0].split("  ")[0].strip()


def _label_before(widget: Widget) -> str:
    """The title of a field of the form."""
    return widget.parent.title if isinstance(widget.parent, Field) else ""


class Badge(Static):
    """One letter."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self.target = target

    def render(self) -> Text:
        palette = Palette.of(self.app)
        return Text(f" {self.target.key} ", palette.badge(palette.best))

    def on_mount(self) -> None:
        self.styles.offset = self.target.at


class JumpScreen(ModalScreen[Target]):
    """The badges over the dashboard; gives back the target, or nothing."""

    def __init__(self, found: Sequence[Target]) -> None:
        super().__init__()
        self._by_key = {target.key: target for target in found}

    def compose(self) -> ComposeResult:
        for target in self._by_key.values():
            yield Badge(target)

    def on_key(self, event: events.Key) -> None:
        """Any key that is no badge's leaves, so that nobody is caught here."""
        event.stop()
        self.dismiss(self._by_key.get(event.character or ""))

    def on_click(self, event: events.Click) -> None:
        """A click on a badge is as its key, one elsewhere as any other key."""
        widget, _ = self.get_widget_at(*event.screen_offset)
        self.dismiss(widget.target if isinstance(widget, Badge) else None)

    def on_resize(self, event: events.Resize) -> None:
        """What the badges stand over has moved."""
        if event.size != self._size_at_first and self.is_current:
            self.dismiss(None)

    def on_mount(self) -> None:
        self._size_at_first = self.app.size


async def jump(target: Target) -> None:
    """Go there."""
    if target.widget is not None:
        target.widget.focus()
    elif target.line is not None:
        await target.line.run_action(target.action)

"""Something to read, closed with escape."""

from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from xray_tui.runs.advice import advice
from xray_tui.tui.panes.advice import severity_colour
from xray_tui.tui.panes.document import Document
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.themes import Palette
from xray_tui.words import harmless

_MOST_PATHS = 10


class NoticeScreen(ModalScreen[None]):
    """A text in a box."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,space", "leave", "close", show=False)]

    def __init__(self, title: str, text: RenderableType) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        # Tables have no width of their own.
        width = "box" if isinstance(self._text, Text) else "box -wide"
        box = Document(self._text, "esc closes", classes=width)
        box.border_title = self._title
        yield box

    def on_mount(self) -> None:
        self.query_one(Document).focus()

    def tell(self, text: RenderableType) -> None:
        """Another text, of a kind with the first one, for the next time it is opened."""
        self._text = text
        for document in self.query(Document):  # none where the screen is still being made
            document.tell(text)

    def action_leave(self) -> None:
        self.dismiss(None)


class HelpScreen(NoticeScreen):
    """It covers nearly all, and is opened often."""

    BLANK = True
    """Nothing of what lies below is seen, or painted again."""


def board_notice(url: str, ssh_line: str, opened: bool, palette: Palette) -> NoticeScreen:
    text = Text.assemble("TensorBoard runs at\n\n", (f"  {url}\n\n", f"bold {palette.primary}"))
    if opened:
        text.append("It has been opened in the browser.\n\n", palette.muted)
    text.append("From another machine, first run there\n\n", palette.muted)
    text.append(f"  {ssh_line}\n\n", palette.text)
    text.append("It ends with this dashboard.", palette.muted)
    return NoticeScreen("TensorBoard", text)


def warnings_notice(run: ShownRun, palette: Palette) -> NoticeScreen:
    """What the watchers say, in whole sentences, and what went wrong without stopping the run."""
    text, said = Text(), advice(run.record)
    for one in said:
        text.append(f"{one.title}  ", f"bold {severity_colour(one, palette)}")
        text.append(f"{harmless(one.words)}\n", palette.text)
        text.append(f"{harmless(one.meaning)}\n\n", palette.muted)
    for warning in run.record.warnings:
        text.append(f"{warning.kind}  ", f"bold {palette.warning}")
        text.append(f"{harmless(warning.message)}\n", palette.text)
        for path in warning.paths[:_MOST_PATHS]:
            text.append(f"  {harmless(path)}\n", palette.muted)
        if len(warning.paths) > _MOST_PATHS:
            text.append(f"  and {len(warning.paths) - _MOST_PATHS} more\n", palette.faint)
        text.append("\n")
    text.rstrip()
    return NoticeScreen("advice and warnings" if said else "warnings", text)

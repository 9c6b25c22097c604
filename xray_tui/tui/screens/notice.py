"""Something to read, closed with escape."""

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from xray_tui.tui.actions import ACTIONS, FIXED
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.themes import Palette
from xray_tui.words import harmless

_MOST_PATHS = 10


class NoticeScreen(ModalScreen[None]):
    """A text in a box."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,space", "leave", "close", show=False)]

    def __init__(self, title: str, text: Text | Table) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="box"):
            yield Static(self._text, id="notice-words")

    def on_mount(self) -> None:
        box = self.query_one(".box")
        box.set_class(isinstance(self._text, Table), "-wide")  # a table has no width of its own
        box.border_title, box.border_subtitle = self._title, "esc closes"
        box.focus()

    def action_leave(self) -> None:
        self.dismiss(None)


def help_notice(palette: Palette) -> NoticeScreen:
    """The keys by group, from the one registry, and how to read the screen."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    groups = {"run": "The run", "tabs": "Tabs", "look": "Looking", "help": "The dashboard"}
    for group, title in groups.items():
        grid.add_row(Text(title, f"bold {palette.text}"))
        entries = [(action.shown_key, action.help) for action in ACTIONS if action.group == group]
        entries += [(key, words) for key, of, words in FIXED if of == group]
        for key, words in entries:
            grid.add_row(Text(f"  {key}", f"bold {palette.primary}"), Text(words, palette.muted))
        grid.add_row()
    grid.add_row(Text("Colours", f"bold {palette.text}"))
    for name, colour, words in (
        ("frozen", palette.frozen, "only the new head learns"),
        ("unfrozen", palette.unfrozen, "the whole network learns; ┊ marks where that begins"),
        ("★", palette.best, "the epoch with the lowest validation loss: its weights are kept"),
        ("validation", palette.validation, "images that the network does not learn from"),
    ):
        grid.add_row(Text(f"  {name}", colour), Text(words, palette.muted))
    return NoticeScreen("help", grid)


def board_notice(url: str, ssh_line: str, opened: bool, palette: Palette) -> NoticeScreen:
    text = Text.assemble("TensorBoard runs at\n\n", (f"  {url}\n\n", f"bold {palette.primary}"))
    if opened:
        text.append("It has been opened in the browser.\n\n", palette.muted)
    text.append("From another machine, first run there\n\n", palette.muted)
    text.append(f"  {ssh_line}\n\n", palette.text)
    text.append("It ends with this dashboard.", palette.muted)
    return NoticeScreen("TensorBoard", text)


def warnings_notice(run: ShownRun, palette: Palette) -> NoticeScreen:
    text = Text()
    for warning in run.record.warnings:
        text.append(f"{warning.kind}  ", f"bold {palette.warning}")
        text.append(f"{harmless(warning.message)}\n", palette.text)
        for path in warning.paths[:_MOST_PATHS]:
            text.append(f"  {harmless(path)}\n", palette.muted)
        if len(warning.paths) > _MOST_PATHS:
            text.append(f"  and {len(warning.paths) - _MOST_PATHS} more\n", palette.faint)
        text.append("\n")
    return NoticeScreen("warnings", text)

"""One radiograph, as large as the terminal allows."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from PIL import Image
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.panes.picture import PictureClass, RadiographView
from xray_tui.tui.text import clean
from xray_tui.words import count


class RadiographScreen(ModalScreen[int]):
    """Walks through some radiographs; gives back which one was seen last.

    Args:
        paths: of the radiographs, as ``read`` takes them.
        at: the one to begin with.
        about: what is said of one, below it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "leave", "close", show=False),
        Binding("left,up,pageup,h,k", "step(-1)", "before", show=False),
        Binding("right,down,pagedown,l,j,space", "step(1)", "after", show=False),
    ]

    def __init__(
        self,
        picture: PictureClass,
        read: Callable[[Path], Image.Image],
        paths: Sequence[str],
        at: int,
        about: Callable[[str], Text],
    ) -> None:
        super().__init__()
        self._picture = picture
        self._read = read
        self._paths = paths
        self._at = at
        self._about = about

    def compose(self) -> ComposeResult:
        with Vertical(id="radiograph-box"):
            yield RadiographView(self._picture, self._read, id="large-radiograph")
            yield Static(id="about-radiograph")

    def on_mount(self) -> None:
        self._show()

    def action_leave(self) -> None:
        self.dismiss(self._at)

    def action_step(self, step: int) -> None:
        self._at = min(max(0, self._at + step), len(self._paths) - 1)
        self._show()

    def on_click(self) -> None:
        self.dismiss(self._at)

    def _show(self) -> None:
        path = self._paths[self._at]
        box = self.query_one("#radiograph-box")
        box.border_title = clean(Path(path).name)
        several = len(self._paths) > 1
        arrows = KeyMap.of(self.app).spell("← →")
        where = f"{count(self._at + 1)} of {count(len(self._paths))}   {arrows}   " if several else ""
        box.border_subtitle = f"{where}esc closes"
        self.query_one("#about-radiograph", Static).update(self._about(path))
        self.query_one(RadiographView).show(Path(path))

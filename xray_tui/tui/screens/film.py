"""One radiograph as large as the screen."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from PIL import Image
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import ModalScreen

from xray_tui.tui.panes.picture import PictureClass, RadiographView

if TYPE_CHECKING:
    from xray_tui.heat import Overlay


class FilmScreen(ModalScreen[None]):
    """Shows what its owner shows, larger.

    Args:
        step: brings the next radiograph of the list, or the one before.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "leave", "back", show=False),
        Binding("up,k", "step(-1)", "the one before", show=False),
        Binding("down,j", "step(1)", "the next one", show=False),
        # Under the registry's ids, so that a person's own keys hold here too.
        Binding("g", "app.perform('heat')", "Grad-CAM", show=False, id="heat"),
        Binding("left", "app.perform('earlier')", "epoch before", show=False, id="earlier"),
        Binding("right", "app.perform('later')", "epoch after", show=False, id="later"),
    ]

    def __init__(
        self, picture: PictureClass, read: Callable[[Path], Image.Image], step: Callable[[int], None]
    ) -> None:
        super().__init__()
        self._picture, self._read, self._step = picture, read, step

    def compose(self) -> ComposeResult:
        with Container(id="large-film"):
            yield RadiographView(self._picture, self._read)

    def show(self, path: Path | None, overlay: "Overlay | None", title: Text, words: Text) -> None:
        frame = self.query_one("#large-film")
        frame.border_title, frame.border_subtitle = title, words
        self.query_one(RadiographView).show(path, overlay)

    def action_step(self, step: int) -> None:
        self._step(step)

    def action_leave(self) -> None:
        self.dismiss(None)

    def on_click(self) -> None:
        self.dismiss(None)

"""A radiograph in the terminal: as pixels where the terminal has them, else as half blocks."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from PIL import Image
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import Container
from textual.widget import Widget
from textual.widgets import Static

from xray_tui.tui.text import clean

_LONGEST_PX = 768
"""Nothing on a terminal is larger; kept images stay small."""
_KEPT = 64
_SETTLE_SECONDS = 0.06
"""Running down the list with a key held decodes where it stops, not on the way."""


class Picture(Protocol):
    """What we use of textual-image's widgets."""

    image: Image.Image | None


PictureClass = Callable[[], Widget]


def probed_picture() -> PictureClass:
    """The best image widget of this terminal.

    Imported late: textual-image asks the terminal what it can when it is imported, which works only
    before the app has taken the terminal over.
    """
    from textual_image.renderable import Image as Best
    from textual_image.renderable import SixelImage, TGPImage
    from textual_image.widget import HalfcellImage
    from textual_image.widget import Image as BestWidget

    return BestWidget if Best in (SixelImage, TGPImage) else HalfcellImage


def half_block_picture() -> PictureClass:
    """Half blocks, whatever the terminal can."""
    from textual_image.widget import HalfcellImage

    return HalfcellImage


def read_radiograph(path: Path) -> Image.Image:
    """Decode a radiograph for display. Runs in a thread."""
    from xray_tui.data.decoding import decode  # late: the data part is not needed for the first frame

    pixels = decode(path)
    image = Image.fromarray(pixels)
    image.thumbnail((_LONGEST_PX, _LONGEST_PX), Image.Resampling.BOX)
    return image


class RadiographView(Container):
    """The radiograph of one path, fitted in with its aspect kept."""

    def __init__(self, picture: PictureClass, read: Callable[[Path], Image.Image], **named: Any) -> None:
        super().__init__(**named)
        self._picture = picture
        self._read = read
        self._kept: OrderedDict[Path, Image.Image] = OrderedDict()
        self._path: Path | None = None

    def compose(self) -> ComposeResult:
        yield self._picture()
        yield Static(id="picture-words")

    def on_mount(self) -> None:
        self._say(Text())

    def show(self, path: Path | None) -> None:
        """Show the file; it is read off the UI thread and what was read is kept."""
        if path == self._path:
            return
        self._path = path
        if path is None:
            self._say(Text())
        elif path in self._kept:
            self._kept.move_to_end(path)
            self._put(self._kept[path])
        else:
            self._fetch(path)

    @work(exclusive=True, group="radiograph")
    async def _fetch(self, path: Path) -> None:
        await asyncio.sleep(_SETTLE_SECONDS)
        try:
            image = await asyncio.to_thread(self._read, path)
        except Exception as error:  # whatever a broken file makes a decoder do, the list must go on
            if path == self._path:
                self._say(Text.assemble("cannot read\n", clean(path.name), "\n", clean(str(error))))
            return
        self._kept[path] = image
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        if path == self._path:
            self._put(image)

    def _put(self, image: Image.Image) -> None:
        widget = self.children[0]
        widget.image = image  # type: ignore[attr-defined]  # every class of textual-image has it
        widget.display, self.children[1].display = True, False
        self._fit(image)

    def _say(self, words: Text) -> None:
        self.children[0].display, self.children[1].display = False, True
        self.query_one("#picture-words", Static).update(words)

    def on_resize(self) -> None:
        image = getattr(self.children[0], "image", None)
        if image is not None:
            self._fit(image)

    def _fit(self, image: Image.Image) -> None:
        """The largest box of cells (twice as tall as wide) with the image's aspect."""
        from textual_image._terminal import get_cell_size

        cell = get_cell_size()
        room = self.content_size
        aspect = image.width / image.height * cell.height / cell.width
        width = min(room.width, round(room.height * aspect))
        height = min(room.height, max(1, round(width / aspect)))
        styles = self.children[0].styles
        styles.width, styles.height = max(1, width), max(1, height)

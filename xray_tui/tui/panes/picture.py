"""A radiograph in the terminal: as pixels where the terminal has them, else as half blocks."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.widgets import Static

from xray_tui.errors import UserError
from xray_tui.tui.panes.clear import ClearContainer
from xray_tui.tui.panes.sized import Sized
from xray_tui.tui.pictures import PictureClass as PictureClass
from xray_tui.tui.pictures import cell_size
from xray_tui.tui.text import clean

if TYPE_CHECKING:
    from xray_tui.heat import Overlay  # which needs numpy: not for the first frame

_LONGEST_PX = 768
"""Nothing on a terminal is larger; kept images stay small."""
_KEPT = 64
_SETTLE_SECONDS = 0.06
"""Running down the list with a key held decodes where it stops, not on the way."""


class Picture(Protocol):
    """What we use of textual-image's widgets."""

    image: Image.Image | None


def read_radiograph(path: Path) -> Image.Image:
    """Decode a radiograph for display. Runs in a thread."""
    from xray_tui.data.decoding import decode  # late: the data part is not needed for the first frame
    from xray_tui.data.pseudonyms import locate

    pixels = decode(locate(path))
    image = Image.fromarray(pixels)
    image.thumbnail((_LONGEST_PX, _LONGEST_PX), Image.Resampling.BOX)
    return image


def pixels_of(path: Path) -> tuple[int, int] | None:
    """Width and height of an image file, upright; ``None`` where it has none. Reads its head only."""
    from xray_tui.data.decoding import head  # late: as above
    from xray_tui.data.pseudonyms import locate
    from xray_tui.data.unreadable import Unreadable
    from xray_tui.regular_files import open_regular

    try:
        with open_regular(locate(path)) as file:
            found = head(file)
    except (OSError, Unreadable, UserError):
        return None
    return found.width, found.height


class RadiographView(Sized, ClearContainer):
    """The radiograph of one path, fitted in with its aspect kept, and perhaps something laid over it."""

    def __init__(self, picture: PictureClass, read: Callable[[Path], Image.Image], **named: Any) -> None:
        super().__init__(**named)
        self._picture = picture
        self._read = read
        self._kept: OrderedDict[Path, Image.Image] = OrderedDict()
        self._path: Path | None = None
        self._overlay: Overlay | None = None
        self._covered: tuple[Path, Overlay, Image.Image] | None = None

    def compose(self) -> ComposeResult:
        yield self._picture()
        yield Static(id="picture-words")

    def on_mount(self) -> None:
        self._say(Text())

    def show(self, path: Path | None, overlay: "Overlay | None" = None) -> None:
        """Show the file; it is read off the UI thread and what was read is kept.

        Args:
            overlay: what lies over it, one object for as long as it is the same.
        """
        if path == self._path and overlay is self._overlay:
            return
        self._path, self._overlay = path, overlay
        if path is None:
            self._say(Text())
            return
        if self._covered is not None and self._covered[0] == path and self._covered[1] is overlay:
            self._put(self._covered[2])
            return
        if path in self._kept:
            self._kept.move_to_end(path)
            self._put(self._kept[path])
            if overlay is None:
                return
        self._fetch(path, overlay)

    @work(exclusive=True, group="radiograph")
    async def _fetch(self, path: Path, overlay: "Overlay | None") -> None:
        image = self._kept.get(path)
        if image is None:
            await asyncio.sleep(_SETTLE_SECONDS)
            try:
                image = await asyncio.to_thread(self._read, path)
            except Exception as error:  # whatever a broken file makes a decoder do, the list must go on
                if path == self._path and self.children:
                    self._say(Text.assemble("cannot read\n", clean(path.name), "\n", clean(str(error))))
                return
            self._kept[path] = image
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        if overlay is not None:
            image = await asyncio.to_thread(_cover, image, overlay)
            self._covered = (path, overlay, image)
        # A screen that closes has lost its widgets before this is told to end.
        if path == self._path and overlay is self._overlay and self.children:
            self._put(image)

    def _put(self, image: Image.Image) -> None:
        widget = self.children[0]
        widget.image = image  # type: ignore[attr-defined]  # every class of textual-image has it
        widget.display, self.children[1].display = True, False
        self._fit(image)

    def _say(self, words: Text) -> None:
        self.children[0].display, self.children[1].display = False, True
        self.query_one("#picture-words", Static).update(words)

    def resized(self) -> None:
        image = getattr(self.children[0], "image", None)
        if image is not None:
            self._fit(image)

    def _fit(self, image: Image.Image) -> None:
        """The largest box of cells (twice as tall as wide) with the image's aspect."""
        cell_width, cell_height = cell_size()
        room = self.size
        aspect = image.width / image.height * cell_height / cell_width
        width = min(room.width, round(room.height * aspect))
        height = min(room.height, max(1, round(width / aspect)))
        styles = self.children[0].styles
        styles.width, styles.height = max(1, width), max(1, height)


def _cover(film: Image.Image, overlay: "Overlay") -> Image.Image:
    from xray_tui.heat import lay_over

    return lay_over(film, overlay)

"""Radiographs as small pictures, a page at a time."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

from PIL import Image
from rich.text import Text
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from xray_tui.tui.panes.halfblocks import HalfBlocks
from xray_tui.tui.panes.picture import PictureClass
from xray_tui.tui.panes.tiles import HALF_BLOCKS, LABEL_ROWS, MOST_ROWS, Grid, Tiles, lay_out
from xray_tui.tui.pictures import cell_size
from xray_tui.tui.text import film_name, fit, shorten
from xray_tui.tui.themes import Palette
from xray_tui.words import count, harmless

_SETTLE_SECONDS = 0.03
"""Paging with a key held reads where it stops, not on the way."""


class Shot(NamedTuple):
    """One radiograph of the gallery."""

    path: str
    """Relative to the data folder."""
    words: str
    """What stands below its name: its class."""
    colour: str


class GalleryRow(Vertical):
    """Pictures side by side, and what they are below them."""

    def __init__(self, picture: PictureClass) -> None:
        super().__init__()
        self.picture = picture()
        self.labels = Static()

    def compose(self) -> ComposeResult:
        yield self.picture
        yield self.labels

    def fit(self, grid: Grid) -> None:
        self.styles.height = grid.row_height
        self.picture.styles.width = grid.span
        self.picture.styles.height = grid.height
        self.labels.styles.width = grid.span
        self.labels.styles.height = LABEL_ROWS


class Gallery(Vertical, can_focus=True):
    """Shows some radiographs; a cursor walks over them, and past an edge turns the page."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "step(-1, 0)", "left", show=False),
        Binding("right,l", "step(1, 0)", "right", show=False),
        Binding("up,k", "step(0, -1)", "up", show=False),
        Binding("down,j", "step(0, 1)", "down", show=False),
        Binding("home,g", "end(0)", "first", show=False),
        Binding("end,G", "end(1)", "last", show=False),
        Binding("enter", "choose", "open", show=False),
    ]

    HELP = (
        "A role's radiographs, the classes evenly mixed. {page_before} and {page_after} turn the page; in "
        "the gallery itself the arrows walk from one to the next, and enter (or a click) shows it large."
    )

    class Opened(Message):
        """The person wants to see one of them large."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, picture: PictureClass, read: Callable[[str], Image.Image], **named: Any) -> None:
        super().__init__(**named)
        self._picture = picture
        self._tiles = Tiles(read)
        self._title = ""
        self._shots: Sequence[Shot] = ()
        self._unreadable: set[str] = set()
        self._grid: Grid | None = None
        self._cell_px = HALF_BLOCKS
        self._stop = threading.Event()
        self.at = 0
        """The radiograph under the cursor."""

    def compose(self) -> ComposeResult:
        for _ in range(MOST_ROWS):
            yield GalleryRow(self._picture)

    # What is shown

    def show(self, title: str, shots: Sequence[Shot], *, at: int = 0) -> None:
        """Show these from the page on which the one numbered ``at`` is."""
        self._title, self._shots = title, shots
        self.at = min(max(0, at), max(0, len(shots) - 1))
        self._fit()
        self._turn()

    def forget(self) -> None:
        """The files may have changed: read them again."""
        self._tiles.forget()
        self._unreadable.clear()

    def look_at(self, path: str) -> None:
        """Put the cursor on the radiograph of that path, where it is one of them."""
        at = next((index for index, shot in enumerate(self._shots) if shot.path == path), None)
        if at is not None:
            self._move_to(at)

    @property
    def shots(self) -> Sequence[Shot]:
        return self._shots

    @property
    def page(self) -> int:
        return self.at // self._grid.tiles if self._grid else 0

    @property
    def pages(self) -> int:
        return max(1, -(-len(self._shots) // self._grid.tiles)) if self._grid else 1

    def turn(self, step: int) -> None:
        """Show the page before or after; the cursor stays in its place."""
        if self._grid is not None:
            self._move_to(min(max(0, self.at + step * self._grid.tiles), len(self._shots) - 1))

    def on_resize(self) -> None:
        self._fit()
        self._turn()

    def _fit(self) -> None:
        """Lay the tiles out anew, where there is room for some."""
        (cell_width, cell_height), size = cell_size(), self.content_size
        if not size.width or not size.height:
            return
        self._grid = lay_out(size.width, size.height, cell_height / cell_width, len(self._shots))
        for number, row in enumerate(self.query(GalleryRow)):
            row.display = number < self._grid.rows
            row.fit(self._grid)
            if not isinstance(row.picture, HalfBlocks):
                self._cell_px = cell_width, cell_height

    def on_focus(self) -> None:
        self._label()

    def on_blur(self) -> None:
        self._label()

    def on_unmount(self) -> None:
        self._stop.set()

    # Keys and mouse

    def action_step(self, right: int, down: int) -> None:
        grid = self._grid
        if grid is None or not self._shots:
            return
        place = self.at % grid.tiles
        if down and not 0 <= place // grid.columns + down < grid.rows:  # the page above or below
            other = place % grid.columns + (grid.columns * (grid.rows - 1) if down < 0 else 0)
            self._move_to(min((self.page + down) * grid.tiles + other, len(self._shots) - 1))
        else:
            self._move_to(self.at + right + down * grid.columns)

    def action_end(self, last: int) -> None:
        self._move_to(len(self._shots) - 1 if last else 0)

    def action_choose(self) -> None:
        if self._shots:
            self.post_message(self.Opened(self.at))

    def on_click(self, event: events.Click) -> None:
        grid, offset = self._grid, event.screen_offset - self.content_region.offset  # the click hit a child
        if grid is None:
            return
        left = (self.content_size.width - grid.span) // 2  # the rows stand in the middle
        row, column = offset.y // grid.row_height, (offset.x - left) // grid.pitch
        index = self.page * grid.tiles + row * grid.columns + column
        if row < grid.rows and 0 <= column < grid.columns and index < len(self._shots):
            self._move_to(index)
            self.post_message(self.Opened(index))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.turn(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.turn(-1)

    def _move_to(self, index: int) -> None:
        """Put the cursor there; where there is nothing, it stays."""
        if not 0 <= index < len(self._shots) or index == self.at:
            return
        before, self.at = self.page, index
        if self.page == before:
            self._label()
        else:
            self._turn()

    # Painting

    def _turn(self) -> None:
        """The page is another one: its title at once, its pictures when they are read."""
        shown = f", page {count(self.page + 1)} of {count(self.pages)}" if self.pages > 1 else ""
        self.border_title = Text(harmless(shorten(self._title, max(8, self.size.width - 6))))
        self.border_subtitle = shown.removeprefix(", ")
        self._stop.set()
        self._stop = threading.Event()
        if self._grid is not None and self.is_attached:
            self._load(self._grid, self.page, self._stop)

    @work(exclusive=True, group="gallery")
    async def _load(self, grid: Grid, page: int, stop: threading.Event) -> None:
        await asyncio.sleep(_SETTLE_SECONDS)
        palette = Palette.of(self.app)
        look = palette.pixel(palette.background), palette.pixel(palette.hairline)
        made = await asyncio.to_thread(self._read_page, self._shots, grid, page, look, stop)
        if made is None or stop.is_set():
            return
        strips, unreadable = made
        self._unreadable |= unreadable
        for row, strip in zip(self.query(GalleryRow), [*strips, *[None] * MOST_ROWS], strict=False):
            row.picture.image = strip  # type: ignore[attr-defined]  # every class of picture has it
        self._label()
        # Most people look at the page after.
        await asyncio.to_thread(self._read_page, self._shots, grid, page + 1, look, stop)

    def _read_page(
        self, all_shots: Sequence[Shot], grid: Grid, page: int, look: tuple[str, str], stop: threading.Event
    ) -> tuple[list[Image.Image], set[str]] | None:
        """The images of a page's rows, and the paths that cannot be read. Runs in a thread.

        ``None`` where the page is no longer wanted.
        """
        strips, unreadable = [], set()
        shots = all_shots[page * grid.tiles : (page + 1) * grid.tiles]
        for start in range(0, len(shots), grid.columns):
            paths = [shot.path for shot in shots[start : start + grid.columns]]
            made = self._tiles.row(paths, grid, self._cell_px, *look, stop.is_set)
            if made is None:
                return None
            strip, readable = made
            unreadable |= {path for path, good in zip(paths, readable, strict=True) if not good}
            strips.append(strip)
        return strips, unreadable

    def _label(self) -> None:
        """Name and class below each picture, the one under the cursor marked."""
        grid = self._grid
        if grid is None:
            return
        palette, first = Palette.of(self.app), self.page * grid.tiles
        for number, row in enumerate(self.query(GalleryRow)):
            start = first + number * grid.columns
            names, words = Text(no_wrap=True), Text(no_wrap=True)
            for index in range(start, min(start + grid.columns, first + grid.tiles, len(self._shots))):
                name, below = self._label_of(self._shots[index], grid, index == self.at, palette)
                names.append_text(name)
                words.append_text(below)
            row.labels.update(Text("\n").join([names, words]), layout=False)

    def _label_of(self, shot: Shot, grid: Grid, here: bool, palette: Palette) -> tuple[Text, Text]:
        name = film_name(shot.path, grid.width)
        marked = here and self.has_focus
        top = Text(name, f"bold {palette.background} on {palette.primary}" if marked else palette.text)
        if shot.path in self._unreadable:
            below = Text("cannot be read", palette.error)
        else:
            below = Text(shorten(harmless(shot.words), grid.width), shot.colour)
        return _centred(top, grid), _centred(below, grid)


def _centred(text: Text, grid: Grid) -> Text:
    """In the middle below a tile, with the gap to the next one."""
    before = max(0, (grid.width - text.cell_len) // 2)
    return fit(fit(Text(" " * before).append_text(text), grid.width), grid.pitch)

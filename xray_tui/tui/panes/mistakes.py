"""The misclassified validation images, worst first, and the radiograph of the one under the cursor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from xray_tui.events import Mistake, Mistakes
from xray_tui.tui.panes.confusion import NO_NUMBERS
from xray_tui.tui.panes.frame import Framed
from xray_tui.tui.panes.picture import PictureClass, RadiographView
from xray_tui.tui.panes.rows import Column, Row, RowList
from xray_tui.tui.panes.sized import Sized
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.text import clean, film_name, short_names, shorten
from xray_tui.tui.themes import Palette
from xray_tui.words import count, harmless, number

COLUMNS = (
    Column("image", 10, flexible=True),
    Column("true→said", 9),
    Column("prob", 5, right=True),
    Column("loss", 6, right=True, rank=1),
)


class MistakesPane(Sized, Horizontal, Framed):
    """Those of the epoch that is looked at."""

    HELP = (
        "Validation images that the network gets wrong, the worst first: what it is → what was said, how "
        "sure the network was, the loss. The Mistakes tab has all of them, with Grad-CAM."
    )

    def __init__(self, picture: PictureClass, read: Callable[[Path], Image.Image], **named: Any) -> None:
        super().__init__(**named)
        self._picture = picture
        self._read = read

    def compose(self) -> ComposeResult:
        yield RowList(COLUMNS, id="mistakes")
        yield Static(id="no-mistakes")
        yield RadiographView(self._picture, self._read, id="radiograph")

    def on_mount(self) -> None:
        self._run: ShownRun | None = None
        self._shown: Mistakes | None = None
        self.border_title = "mistakes"

    def show(self, run: ShownRun) -> None:
        self._run = run
        mistakes = run.mistakes
        rows = self.query_one("#mistakes", RowList)
        cursor = rows.cursor or 0
        if mistakes is not self._shown:
            cursor = self._same_image(mistakes, rows.cursor)
        self._shown = mistakes
        worst = mistakes.worst if mistakes else []
        self.inscribe(self._title(mistakes))
        empty = not worst
        rows.display, self.query_one("#no-mistakes").display = not empty, empty
        self.query_one("#radiograph").display = not empty
        if empty:
            self.query_one("#no-mistakes", Static).update(self._empty_words(run))
        palette, names = Palette.of(self.app), short_names(run.record.classes)
        rows.show_rows(
            len(worst),
            lambda index: _row(worst[index], names, rows.width_of(0), palette),
            cursor=cursor if worst else None,
        )
        self._show_radiograph()

    def resized(self) -> None:
        self._show_radiograph()

    def _same_image(self, mistakes: Mistakes | None, cursor: int | None) -> int:
        """The same radiograph stays selected from epoch to epoch where it is still a mistake."""
        if mistakes is None or self._shown is None or cursor is None or cursor >= len(self._shown.worst):
            return 0
        path = self._shown.worst[cursor].path
        return next((at for at, mistake in enumerate(mistakes.worst) if mistake.path == path), 0)

    def _title(self, mistakes: Mistakes | None) -> str:
        if mistakes is None:
            return "mistakes"
        shown = len(mistakes.worst)
        worst = f", the worst {shown}" if shown < mistakes.total else ""
        return f"mistakes ({count(mistakes.total)}{worst})"

    def _empty_words(self, run: ShownRun) -> str:
        if run.looked_at is None:
            return "Images that the network gets wrong appear here after the first epoch."
        if run.mistakes is None:
            return "No list of mistakes was kept for this epoch."
        if run.looked_at.accuracy is None:
            return f"{NO_NUMBERS}."
        return "No mistakes in this epoch: every validation image is right."

    @on(RowList.Moved, "#mistakes")
    def _cursor_moved(self, event: RowList.Moved) -> None:
        event.stop()
        self._show_radiograph()

    def _show_radiograph(self) -> None:
        view, rows = self.query_one("#radiograph", RadiographView), self.query_one("#mistakes", RowList)
        run, mistakes = self._run, self._shown
        if run is None or mistakes is None or rows.cursor is None or rows.cursor >= len(mistakes.worst):
            view.show(None)
            self.inscribe(subtitle="")
            return
        mistake, root = mistakes.worst[rows.cursor], run.data_root
        self.inscribe(subtitle=clean(shorten(harmless(mistake.path), max(8, self.size.width - 8))))
        view.show(root / mistake.path if root else None)


def _row(mistake: Mistake, names: list[str], width: int, palette: Palette) -> Row:
    def name(index: int) -> str:
        return names[index] if 0 <= index < len(names) else str(index)

    way = Text.assemble(
        (name(mistake.actual), palette.text), ("→", palette.muted), (name(mistake.predicted), palette.error)
    )
    return (
        Text(film_name(mistake.path, width), palette.text),
        way,
        Text(number(mistake.probability, 2), palette.text),
        Text(number(mistake.loss, 2), palette.muted),
    )

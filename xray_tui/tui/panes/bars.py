"""How many images of each class play each role, as bars, and how large the images are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from xray_tui.tui.text import clean, fit, shorten
from xray_tui.tui.themes import Palette
from xray_tui.words import count, harmless, percent

if TYPE_CHECKING:  # the data part is not needed for the first frame
    from xray_tui.data.checks import DataReport, RoleCount, Sizes

_MOST_NAME, _LEAST_BAR, _COUNT, _SHARE = 18, 6, 7, 8
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_CAPTION = " short side"
_ROOMY_ROWS = 38


def class_colours(classes: Sequence[str], positive: str, palette: Palette) -> dict[str, str]:
    """A colour for each class: the positive one stands out (the last by name where none is named)."""
    others = (palette.train, palette.auc, palette.frozen, palette.validation, palette.unfrozen)
    spare = [name for name in classes if name != (positive or classes[-1])]
    return dict.fromkeys(classes, palette.primary) | {
        name: others[number % len(others)] for number, name in enumerate(spare)
    }


class CountsPane(VerticalScroll, can_focus=False):
    """Images by role and class."""

    HELP = "Images by role and class; a bar is the class's share of its role. Below stands the split."

    def compose(self) -> ComposeResult:
        yield Static(id="counts")

    def on_mount(self) -> None:
        self._report: DataReport | None = None
        self._positive = self._split_note = ""
        self.border_title = "images"

    def show(self, report: "DataReport | None", positive: str, split_note: str = "") -> None:
        """
        Args:
            split_note: the split in the words of a run, which knows why; else the report's own.
        """
        self._report, self._positive, self._split_note = report, positive, split_note
        self.border_title = "images" if report is None else f"images ({count(report.files)})"
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        if self._report is not None:
            root = shorten(harmless(self._report.root), max(8, self.size.width - 8))
            self.border_subtitle = clean(root)
            self.query_one("#counts", Static).update(self._text(self._report))

    def _text(self, report: "DataReport") -> Text:
        palette, width = Palette.of(self.app), self.scrollable_content_region.width
        names = max(len(harmless(name)) for name in report.classes)
        room = max(6, width - _COUNT - _SHARE - _LEAST_BAR - 3)
        name_cells = min(names, _MOST_NAME, room)
        bar_cells = width - 2 - name_cells - 1 - _COUNT - _SHARE
        lines = []
        for number, role in enumerate(report.roles):
            if number and self.app.size.height >= _ROOMY_ROWS:
                lines.append(Text())
            lines.append(self._head(role, report.files, width, palette))
            colours = class_colours(report.classes, self._positive, palette)
            for name, images in role.classes.items():
                share = images / role.images
                line = Text("  ").append(shorten(harmless(name), name_cells).ljust(name_cells), palette.text)
                if bar_cells >= _LEAST_BAR:
                    line.append(" ").append_text(_line(share, bar_cells, colours[name], palette.hairline))
                else:
                    line.append(" " * (bar_cells + 1))
                line.append(f"{count(images):>{_COUNT}}", palette.text)
                lines.append(line.append(f"{percent(share):>{_SHARE}}", palette.muted))
        if self.app.size.height >= _ROOMY_ROWS:
            lines.append(Text())
        lines.append(Text(harmless(self._split_note or report.split_note), palette.faint, no_wrap=False))
        return Text("\n").join(lines)

    def _head(self, role: "RoleCount", files: int, width: int, palette: Palette) -> Text:
        folders = " + ".join(f"{folder}/" for folder in role.folders)
        line = Text.assemble((role.role, f"bold {palette.text}"), (f"  {folders}", palette.faint))
        line = fit(line, width - _COUNT - _SHARE)
        line.append(f"{count(role.images):>{_COUNT}}", f"bold {palette.text}")
        return line.append(f"{percent(role.images / files):>{_SHARE}}", palette.faint)


def _line(fraction: float, cells: int, colour: str, track: str) -> Text:
    """A thin bar on its track, filled to half a cell."""
    full, half = divmod(round(fraction * cells * 2), 2)
    filled = "━" * full + "╸" * half
    return Text(filled, colour).append("─" * (cells - len(filled)), track)


class SizesPane(Static):
    """The sizes of the images that can be read."""

    def on_mount(self) -> None:
        self._sizes: Sizes | None = None
        self.border_title = "sizes"

    def show(self, report: "DataReport | None") -> None:
        self._sizes = report.sizes if report else None
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        palette = Palette.of(self.app)
        if self._sizes is None:
            self.update(Text("Known when the files have been read.", palette.faint))
        else:
            self.update(self._text(self._sizes, palette))

    def _text(self, sizes: "Sizes", palette: Palette) -> Text:
        from xray_tui.data.checks import sizes_in_words  # late, as the data part is

        size, modes = sizes_in_words(sizes)
        text = Text(size, palette.text)
        text.append(f"\n{modes}", palette.muted)
        if sizes.short_to > sizes.short_from:
            text.append("\n").append_text(self._histogram(sizes, palette))
        return text

    def _histogram(self, sizes: "Sizes", palette: Palette) -> Text:
        """Images by their short side, two rows high where there is room."""
        rows = 2 if self.app.size.height >= _ROOMY_ROWS else 1
        first, last = f"{count(sizes.short_from)} ", f" {count(sizes.short_to)} px"
        bins, room = sizes.histogram, self.content_size.width - len(first) - len(last)
        if room >= len(bins) + len(_CAPTION):
            last += _CAPTION
        elif room < len(bins):
            bins = [sum(pair) for pair in zip(bins[::2], bins[1::2], strict=True)]
        most = max(bins)
        # A bin with one image is seen: it may be the one that matters.
        levels = [max(round(images / most * 8 * rows), int(images > 0)) for images in bins]
        text = Text(no_wrap=True, overflow="crop")
        for row in reversed(range(rows)):
            blocks = "".join(_EIGHTHS[min(8, max(0, level - 8 * row))] for level in levels)
            text.append(first if row == 0 else " " * len(first), palette.faint).append(blocks, palette.train)
            text.append(last if row == 0 else "\n", palette.faint)
        return text

"""What was found in the data folder; each finding opens into what it means and the files concerned."""

from collections.abc import Iterator
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from xray_tui.tui.panes.rows import Column, Row, RowList
from xray_tui.tui.text import bar, clean, shorten
from xray_tui.tui.themes import Palette
from xray_tui.words import count, harmless, percent

if TYPE_CHECKING:  # the data part is not needed for the first frame
    from xray_tui.data.checks import DataReport
    from xray_tui.data.findings import Finding, Severity

_FILES = 6
COLUMNS = (
    Column("", 1),
    Column("what was found", 32, flexible=True),
    Column("files", _FILES, right=True, rank=1),
)
_BAR = 24


class _Line(NamedTuple):
    """A row below a finding that is open, or the finding's own."""

    finding: "Finding"
    words: Text | None = None
    """``None`` in the finding's own row; of a file what stands before its name."""
    file: str = ""


class FindingsPane(Vertical):
    """The gravest first."""

    HELP = (
        "✕ spoils a run or its numbers, ! wants a look before you trust them, · is good to know. enter opens "
        "a finding: what it means, what to do, and its files, which the gallery then shows; enter on a file "
        "shows it large. {back} closes it."
    )

    class Opened(Message):
        """Another finding is open now, or none."""

        def __init__(self, finding: "Finding | None") -> None:
            super().__init__()
            self.finding = finding

    class Pointed(Message):
        """The cursor stands on a file."""

        def __init__(self, file: str) -> None:
            super().__init__()
            self.file = file

    class Chosen(Pointed):
        """The person wants to see that file."""

    def compose(self) -> ComposeResult:
        yield RowList(COLUMNS, id="findings")
        yield Static(id="no-findings")
        yield Static(id="reading")

    def on_mount(self) -> None:
        self._report: DataReport | None = None
        self._open: Finding | None = None
        self._lines: list[_Line] = []
        self.border_title = "findings"
        self.query_one("#reading").display = self.query_one("#no-findings").display = False

    @property
    def open(self) -> "Finding | None":
        """The finding that is open."""
        return self._open

    def show(self, report: "DataReport | None") -> None:
        before = self._open.title if self._open else None
        self._report = report
        findings = report.findings if report else []
        self._open = next((finding for finding in findings if finding.title == before), None)
        self._draw()

    def show_progress(self, done: int, total: int | None) -> None:
        """How many of how many files have been read; ``None`` where reading is over."""
        line, palette = self.query_one("#reading", Static), Palette.of(self.app)
        line.display = total is not None
        if total:
            cells = max(6, min(_BAR, self.content_size.width - 34))
            text = Text(f"reading {count(done)} of {count(total)}  ", palette.muted, no_wrap=True)
            text.append(bar(done / total, cells), palette.bar(palette.primary))
            line.update(text.append(f" {percent(done / total, 0):>5}", palette.text))

    def close(self) -> bool:
        """Close the open finding. Whether there was one."""
        was = self._open
        if was is not None:
            self._toggle(was)
        return was is not None

    def on_resize(self) -> None:
        self._draw()

    def _draw(self, cursor: int | None = None) -> None:
        rows, report = self.query_one("#findings", RowList), self._report
        self._lines = list(self._rows(rows.scrollable_content_region.width - 4))
        if cursor is None:
            cursor = min(rows.cursor or 0, len(self._lines) - 1)
        rows.show_rows(len(self._lines), self._row, cursor=cursor if self._lines else None)
        empty = self.query_one("#no-findings", Static)
        rows.display, empty.display = bool(self._lines), not self._lines
        if report is not None and report.complete:
            empty.update(Text("Nothing to find fault with.", Palette.of(self.app).success))
        else:
            empty.update("")
        self.border_title = f"findings ({len(report.findings)})" if report else "findings"
        self.border_subtitle = self._subtitle(report)

    def _subtitle(self, report: "DataReport | None") -> Text:
        """How many of each severity."""
        from xray_tui.data.findings import MARKS  # late, as the data part is

        text, palette = Text(), Palette.of(self.app)
        for severity, mark in MARKS.items():
            number = sum(finding.severity == severity for finding in report.findings) if report else 0
            if number:
                text.append(f" {mark} {number} ", _colour(severity, palette))
        return text

    def _rows(self, width: int) -> Iterator[_Line]:
        palette = Palette.of(self.app)
        for finding in self._report.findings if self._report else ():
            yield _Line(finding)
            if finding is not self._open:
                continue
            if len(finding.title) > width - _FILES:  # cut in its own row
                for line in wrap(harmless(finding.title), max(10, width)):
                    yield _Line(finding, Text(line, palette.text))
            for line in wrap(harmless(finding.means), max(10, width)):
                yield _Line(finding, Text(line, palette.muted))
            for number, line in enumerate(wrap(harmless(finding.advice), max(10, width - 2))):
                yield _Line(finding, Text(f"{'  ' if number else '→ '}{line}", palette.text))
            for group in finding.groups:
                indent = ""
                if group.name:
                    yield _Line(finding, clean(group.name, palette.faint))
                    indent = "  "
                for file in group.files:
                    yield _Line(finding, Text(indent), file)

    def _row(self, index: int) -> Row:
        from xray_tui.data.findings import MARKS  # late, as the data part is

        palette, line = Palette.of(self.app), self._lines[index]
        finding = line.finding
        indent = line.words
        if indent is not None and line.file:
            style, file = palette.muted, harmless(line.file)
            return (Text(), lambda cells: Text(indent.plain + shorten(file, cells - len(indent)), style))
        if indent is not None:
            return (Text(), lambda _: indent)
        files = sum(len(group.files) for group in finding.groups)
        strong = "bold " if finding is self._open else ""
        return (
            Text(MARKS[finding.severity], f"bold {_colour(finding.severity, palette)}"),
            clean(finding.title, strong + palette.text),
            Text(count(files) if files else "", palette.muted),
        )

    @on(RowList.Chosen, "#findings")
    def _chosen(self, event: RowList.Chosen) -> None:
        event.stop()
        line = self._lines[event.index]
        if line.file:
            self.post_message(self.Chosen(line.file))
        elif line.words is None:
            self._toggle(line.finding)

    @on(RowList.Moved, "#findings")
    def _moved(self, event: RowList.Moved) -> None:
        event.stop()
        if event.index < len(self._lines) and self._lines[event.index].file:
            self.post_message(self.Pointed(self._lines[event.index].file))

    def _toggle(self, finding: "Finding") -> None:
        self._open = None if finding is self._open else finding
        assert self._report is not None
        at = self._report.findings.index(finding)  # those above it are closed now, or it was the open one
        self._draw(cursor=at)
        self.post_message(self.Opened(self._open))


def _colour(severity: "Severity", palette: Palette) -> str:
    return {"spoils": palette.error, "look": palette.warning, "note": palette.muted}[severity]

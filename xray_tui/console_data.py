"""A checked data folder without a screen: progress on standard error, the report on standard output."""

from collections.abc import Iterator

from rich.console import Console
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from xray_tui.data.checks import DataReport, RoleCount, sizes_in_words
from xray_tui.data.fetching import Listener
from xray_tui.data.findings import MARKS, Finding, Severity
from xray_tui.json_text import json_text
from xray_tui.printing import results_console
from xray_tui.words import bytes_in_words, count, harmless, percent

_STYLES: dict[Severity, str] = {"spoils": "bold red", "look": "bold yellow", "note": "bold"}
_BAR = 24
_MOST_GROUPS = 3
_MOST_FILES = 2


class CheckProgress:
    """How many files are done; silent where nobody watches."""

    def __init__(self, what: str = "reading") -> None:
        talk = Console(stderr=True)
        self._bar = Progress(
            TextColumn(what),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=talk,
            transient=True,
            disable=not talk.is_terminal,
        )
        self._task = self._bar.add_task(what, total=None, visible=False)

    def __enter__(self) -> "CheckProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total, visible=True)


class FetchProgress(Listener):
    """How far a download is, how fast, and how long it takes yet; where nobody watches, trouble alone."""

    def __init__(self, name: str) -> None:
        talk = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=talk,
            transient=True,
            disable=not talk.is_terminal,
        )
        self._task = self._bar.add_task(name, start=False, total=None)
        self._begun = False

    def __enter__(self) -> "FetchProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def progress(self, done: int, total: int | None) -> None:
        if self._begun:
            self._bar.update(self._task, completed=done, total=total)
        else:  # what was there before counts for no rate
            self._bar.reset(self._task, completed=done, total=total)
            self._begun = True

    def say(self, words: str) -> None:
        self._begun = False
        self._bar.console.print(Text(harmless(words)), soft_wrap=True)


def print_json(report: DataReport) -> None:
    """The whole report as one JSON object."""
    print(json_text(report, indent=2))


def print_report(report: DataReport) -> None:
    """The report for a person; where no terminal sets a width, as wide as file names need."""
    out = results_console()
    out.print(Text(harmless(report.root), "bold"), soft_wrap=True)
    out.print(Text(harmless(f"{count(report.files)} images; split {report.split_note}")))
    out.print()
    out.print(_counts(report.roles))
    out.print()
    if report.sizes is not None:
        for line in sizes_in_words(report.sizes):
            out.print(Text(line))
        out.print()
    for finding in report.findings:
        mark, style = MARKS[finding.severity], _STYLES[finding.severity]
        out.print(Text(f"{mark} {harmless(finding.title)}", style))
        words = f"{harmless(finding.means)}\n{harmless(finding.advice)}"
        out.print(Padding(Text(words), (0, 0, 0, 2), expand=False))
        for line in _groups(finding):
            out.print(
                Padding(Text(line, "dim", no_wrap=True, overflow="ellipsis"), (0, 0, 0, 2), expand=False)
            )
        out.print()
    if not report.findings:
        out.print("Nothing to find fault with.")
        out.print()
    if report.cache is not None:
        kept = report.cache
        words = (
            f"{bytes_in_words(kept.bytes)}, of which {bytes_in_words(kept.of_this_data)} are this folder's"
        )
        out.print(
            Text(harmless(f"decoded pixels in {kept.folder}: {words if kept.bytes else 'none yet'}"), "dim")
        )


def _counts(roles: list[RoleCount]) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("role")
    table.add_column("class")
    table.add_column("images", justify="right")
    table.add_column("share", justify="right")
    table.add_column("")
    for role in roles:
        folders = " + ".join(f"{folder}/" for folder in role.folders)
        table.add_row(Text(f"{role.role} ({folders})"), Text("all"), count(role.images), "", "")
        for name, images in role.classes.items():
            share = images / role.images
            bar = "█" * round(share * _BAR)
            table.add_row("", Text(harmless(name)), count(images), percent(share), Text(bar, "dim"))
    return table


def _groups(finding: Finding) -> Iterator[str]:
    for group in finding.groups[:_MOST_GROUPS]:
        names = ", ".join(harmless(file) for file in group.files[:_MOST_FILES])
        if len(group.files) > _MOST_FILES:
            names += f" and {count(len(group.files) - _MOST_FILES)} more"
        yield f"{harmless(group.name)}: {names}" if group.name else names
    if len(finding.groups) > _MOST_GROUPS:
        yield f"and {count(len(finding.groups) - _MOST_GROUPS)} more like these (--json names all)"

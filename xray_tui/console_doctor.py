"""What the doctor found, on standard output; what it is about, on standard error."""

from collections.abc import Iterable

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from xray_tui.doctor.checks import MARKS, Check, Placed, Verdict, worst
from xray_tui.drawing.ascii import in_ascii
from xray_tui.json_text import json_text
from xray_tui.printing import results_console
from xray_tui.words import harmless

_STYLES: dict[Verdict, str] = {
    "ok": "green",
    "note": "dim",
    "warning": "bold yellow",
    "problem": "bold red",
}
_NAME_WIDTH = 15
_VERDICTS: dict[Verdict, str] = {
    "ok": "All is well.",
    "note": "All is well.",
    "warning": "It works here; look at the lines with !",
    "problem": "It cannot work like this: mend the lines with ✕",
}


class DoctorPrinter:
    """Prints each check as it comes; where a section takes seconds, a line says so meanwhile.

    Args:
        ascii_only: draw without unicode.
    """

    def __init__(self, *, ascii_only: bool) -> None:
        # Where no terminal sets a width, as wide as paths need.
        self._out = results_console()
        self._ascii_only = ascii_only
        self._section = ""
        self._waiting: Status | None = None

    def __enter__(self) -> "DoctorPrinter":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_waiting()

    def wait_for(self, section: str) -> None:
        """To be called before a section that takes seconds."""
        self._stop_waiting()
        talk = Console(stderr=True)
        if talk.is_terminal:
            spinner = "line" if self._ascii_only else "dots"
            self._waiting = talk.status(f"{section} ...", spinner=spinner)
            self._waiting.start()

    def print(self, placed: Placed) -> None:
        waiting = self._waiting
        if waiting is not None:
            waiting.stop()
        if placed.section != self._section:
            if self._section:
                self._out.print()
            self._section = placed.section
            self._out.print(Text(placed.section, "bold"))
        self._out.print(self._row(placed.check))
        if waiting is not None:
            waiting.start()

    def print_end(self, checks: Iterable[Check]) -> None:
        self._stop_waiting()
        verdict = worst(checks)
        self._out.print()
        self._out.print(self._text(_VERDICTS[verdict], _STYLES[verdict] if verdict != "note" else "green"))

    def _row(self, check: Check) -> Table:
        row = Table.grid(padding=(0, 1), pad_edge=False)
        row.add_column(width=1)
        row.add_column(width=_NAME_WIDTH, no_wrap=True, overflow="ellipsis")
        row.add_column(overflow="fold")
        style = _STYLES[check.verdict]
        row.add_row(
            self._text(MARKS[check.verdict], style),
            self._text(check.name),
            self._text(check.found, style if check.verdict in ("warning", "problem") else ""),
        )
        if check.remedy:
            row.add_row("", "", self._text(f"→ {check.remedy}"))
        return row

    def _text(self, words: str, style: str = "") -> Text:
        words = harmless(words)
        return Text(in_ascii(words) if self._ascii_only else words, style)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.stop()
            self._waiting = None


def print_json(placed: Iterable[Placed]) -> None:
    """All checks as one JSON object, by section."""
    found = list(placed)
    sections: dict[str, list[Check]] = {}
    for section, check in found:
        sections.setdefault(section, []).append(check)
    tree = {"verdict": worst(check for _, check in found), "sections": sections}
    print(json_text(tree, indent=2))

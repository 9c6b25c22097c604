"""The terminal: what the dashboard can draw in it, by the same tests that the dashboard makes."""

import locale
import os
import shutil
import sys
from collections.abc import Iterator

from rich.console import Console

from xray_tui.doctor.checks import Check
from xray_tui.drawing.ascii import wants_ascii
from xray_tui.tui.pictures import probed_protocol
from xray_tui.words import harmless

_WIDE = 120
"""Columns from which on panes stand side by side."""
_SMALLEST = (40, 12)
_COLOURS = {None: "none", "standard": "16", "256": "256", "truecolor": "16.7 million", "windows": "16"}


def terminal() -> Iterator[Check]:
    """Must be called before anything reads the keyboard: a terminal is asked what it can show."""
    if not all(stream and stream.isatty() for stream in (sys.__stdin__, sys.__stdout__)):
        yield Check(
            "terminal",
            "note",
            "none: standard input or output is no terminal",
            "the dashboard needs one; `xray-tui train` does not",
        )
    else:
        yield _kind()
        yield _size()
        yield _colours()
    yield _characters()
    yield _pictures()


def _kind() -> Check:
    name = harmless(os.environ.get("TERM", ""))
    if name in ("", "dumb", "unknown"):
        return Check(
            "terminal", "warning", f"TERM={name}: it draws nothing", "such as: export TERM=xterm-256color"
        )
    around = {"TMUX": "tmux", "STY": "screen", "SSH_CONNECTION": "SSH"}
    through = [words for variable, words in around.items() if os.environ.get(variable)]
    program = harmless(os.environ.get("TERM_PROGRAM", ""))
    words = f"{program}, TERM={name}" if program and program not in through else f"TERM={name}"
    return Check("terminal", "ok", f"{words}, through {' and '.join(through)}" if through else words)


def _size() -> Check:
    columns, rows = shutil.get_terminal_size()
    words = f"{columns} columns × {rows} rows"
    if columns < _SMALLEST[0] or rows < _SMALLEST[1]:
        least = f"from {_SMALLEST[0]} × {_SMALLEST[1]} on the dashboard has room"
        return Check("size", "warning", words, f"make it larger, or its font smaller: {least}")
    if columns < _WIDE:
        return Check(
            "size", "note", f"{words}: panes take turns; from {_WIDE} columns on they share the screen"
        )
    return Check("size", "ok", words)


def _colours() -> Check:
    if os.environ.get("NO_COLOR"):
        return Check("colours", "note", "none, as NO_COLOR asks", "unset NO_COLOR to have them")
    system = Console().color_system
    words = _COLOURS[system]
    if system == "truecolor":
        return Check("colours", "ok", words)
    remedy = "where the terminal has more: export COLORTERM=truecolor"
    return Check("colours", "note" if system == "256" else "warning", words, remedy)


def _characters() -> Check:
    named = next(
        (f"{name}={value}" for name in ("LC_ALL", "LC_CTYPE", "LANG") if (value := os.environ.get(name))), ""
    )
    where = harmless(named) or "no locale is set"
    encoding = (sys.__stdout__.encoding if sys.__stdout__ else None) or locale.getpreferredencoding(False)
    if wants_ascii():
        return Check(
            "characters",
            "note",
            f"ASCII alone is drawn ({where}, {encoding})",
            "where the terminal has unicode: export LC_ALL=C.UTF-8",
        )
    return Check("characters", "ok", f"unicode ({where}, {encoding})")


def _pictures() -> Check:
    protocol = probed_protocol()
    if protocol is not None:
        return Check("pictures", "ok", f"as pixels, by {protocol}")
    remedy = "kitty, WezTerm, foot, iTerm2, Konsole and others have pixels"
    if os.environ.get("TMUX"):
        remedy += "; tmux may keep them back"
    return Check("pictures", "note", "as half blocks, two pixels a character", remedy)

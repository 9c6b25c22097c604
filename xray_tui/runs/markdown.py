"""Markdown, as reports and comparisons have it."""

import re
from collections.abc import Iterable, Sequence

from xray_tui.words import harmless

# Before these goes a backslash. An underscore within a word, and what is no character reference, is left as
# it is: names stay as they are written.
_ACTING = re.compile(
    r"(?=[\\`*<\[~])|(?<![^\W_])(?=_)|(?=_(?![^\W_]))|(?=&#?\w+;)|(?<!\S)(?=#)"
    r"|^(?=[-+=>:|])|(^\d+)(?=[.)](?:\s|$))"
)


def plain(text: str) -> str:
    """Text that is only text in Markdown and in a terminal, wherever in a line it stands."""
    return _ACTING.sub(r"\1\\", harmless(text).lstrip())


def code(text: str) -> str:
    """The same as code, in backticks: as many as the text has none of."""
    text = harmless(text) or " "
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if text.strip("` ") != text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = ()) -> list[str]:
    """Lines of a table, an empty one at its end; cells are Markdown already, but for their pipes.

    Args:
        numbers: columns that are set to the right.
    """
    right = set(numbers)
    rule = "".join("|--:" if column in right else "|---" for column in range(len(header)))
    return [_row(header), f"{rule}|", *map(_row, rows), ""]


def _row(cells: Sequence[str]) -> str:
    # Even within code a pipe would end the cell.
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"

"""Markdown, as reports and comparisons have it."""

from collections.abc import Iterable, Sequence

from xray_tui.words import harmless


def plain(text: str) -> str:
    """Text that is only text in Markdown and in a terminal: control characters shown, pipes escaped."""
    return harmless(text).replace("|", "\\|").replace("`", "'")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = ()) -> list[str]:
    """Lines of a table, an empty one at its end; cells are Markdown already.

    Args:
        numbers: columns that are set to the right.
    """
    right = set(numbers)
    rule = "".join("|--:" if column in right else "|---" for column in range(len(header)))
    return [f"| {' | '.join(header)} |", f"{rule}|", *(f"| {' | '.join(row)} |" for row in rows), ""]

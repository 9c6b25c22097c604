"""Where tables of results are printed."""

import sys
from typing import Any

from rich.console import Console

FILE_WIDTH = 160
"""Of what no terminal shows: a file, or another program."""


def results_console(file_width: int = FILE_WIDTH, **named: Any) -> Console:
    """On standard output: as wide as the terminal is.

    Args:
        file_width: in cells, where there is none; whoever reads a file can scroll.
        named: more for rich's Console.
    """
    return Console(highlight=False, width=None if sys.stdout.isatty() else file_width, **named)

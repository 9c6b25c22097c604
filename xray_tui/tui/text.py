"""Words as the screen's text: never read as markup, cut to fit."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from xray_tui.words import harmless

_EIGHTHS = " ▏▎▍▌▋▊▉"
_SHORT_CELLS = 3


def clean(words: str, style: str = "") -> Text:
    """Words from outside (a file name, a class, a message) as text: never read as markup."""
    return Text(harmless(words), style=style, no_wrap=True, end="")


def fit(text: Text, cells: int, *, right: bool = False) -> Text:
    """A copy exactly that many cells wide: cut with an ellipsis, or padded."""
    fitted = text.copy()
    if fitted.cell_len > cells:
        fitted.truncate(max(0, cells), overflow="ellipsis" if cells > 0 else "crop")
    missing = cells - fitted.cell_len
    if missing > 0:
        if right:
            fitted.pad_left(missing)
        else:
            fitted.pad_right(missing)
    return fitted


def set_in(text: Text, base: Style, console: Console) -> list[Segment]:
    """A line of text as segments on a ground: what rich makes of it, several times as fast where no two
    styles lie over each other."""
    words, own = text.plain, base + console.get_style(text.style)
    segments, at = [], 0
    for start, end, style in text.spans:
        if start < at:
            return list(Segment.apply_style(text.render(console), base))
        if start > at:
            segments.append(Segment(words[at:start], own))
        if end > start:
            segments.append(Segment(words[start:end], own + console.get_style(style)))
        at = end
    if at < len(words):
        segments.append(Segment(words[at:], own))
    return segments


def shorten(words: str, cells: int) -> str:
    """Words cut in their middle, where file names differ least."""
    if cell_len(words) <= cells:
        return words
    if cells < 5:
        return fit(Text(words), cells).plain
    tail = (cells - 1) // 2
    return f"{beginning(words, cells - 1 - tail)}…{ending(words, tail)}"


def beginning(words: str, cells: int) -> str:
    """As much of the beginning of words as fits."""
    ends = range(min(len(words), cells), 0, -1)
    return next((words[:end] for end in ends if cell_len(words[:end]) <= cells), "")


def ending(words: str, cells: int) -> str:
    """As much of the end of words as fits."""
    starts = range(max(0, len(words) - cells), len(words) + 1)
    return next((words[start:] for start in starts if cell_len(words[start:]) <= cells), "")


def film_name(path: str, cells: int) -> str:
    """The name of a radiograph, cut at its beginning: those of one folder differ towards the end."""
    name = harmless(PurePosixPath(path).stem)
    return name if cell_len(name) <= cells else f"…{ending(name, cells - 1)}"


def short_names(classes: Sequence[str]) -> list[str]:
    """Class names as short as they can be without two being the same: of three cells at most, which two
    letters and a number take where names differ later."""
    names = [harmless(name) for name in classes]
    for cells in range(1, _SHORT_CELLS + 1):
        short = [beginning(name, cells) for name in names]
        if all(short) and len(set(short)) == len(short):
            return short
    return [f"{beginning(name, _SHORT_CELLS - len(str(at)))}{at}" for at, name in enumerate(names)]


def bar(fraction: float, cells: int) -> str:
    """A bar that many cells long, filled to an eighth of a cell."""
    eighths = round(min(1.0, max(0.0, fraction)) * cells * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(cells)

"""Words as the screen's text: never read as markup, cut to fit."""

from collections.abc import Collection, Sequence, Set
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
    return _without_middle(words, cells, (cells - 1) // 2)


def _without_middle(words: str, cells: int, tail: int) -> str:
    """
    Args:
        tail: cells that are kept of their end.
    """
    if cell_len(words) <= cells:
        return words
    if cells < 5:
        return fit(Text(words), cells).plain
    return f"{beginning(words, cells - 1 - tail)}…{ending(words, tail)}"


def shorten_all(names: Sequence[str], cells: int) -> list[str]:
    """The names of a list, each cut in its middle, or where all are alike: so they stay apart."""
    different = set(names)
    if len(different) < 2:
        return [shorten(name, cells) for name in names]
    alike = [_alike(different, words=True), _alike(different, words=False)]
    return [
        next(filter(None, (_cut_where_alike(name, cells, *ends) for ends in alike)), shorten(name, cells))
        for name in names
    ]


def _alike(names: Set[str], *, words: bool) -> tuple[int, int]:
    """How many characters all names begin with, and end with; at least one of each is left between them.

    Args:
        words: whole words alone.
    """
    head = _begin_alike(names)
    rest = [name[head:] for name in names]
    tail = _begin_alike([name[::-1] for name in rest])
    name = next(iter(names))
    if words:
        head = next((end for end in range(head, 0, -1) if not name[end - 1].isalnum()), 0)
        tail = next((size for size in range(tail, 0, -1) if not name[len(name) - size].isalnum()), 0)
    return head, tail


def _begin_alike(names: Collection[str]) -> int:
    """How many characters all names begin with, less than any of them has."""
    most = max(0, min(map(len, names)) - 1)
    columns = enumerate(zip(*names, strict=False))
    return min(most, next((at for at, characters in columns if len(set(characters)) > 1), most))


def _cut_where_alike(name: str, cells: int, head: int, tail: int) -> str:
    """The name cut so that what lies between its head and its tail is seen; empty where that is too long."""
    end, half = len(name) - tail, (cells - 1) // 2
    begin_cells, end_cells = cell_len(name[:end]), cell_len(name[head:])
    if cell_len(name) <= cells or begin_cells < cells - half or end_cells <= half:
        return shorten(name, cells)
    if begin_cells < cells:
        return _without_middle(name, cells, cells - 1 - begin_cells)
    if end_cells < cells:
        return _without_middle(name, cells, end_cells)
    return f"…{beginning(name[head:], cells - 2)}…" if cell_len(name[head:end]) <= cells - 2 else ""


def beginning(words: str, cells: int) -> str:
    """As much of the beginning of words as fits."""
    ends = range(min(len(words), cells), 0, -1)
    return next((words[:end] for end in ends if cell_len(words[:end]) <= cells), "")


def ending(words: str, cells: int) -> str:
    """As much of the end of words as fits."""
    starts = range(max(0, len(words) - cells), len(words) + 1)
    return next((words[start:] for start in starts if cell_len(words[start:]) <= cells), "")


def film_name(path: str, cells: int) -> str:
    """The name of a radiograph; of one that is cut most of its beginning is left, where the patient is.

    Of one that begins with its folder's name, which is its class, the end is left: others begin so too.
    """
    file = PurePosixPath(path)
    stem, folder = file.stem, file.parent.name
    tail = cells - 1 if folder and stem.startswith(folder) else (cells - 1) // 3
    return _without_middle(harmless(stem), cells, tail)


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

"""Numbers and foreign words, made fit for the screen."""

from rich.cells import cell_len
from rich.text import Text

ABSENT = "–"

_EIGHTHS = " ▏▎▍▌▋▊▉"
# Characters that steer a terminal or reorder what stands around them.
_INVISIBLE = {
    *range(0x7F, 0xA0),
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x206A),
    0xFEFF,
}


def harmless(words: str) -> str:
    """The words on one line, with nothing in them that a terminal would obey.

    Control characters become their pictures (ESC becomes ␛); what was no text, like the bytes of a
    file name in another encoding, becomes the replacement character.
    """
    shown = []
    for character in words:
        code = ord(character)
        if code < 0x20:
            shown.append(chr(0x2400 + code))
        elif code in _INVISIBLE or 0xD800 <= code <= 0xDFFF:
            shown.append("\ufffd")
        else:
            shown.append(character)
    return "".join(shown)


def clean(words: str, style: str = "") -> Text:
    """Words from outside (a file name, a class, a message) as text: never read as markup."""
    return Text(harmless(words), style=style, no_wrap=True, end="")


def fit(text: Text, cells: int, *, right: bool = False) -> Text:
    """A copy exactly that many cells wide: cut with an ellipsis, or padded."""
    fitted = text.copy()
    if fitted.cell_len > cells:
        fitted.truncate(max(0, cells), overflow="ellipsis")
    missing = cells - fitted.cell_len
    if missing > 0:
        if right:
            fitted.pad_left(missing)
        else:
            fitted.pad_right(missing)
    return fitted


def shorten(words: str, cells: int) -> str:
    """Words cut in their middle, where file names differ least."""
    if cell_len(words) <= cells:
        return words
    if cells < 5:
        return fit(Text(words), cells).plain
    tail = (cells - 1) // 2
    return f"{words[: cells - 1 - tail]}…{words[-tail:]}"


def percent(fraction: float | None, digits: int = 1) -> str:
    return ABSENT if fraction is None else f"{100 * fraction:.{digits}f} %"


def number(value: float | None, digits: int = 3) -> str:
    return ABSENT if value is None else f"{value:.{digits}f}"


def count(value: int) -> str:
    return f"{value:,}"


def duration(seconds: float | None) -> str:
    """``00:41``, and from an hour on ``1:02:03``."""
    if seconds is None:
        return ABSENT
    whole = max(0, int(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def bytes_in_words(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in ("B", "kB", "MB") else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def millions(value: int) -> str:
    return f"{value / 1e6:.1f}"


def bar(fraction: float, cells: int) -> str:
    """A bar that many cells long, filled to an eighth of a cell."""
    eighths = round(min(1.0, max(0.0, fraction)) * cells * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(cells)

"""Numbers and foreign words, made fit to be read: the same on a screen, in a report, in a log."""

import unicodedata
from collections.abc import Sequence
from decimal import Decimal

ABSENT = "–"
SELECTED_ON_TEST = "selected on test"
"""Of numbers whose epoch was chosen on the very images that they are of: they are optimistic."""

_PLAIN = 1e-6
"""A smaller probability would be mostly zeros, and is written with an exponent."""

# Characters that steer a terminal, reorder what stands around them, or are not seen: controls, formats (of
# which many turn the direction of writing), halves of characters, separators of lines and paragraphs.
_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def harmless(words: str) -> str:
    """The words on one line, with nothing in them that a terminal would obey.

    Control characters become their pictures (ESC becomes ␛); what was no text, like the bytes of a
    file name in another encoding, becomes the replacement character.
    """
    if words.isprintable():
        return words
    shown = []
    for character in words:
        code = ord(character)
        if code < 0x20:
            shown.append(chr(0x2400 + code))
        elif unicodedata.category(character) in _STEERING:
            shown.append("\ufffd")
        else:
            shown.append(character)
    return "".join(shown)


def brief(words: str, longest: int = 200) -> str:
    """The beginning of foreign words, harmless: so many characters and an ellipsis."""
    return harmless(words if len(words) <= longest else f"{words[:longest]}…")


def is_text(words: str) -> bool:
    """Whether it can be kept as UTF-8: a file name from a command line can be any bytes."""
    try:
        words.encode()
    except UnicodeEncodeError:
        return False
    return True


def percent(fraction: float | None, digits: int = 1) -> str:
    return ABSENT if fraction is None else f"{100 * fraction:.{digits}f} %"


def number(value: float | None, digits: int = 3) -> str:
    return ABSENT if value is None else f"{value:.{digits}f}"


def probability(value: float, digits: int = 4) -> str:
    """A threshold as it can be read and used again: ``0.50``, ``0.3829``, ``0.00008979``, ``0.99999``.

    Args:
        digits: that count, the least number of them; as many more as tell it from 1.
    """
    while value < 1 and float(f"{value:.{digits}g}") == 1:
        digits += 1
    words = f"{value:.{digits}g}"
    if 0 < value < _PLAIN:
        return words
    whole, _, rest = f"{Decimal(words):f}".partition(".")
    return f"{whole}.{rest:0<2}"


def count(value: int) -> str:
    return f"{value:,}"


def positive_of(name: str, classes: Sequence[str]) -> str:
    """``normal (the last by name)``: who reads a sensitivity takes it for that of the finding."""
    return f"{name} (the last by name)" if name == classes[-1] else name


def looked_at(times: int | None, what: str = "test") -> str:
    """``test looked at 3 times``.

    Args:
        times: by how many runs, this one included; ``None`` where it was not counted.
    """
    if times is None:
        return f"nobody counted who looked at {what}"
    return f"{what} looked at once" if times == 1 else f"{what} looked at {count(times)} times"


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

"""Words in ASCII alone: every other character gives way to a stand-in as wide as itself."""

import os
import sys
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from rich.cells import cell_len

_STAND_INS = {
    # Signs
    **dict.fromkeys("★☆✦", "*"),
    **dict.fromkeys("○•◌", "o"),
    **dict.fromkeys("●◉", "@"),
    **dict.fromkeys("▸▶►→›»", ">"),
    **dict.fromkeys("◂◀◄←‹«⌫", "<"),
    **dict.fromkeys("▴▲↑", "^"),
    **dict.fromkeys("▾▼↓", "v"),
    **dict.fromkeys("✕✖✗✘×", "x"),
    **dict.fromkeys("✓✔", "v"),
    **dict.fromkeys("■◆▪", "#"),
    **dict.fromkeys("□◇▫", "_"),
    **dict.fromkeys("·∙⋅", "."),
    **dict.fromkeys("–—‐‑−▬⎯", "-"),
    **dict.fromkeys("…≈∞", "~"),
    **dict.fromkeys("‘’‚′", "'"),
    **dict.fromkeys("“”„″", '"'),
    **dict(zip("ŁłØøÆæĐđŒœ", "LlOoAaDdOo", strict=True)),
    "ß": "s",
    "÷": "/",
    "≥": ">",
    "≤": "<",
    "≠": "!",
    "±": "+",
    "°": "o",
    "µ": "u",
    "‖": "=",
    "\N{LEFT-POINTING MAGNIFYING GLASS}": "/ ",
    "\N{RIGHT-POINTING MAGNIFYING GLASS}": "/ ",
    # Blocks: bars, sparklines, scroll bars, edges
    **dict.fromkeys("█▀", "#"),
    **dict.fromkeys("▉▊▋", "="),
    **dict.fromkeys("▌▍▎", "-"),
    "▏": "|",
    "▕": "|",
    "▐": "|",
    **dict.fromkeys("▁", "_"),
    "▂": ".",
    "▃": "-",
    "▄": "=",
    "▅": "+",
    "▆": "*",
    "▇": "%",
    "▔": "-",
    "░": ".",
    "▒": ":",
    "▓": "%",
    # Lines, where they are no corners
    **dict.fromkeys("─╌┄╴╶╼╾", "-"),
    **dict.fromkeys("┈⋯", "."),
    **dict.fromkeys("━═╍┅╸╺┉", "="),
    **dict.fromkeys("│┃║╎╏┆┇╵╷╹╻╽╿", "|"),
    **dict.fromkeys("┊┋", ":"),
    "╱": "/",
    "╲": "\\",
    "╳": "x",
}
_WITH_ITS_BLANK = {"≥ ": ">=", "≤ ": "<=", "≠ ": "!="}
"""Signs whose own cell is too narrow for what they mean: the blank behind them gives way."""
_BRAILLE, _LINES = range(0x2800, 0x2900), range(0x2500, 0x2580)
_LEFT_DOTS, _RIGHT_DOTS = (0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80)
"""A braille cell's dots from top to bottom."""
_CONTROL_PICTURES = range(0x2400, 0x2440)


def in_ascii(words: str) -> str:
    """The words in ASCII, in as many cells."""
    if words.isascii():
        return words
    for sign, plain in _WITH_ITS_BLANK.items():
        words = words.replace(sign, plain)
    plain, cells = "".join(map(stand_in, words)), cell_len(words)
    return plain if len(plain) == cells else plain[:cells].ljust(cells)  # signs that are drawn as one


@lru_cache(maxsize=4096)
def stand_in(character: str) -> str:
    """ASCII for one character, as many as it has cells."""
    if character.isascii():
        return character
    cells, code = cell_len(character), ord(character)
    if character in _STAND_INS:
        plain = _STAND_INS[character]
    elif code in _BRAILLE:
        plain = _dots_in_ascii(code)
    elif code in _LINES:
        plain = "+"
    elif code in _CONTROL_PICTURES:
        plain = "?"
    else:
        plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain[:cells].ljust(cells, plain[-1:] if plain.strip() else "?")


def _dots_in_ascii(code: int) -> str:
    """A braille cell as the sign that lies like its dots: so a curve keeps its slope and its height."""
    left, right = (
        [row for row, dot in enumerate(column) if code & dot] for column in (_LEFT_DOTS, _RIGHT_DOTS)
    )
    rows = (*left, *right)
    if not rows:
        return " "
    if left and right:
        rise = sum(left) / len(left) - sum(right) / len(right)
        if abs(rise) >= 1:
            return "/" if rise > 0 else "\\"
    elif max(rows) - min(rows) >= 2:
        return "|"
    if max(rows) - min(rows) == 3:
        return "|"
    height, pair = sum(rows) / len(rows), bool(left and right)
    if height < 0.75:
        return '"' if pair else "'"
    if height > 2.25:
        return "_" if pair else "."
    return "-"


def wants_ascii(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal cannot be trusted with unicode, as far as its locale and its name tell."""
    locale = next((environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(name)), "")
    if locale and "utf" not in locale.lower():
        return True
    if environment.get("TERM") == "linux":  # the console's own font has no braille
        return True
    streams = (sys.__stdout__, sys.__stderr__)
    return any(stream is not None and "utf" not in (stream.encoding or "utf").lower() for stream in streams)

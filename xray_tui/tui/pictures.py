"""How this terminal shows a picture. Imports no imaging library: the first frame does not wait for one."""

import os
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from textual.widget import Widget

if TYPE_CHECKING:
    from PIL import Image

PictureClass = Callable[[], Widget]
"""Makes a widget that shows an image."""

_PATIENCE_SECONDS = 0.1
"""A terminal answers in a few milliseconds, over a slow line in some more."""
_GRAPHICS = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
_ATTRIBUTES = b"\x1b[c"
"""Every terminal answers this one; what answers the question before it has answered by then."""
_SIXEL = "4"
_CELL_PX = (10, 20)


def half_block_picture() -> PictureClass:
    """Half blocks, whatever the terminal can."""

    def make() -> Widget:
        from xray_tui.tui.panes.halfblocks import HalfBlocks

        return HalfBlocks()

    return make


def probed_picture() -> PictureClass:
    """The best image widget of this terminal. To be called before the app has taken the terminal over."""
    if probed_protocol() is None:
        return half_block_picture()
    from textual_image._terminal import get_cell_size
    from textual_image.widget import Image as BestWidget

    get_cell_size()  # asks once and remembers: asked under the app, it would wait for ever
    return BestWidget


def probed_protocol() -> str | None:
    """How this terminal shows pixels; ``None`` where it shows none. To be called when the above is."""
    if sys.platform != "win32" and not _has_pixels():
        return None
    # Imported now, for textual-image asks the terminal again when it is imported.
    from textual_image.renderable import Image as Best
    from textual_image.renderable import SixelImage, TGPImage

    names: dict[type, str] = {TGPImage: "kitty's graphics protocol", SixelImage: "sixels"}
    return names.get(Best)


def cell_size() -> tuple[int, int]:
    """Width and height of a cell in pixels, as the window tells; 10 and 20 where it does not.

    Never asks the terminal itself: the app reads what that answers, and whoever asked waits for ever.
    """
    if sys.platform != "win32" and sys.__stdout__ is not None:
        import fcntl
        import struct
        import termios

        try:
            told = fcntl.ioctl(sys.__stdout__.fileno(), termios.TIOCGWINSZ, bytes(8))
        except (OSError, ValueError):  # no terminal, or closed
            return _CELL_PX
        rows, columns, width, height = struct.unpack("HHHH", told)
        if rows and columns and width >= columns and height >= rows:
            return width // columns, height // rows
    return _CELL_PX


def read_radiograph(path: Path) -> "Image.Image":
    """Decode a radiograph for display. Runs in a thread."""
    from xray_tui.tui.panes.picture import read_radiograph as read

    return read(path)


def _has_pixels() -> bool:
    """Whether the terminal answers that it knows kitty's graphics or sixels."""
    if not (sys.__stdin__ and sys.__stdout__ and sys.__stdin__.isatty() and sys.__stdout__.isatty()):
        return False
    import termios
    import tty

    keyboard, screen = sys.__stdin__.fileno(), sys.__stdout__.fileno()
    before = termios.tcgetattr(keyboard)
    try:
        tty.setcbreak(keyboard, termios.TCSANOW)
        os.write(screen, _GRAPHICS + _ATTRIBUTES)
        answer = _read_answer(keyboard)
    except (OSError, termios.error):  # no terminal after all
        return False
    finally:
        termios.tcsetattr(keyboard, termios.TCSANOW, before)
    attributes = answer.rpartition("\x1b[?")[2].removesuffix("c").split(";")
    return ";OK" in answer or _SIXEL in attributes


def _read_answer(keyboard: int) -> str:
    """What comes until the terminal has told its attributes, or its time is over."""
    answer, until = "", time.monotonic() + _PATIENCE_SECONDS
    while not ("\x1b[?" in answer and answer.endswith("c")):
        left = until - time.monotonic()
        if left <= 0 or not select.select([keyboard], [], [], left)[0]:
            break
        answer += os.read(keyboard, 256).decode("ascii", "replace")
    return answer

"""What a run's weights look at in images, as pictures in a folder."""

import io
import re
from pathlib import Path

from PIL import Image

from xray_tui.data.decoding import decode
from xray_tui.data.unreadable import Unreadable
from xray_tui.errors import UserError
from xray_tui.files import replace_bytes
from xray_tui.heat import Overlay, lay_over
from xray_tui.trained import Prediction, Trained, explain

_SIDE_PX = 1024
"""Of a picture, at most."""
_LONGEST_STEM = 50
"""Characters; each may take four of the 255 bytes of a file's name."""


class Overlays:
    """
    Args:
        folder: made where there is none; what lies there under the same names is replaced.

    Raises:
        UserError: it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: set[str] = set()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot make the folder {folder}: {error.strerror}", "see --explain") from None

    def draw(self, trained: Trained, prediction: Prediction) -> Path | None:
        """Write the Grad-CAM of the class that was called, over the radiograph.

        Returns:
            The file; ``None`` where the image was not read, or cannot be any more.

        Raises:
            UserError: the folder cannot be written.
        """
        if prediction.predicted is None:
            return None
        try:
            found = explain(trained, prediction.path, prediction.predicted)
            film = Image.fromarray(decode(prediction.path, _SIDE_PX))
        except Unreadable:
            return None
        film.thumbnail((_SIDE_PX, _SIDE_PX))
        png = io.BytesIO()
        lay_over(film, Overlay(found.heat, found.box)).save(png, "PNG")
        file = self._folder / self._name(prediction.path)
        try:
            replace_bytes(file, png.getvalue())
        except OSError as error:
            raise UserError(f"cannot write {file}: {error.strerror}", "see --explain") from None
        return file

    def _name(self, path: Path) -> str:
        """After the image's, of letters, digits, dots and dashes alone; another one for every image."""
        stem = re.sub(r"[^\w.-]+", "_", path.stem).strip("._-")[:_LONGEST_STEM] or "image"
        name, number = stem, 1
        while name.casefold() in self._names:  # some file systems take capitals for small letters
            number += 1
            name = f"{stem}-{number}"
        self._names.add(name.casefold())
        return f"{name}-gradcam.png"

"""The files that TensorBoard's projector shows: validation images as points, with thumbnails.

They lie beside the stage's event files, where the projector plugin looks for ``projector_config.pbtxt``;
what that names may lie nowhere else.

Importing this costs what :mod:`xray_tui.board.summaries` does.
"""

import io
import math
from collections.abc import Sequence

import numpy as np
from google.protobuf import text_format
from numpy.typing import NDArray
from PIL import Image
from tensorboard.plugins.projector.metadata import PROJECTOR_FILENAME
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from xray_tui.events import Explained

_FEATURES, _METADATA, _SPRITE = "features.bytes", "metadata.tsv", "sprite.png"
_FRAME_PX = 4
_COLOURS = np.array(
    [
        (0, 114, 178),
        (230, 159, 0),
        (0, 158, 115),
        (204, 121, 167),
        (86, 180, 233),
        (213, 94, 0),
        (240, 228, 66),
    ],
    np.uint8,
)
"""Of the classes, in turn: those that every eye tells apart (Okabe and Ito 2008)."""
_COLUMNS = ("image", "actual", "predicted", "verdict", "probability")


def files(event: Explained, classes: Sequence[str]) -> dict[str, bytes]:
    """The files by name, in the order to write them in: the one that names the others comes last.

    Args:
        event: with its arrays, of one image at least.
    """
    features = np.asarray(event.features, np.float32)
    config = ProjectorConfig()
    # Which tensor it is a person reads above the points; a colon would be taken for part of a graph's name.
    embedding = config.embeddings.add(
        tensor_name=f"validation, weights of epoch {event.epoch}",
        tensor_path=_FEATURES,
        tensor_shape=features.shape,
        metadata_path=_METADATA,
    )
    height, width = event.thumbnails.shape[1:]
    embedding.sprite.image_path = _SPRITE
    embedding.sprite.single_image_dim.extend((width, height))
    return {
        _FEATURES: _tensor(features),
        _METADATA: _metadata(event, classes).encode("utf-8", "replace"),
        _SPRITE: _sprite(event.thumbnails, [source.actual for source in event.sources or ()]),
        PROJECTOR_FILENAME: text_format.MessageToString(config).encode(),
    }


def _tensor(features: NDArray[np.float32]) -> bytes:
    """Bytes, which load a hundred times as fast as text; the plugin takes for bytes what is no UTF-8."""
    content = features.astype("<f4").tobytes()
    try:
        content.decode()
    except UnicodeDecodeError:
        return content
    return "".join("\t".join(map(repr, row)) + "\n" for row in features.tolist()).encode()


def _metadata(event: Explained, classes: Sequence[str]) -> str:
    """A row for each image; by every column points can be coloured and found."""
    rows = [_COLUMNS]
    for source, probabilities in zip(event.sources or (), event.probabilities, strict=True):
        predicted = int(probabilities.argmax())
        verdict = "right" if predicted == source.actual else "wrong"
        sure = f"{probabilities[predicted]:.4f}"
        rows.append((source.path, classes[source.actual], classes[predicted], verdict, sure))
    return "".join("\t".join(map(_cell, row)) + "\n" for row in rows)


def _cell(text: str) -> str:
    """The text, without what would end its cell or its row."""
    return "".join(c if c.isprintable() else "_" for c in text)


def _sprite(thumbnails: NDArray[np.uint8], actual: Sequence[int]) -> bytes:
    """All thumbnails, row by row, in a square of them. Browsers take 8,192 pixels a side at most.

    Each has a frame in the colour of its class: the projector colours nothing before it is asked to.
    """
    count, height, width = thumbnails.shape
    side = math.ceil(math.sqrt(count))
    sheet = np.zeros((side * side, height, width, 3), np.uint8)
    sheet[:count] = _COLOURS[np.asarray(actual) % len(_COLOURS), None, None]
    inside = slice(_FRAME_PX, -_FRAME_PX)
    sheet[:count, inside, inside] = thumbnails[:, inside, inside, None]
    pixels = sheet.reshape(side, side, height, width, 3).swapaxes(1, 2)
    pixels = pixels.reshape(side * height, side * width, 3)
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG")
    return png.getvalue()

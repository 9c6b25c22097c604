"""How TensorBoard spells things: event files, and the summaries that go into them.

Everything here builds on TensorBoard's own protocol buffers and needs no torch. Importing it costs
about half a second (tensorboard, numpy, Pillow), so :mod:`xray_tui.board.writer` does that late.

Scalars, images and histograms are written in TensorBoard's first format (``simple_value``,
``image``, ``histo``), the one that every reader knows, ``EventAccumulator`` included; TensorBoard
converts them as it loads. PR curves and hyperparameters exist as plugin data only.
"""

import errno
import io
import itertools
import os
import socket
import struct
import time
from collections.abc import Collection, Iterable, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.pr_curve import metadata as pr_curve_metadata
from tensorboard.plugins.text import metadata as text_metadata
from tensorboard.util.tensor_util import make_tensor_proto

from xray_tui.events import Histogram

Value = Any
"""A ``summary_pb2.Summary.Value``: one tag's value at one step."""
HParam = bool | int | float | str

THRESHOLDS = 127
"""Points of a PR curve, as in TensorBoard's own examples; it knows thresholds evenly spaced only."""
GRID_COLUMNS = 8
GRID_PADDING_PX = 2
_PREFIX = "events.out.tfevents."
_serial = itertools.count()


class EventFile:
    """One event file of one TensorBoard run.

    Written in the caller's thread: TensorBoard's own ``EventFileWriter`` writes in a thread of its
    own, which reports a full disk by printing a traceback over whatever is on the screen. Here
    everything is put together in memory, and :meth:`flush` writes it to the disk, whole or not at all:
    TensorBoard reads no further than the first record that is cut short.

    Args:
        folder: of the TensorBoard run; made with the first flush where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: FileIO | None = None
        self._pending = io.BytesIO()
        self._write(event_pb2.Event(wall_time=time.time(), file_version="brain.Event:2"))
        if not any(folder.glob(f"{_PREFIX}*")):
            # TensorBoard's slow loader takes a run's first START for its start, and voids nothing.
            self.purge(0, time.time())

    def write(self, values: Iterable[Value], *, step: int, t: float) -> None:
        """Add values at a step (the epoch) and a time (seconds since the Unix epoch)."""
        summary = summary_pb2.Summary(value=values)
        if summary.value:
            self._write(event_pb2.Event(wall_time=t, step=step, summary=summary))

    def purge(self, step: int, t: float) -> None:
        """Void every earlier value of this TensorBoard run at ``step`` and beyond: they come anew."""
        log = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._write(event_pb2.Event(wall_time=t, step=step, session_log=log))

    def flush(self) -> None:
        """Hand everything to the file system, where a TensorBoard beside the run finds it.

        Raises:
            OSError: the file cannot be made or written. Nothing is lost: call it again.
        """
        if self._file is None:
            self._file = self._open()
        content = self._pending.getvalue()
        whole = self._file.tell()
        try:
            if self._file.write(content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._folder))
        except OSError:
            self._file.truncate(whole)
            self._file.seek(whole)
            raise
        self._pending.seek(0)
        self._pending.truncate()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _open(self) -> FileIO:
        self._folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files of a run by name and never goes back, so a later file needs a
        # later name, even where a run is handed over within a second or the clock was set back.
        names = (path.name.removeprefix(_PREFIX) for path in self._folder.glob(f"{_PREFIX}*"))
        taken = [int(stamp) for name in names if (stamp := name.partition(".")[0]).isdecimal()]
        seconds = max([int(time.time()), *(stamp + 1 for stamp in taken)])
        name = f"{_PREFIX}{seconds:010d}.{socket.gethostname()}.{os.getpid()}.{next(_serial)}"
        return (self._folder / name).open("xb", buffering=0)

    def _write(self, event: Any) -> None:
        content: bytes = event.SerializeToString()
        for part in (struct.pack("<Q", len(content)), content):
            self._pending.write(part + struct.pack("<I", _checksum(part)))


def _checksum(content: bytes) -> int:
    """The masked CRC-32C of TensorFlow's record files (its ``crc32c.h``).

    TensorBoard's own ``RecordWriter`` computes it in Python: a sixth of a second for a megabyte of images.
    """
    found: int = google_crc32c.value(content)
    return ((found >> 15 | found << 17) + 0xA282EAD8) & 0xFFFFFFFF


def scalar(tag: str, number: float) -> Value:
    return summary_pb2.Summary.Value(tag=tag, simple_value=number)


def text(tag: str, words: str) -> Value:
    """Words for the TEXT tab, shown as Markdown."""
    metadata = text_metadata.create_summary_metadata(display_name="", description="")
    return summary_pb2.Summary.Value(
        tag=tag, metadata=metadata, tensor=make_tensor_proto(_text(words).encode(), dtype=np.object_)
    )


def image(tag: str, pixels: NDArray[np.uint8], description: str = "") -> Value:
    """An image as PNG; ``description`` is shown as Markdown.

    Args:
        pixels: uint8, (H, W) in grey or (H, W, 3) in colour.
    """
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG")
    height, width, channels = (*pixels.shape, 1)[:3]
    metadata = image_metadata.create_summary_metadata(display_name="", description=_text(description))
    # Without its data class, TensorBoard's fast loader drops the description.
    metadata.data_class = summary_pb2.DATA_CLASS_BLOB_SEQUENCE
    encoded = summary_pb2.Summary.Image(
        height=height, width=width, colorspace=channels, encoded_image_string=png.getvalue()
    )
    return summary_pb2.Summary.Value(tag=tag, image=encoded, metadata=metadata)


def grid(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images side by side, 8 in a row with 2 black pixels around each: uint8 (N, H, W) to (H', W')."""
    count, height, width = images.shape
    columns, pad = min(count, GRID_COLUMNS), GRID_PADDING_PX
    rows = -(-count // columns)
    sheet = np.zeros((rows * (height + pad) + pad, columns * (width + pad) + pad), np.uint8)
    for index, picture in enumerate(images):
        top = pad + index // columns * (height + pad)
        left = pad + index % columns * (width + pad)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def histogram(tag: str, values: Histogram) -> Value:
    return summary_pb2.Summary.Value(
        tag=tag,
        histo=summary_pb2.HistogramProto(
            min=values.minimum,
            max=values.maximum,
            num=float(np.sum(values.counts)),
            sum=values.total,
            sum_squares=values.squares,
            bucket_limit=np.asarray(values.edges, np.float64)[1:].tolist(),  # right-hand edges
            bucket=np.asarray(values.counts, np.float64).tolist(),
        ),
    )


def pr_curve(tag: str, probabilities: NDArray[np.float32], positive: NDArray[np.bool_]) -> Value:
    """Precision and recall over evenly spaced thresholds: an image counts as positive from its threshold on.

    Args:
        probabilities: of the positive class, (N,).
        positive: whether the image is of that class, bool (N,); at least one must be.
    """
    # A threshold's counts are sums over everything at or above it: one histogram, summed from the right.
    bins = np.clip(np.floor(probabilities.astype(np.float64) * (THRESHOLDS - 1)), 0, THRESHOLDS - 1).astype(
        int
    )
    above = [
        np.bincount(bins[which], minlength=THRESHOLDS)[::-1].cumsum()[::-1] for which in (positive, ~positive)
    ]
    true_positive, false_positive = above
    true_negative = false_positive[0] - false_positive
    false_negative = true_positive[0] - true_positive
    precision = true_positive / np.maximum(true_positive + false_positive, 1)
    recall = true_positive / true_positive[0]
    rows = [true_positive, false_positive, true_negative, false_negative, precision, recall]
    metadata = pr_curve_metadata.create_summary_metadata(
        display_name=tag, description="", num_thresholds=THRESHOLDS
    )
    metadata.data_class = summary_pb2.DATA_CLASS_TENSOR
    return summary_pb2.Summary.Value(
        tag=tag, metadata=metadata, tensor=make_tensor_proto(np.stack(rows).astype(np.float32))
    )


def hparams_start(
    hparams: Mapping[str, HParam], metrics: Mapping[str, str], telling: Collection[str], t: float
) -> list[Value]:
    """What makes a folder a row of the HPARAMS tab: the table's columns, and this row's settings.

    The columns have types but no domains. TensorBoard takes them from the first run it finds, and a
    domain would hide every other run whose value is not in it.

    Args:
        metrics: the scalar tags that are the row's results, with their column titles.
        telling: the hyperparameters that tell rows apart. They come first: the table opens with five.
        t: when the row begins, in seconds since the Unix epoch.
    """
    experiment = api_pb2.Experiment(time_created_secs=t)
    session = plugin_data_pb2.SessionStartInfo(start_time_secs=t)
    for name, setting in hparams.items():
        value = session.hparams[name]
        match setting:
            case bool():
                kind, value.bool_value = api_pb2.DATA_TYPE_BOOL, setting
            case int() | float():
                kind, value.number_value = api_pb2.DATA_TYPE_FLOAT64, setting
            case str():
                kind, value.string_value = api_pb2.DATA_TYPE_STRING, _text(setting)
        experiment.hparam_infos.add(name=name, type=kind, differs=name in telling)
    for tag, title in metrics.items():
        experiment.metric_infos.add(
            name=api_pb2.MetricName(tag=tag), display_name=title, dataset_type=api_pb2.DATASET_VALIDATION
        )
    return [
        _hparams_value(hparams_metadata.EXPERIMENT_TAG, experiment=experiment),
        _hparams_value(hparams_metadata.SESSION_START_INFO_TAG, session_start_info=session),
    ]


def hparams_end(succeeded: bool, t: float) -> Value:
    """The row's end; TensorBoard keeps the first one it sees, so it must be final."""
    status = api_pb2.STATUS_SUCCESS if succeeded else api_pb2.STATUS_FAILURE
    info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=t)
    return _hparams_value(hparams_metadata.SESSION_END_INFO_TAG, session_end_info=info)


def _hparams_value(tag: str, **part: Any) -> Value:
    metadata = hparams_metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(**part))
    return summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=hparams_metadata.NULL_TENSOR)


def _text(text: str) -> str:
    """The text as protocol buffers take it: without what stands for bytes of a name that are no UTF-8."""
    return text.encode("utf-8", "replace").decode()

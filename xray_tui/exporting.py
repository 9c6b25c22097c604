"""A run's best weights as one file for other programs, ONNX or torch.export's, with a card beside it."""

import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from math import log
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import xray_tui
from xray_tui.errors import UserError
from xray_tui.exported_card import card
from xray_tui.models.weights import first_line
from xray_tui.regular_files import check_replaceable
from xray_tui.runs.directory import RunDirectory
from xray_tui.trained import Trained, load
from xray_tui.words import is_text

Format = Literal["onnx", "pt2"]

TOLERANCE = 1e-4
"""Between a probability of the file and one of torch."""

_KEY = "xray_tui"
"""Of the description: in ONNX's metadata_props, and with `.json` of pt2's extra files."""

_CHECKED_BATCHES = (1, 2, 5)
_MOST_BYTES_OF_ONE_FILE = 1.9e9
"""protobuf, which ONNX is written in, ends at 2 GiB."""


@dataclass(frozen=True)
class Exported:
    file: Path
    card: Path
    beside: Path | None
    """Where weights lie that one ONNX file has no room for."""
    difference: float | None
    """The largest between a probability of the file and one of torch; ``None`` where it was not checked."""


class Calibrated(nn.Module):
    """A trained network with all that stands before and after it: grey images → probabilities.

    Args:
        trained: its model becomes part of this module (it is not copied).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.body = trained.model.body
        self.pool = trained.model.pool
        self.head = trained.model.head
        self.mirrors = trained.settings.evaluation.tta == "flip"
        self.temperature = trained.temperature or 1.0
        for name, values in (("mean", trained.backbone.mean), ("std", trained.backbone.std)):
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1))
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (N, 1, S, S), black is 0 → float32 (N, classes)."""
        normal = (images.float() / 255 - self.mean) / self.std  # which repeats grey to the body's channels
        found: Tensor = self.head(self.pool(self.body(normal)))
        if self.mirrors:  # the mean of both probabilities
            found = torch.logaddexp(found, self.head(self.pool(self.body(normal.flip(3))))) - log(2)
        return (found / self.temperature).softmax(1)


def export(
    directory: RunDirectory,
    form: Format,
    output: Path,
    *,
    force: bool = False,
    tell: Callable[[str], None] = lambda doing: None,
) -> Exported:
    """Write a run's best weights and their card.

    Everything is written beside its place under another name, and checked, before it takes it.

    Args:
        output: the file; its card is called like it, with ``.md`` behind.
        force: replace what is there.
        tell: what is being done now, in a word or two.

    Raises:
        UserError: the run has no weights, an extra is missing, a file is there already, this network cannot
            be exported, or the folder cannot be written.
    """
    _check_extra(form)
    if not is_text(str(output)):  # torch, which ends the whole process over it
        raise UserError(f"{output}: not UTF-8", "name another file with --output")
    check_replaceable(output)
    if not output.parent.is_dir():
        raise UserError(f"there is no folder {output.parent}", "make it, or name another file with --output")
    places = [output, output.with_name(f"{output.name}.md")]
    for place in (*places, output.with_name(f"{output.name}.data")):  # as ONNX calls what lies beside
        if place.is_dir() or (place.exists() and not force):
            raise UserError(f"{place} is there already", "name another file with --output, or use --force")
    tell("loading the weights")
    trained = load(directory, "cpu")
    network = Calibrated(trained).requires_grad_(False)
    side = trained.settings.training.image_size
    try:
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as folder:
            made = Path(folder) / output.name
            tell("exporting")
            write = _write_onnx if form == "onnx" else _write_pt2
            try:
                with _silent(), torch.no_grad():
                    write(network, side, json.dumps(describe(trained), ensure_ascii=False), made)
            except OSError:
                raise
            except Exception as error:  # of the exporter, which has hundreds of reasons
                *_, first = reasons = list(_reasons(error))
                if any(isinstance(reason, KeyboardInterrupt) for reason in reasons):
                    raise KeyboardInterrupt from error
                raise UserError(
                    f"{trained.backbone.name} cannot be exported: {first_line(first)}",
                    f"try --format {'pt2' if form == 'onnx' else 'onnx'}",
                ) from error
            tell("checking")
            difference = _difference(network, side, _runner(form, made))
            card_file = Path(folder) / places[1].name
            card_file.write_text(card(directory, trained, form, output.name, difference), encoding="utf-8")
            beside = next((f for f in Path(folder).iterdir() if f not in (made, card_file)), None)
            for file in filter(None, (beside, made, card_file)):  # the file that needs the other one after it
                file.replace(output.parent / file.name)
    except OSError as error:
        why = f"{error.strerror or error}: {error.filename or output}"
        raise UserError(f"the export cannot be written: {why}", "name another place with --output") from error
    return Exported(output, places[1], beside and output.parent / beside.name, difference)


def describe(trained: Trained) -> dict[str, Any]:
    """What a program needs to know that is given the file alone; as JSON it travels within it."""
    training = trained.settings.training
    return {
        "run": trained.run,
        "xray_tui": xray_tui.__version__,
        "backbone": trained.backbone.name,
        "epoch": trained.epoch,
        "classes": trained.classes,
        "positive": trained.positive,
        "rule": trained.rule,
        "threshold": trained.threshold,
        "temperature": trained.temperature,
        "resize": trained.settings.resize,
        "image_size": training.image_size,
        "mirrored": trained.settings.evaluation.tta == "flip",
    }


def _reasons(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and those that it was made of; torch's exporter wraps every one, ctrl+c too."""
    while error is not None:
        yield error
        error = error.__cause__


def _check_extra(form: Format) -> None:
    if form == "onnx" and not (find_spec("onnx") and find_spec("onnxscript")):
        raise UserError(
            "exporting to ONNX needs onnx and onnxscript, which are not installed",
            "pip install 'xray-tui[export]', or use --format pt2",
        )


def _images(count: int, side: int) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randint(256, (count, 1, side, side), dtype=torch.uint8, generator=generator)


def _write_onnx(network: Calibrated, side: int, description: str, file: Path) -> None:
    program = torch.onnx.export(
        network,
        (_images(2, side),),
        dynamo=True,
        verbose=False,
        input_names=["images"],
        output_names=["probabilities"],
        dynamic_shapes={"images": {0: "batch"}},
    )
    assert program is not None
    program.model.metadata_props[_KEY] = description
    size = sum(tensor.nbytes for tensor in network.state_dict().values())
    program.save(str(file), external_data=size > _MOST_BYTES_OF_ONE_FILE)


def _write_pt2(network: Calibrated, side: int, description: str, file: Path) -> None:
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(network, (_images(2, side),), dynamic_shapes={"images": {0: batch}})
    torch.export.save(program, str(file), extra_files={f"{_KEY}.json": description})


_Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def _runner(form: Format, file: Path) -> _Run | None:
    """Runs a file that was written; ``None`` where onnxruntime is not installed."""
    if form == "pt2":
        with _silent():
            program = torch.export.load(str(file)).module()
        return lambda images: program(torch.from_numpy(images)).numpy()
    if not find_spec("onnxruntime"):
        return None
    import onnxruntime  # late: an extra

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0]


@torch.no_grad()
def _difference(network: Calibrated, side: int, run: _Run | None) -> float | None:
    """The largest between two probabilities, over batches of several sizes.

    Raises:
        UserError: it is too large.
    """
    if run is None:
        return None
    found = 0.0
    for count in _CHECKED_BATCHES:
        images = _images(count, side)
        found = max(found, float(np.abs(run(images.numpy()) - network(images).numpy()).max()))
    if not found <= TOLERANCE:
        raise UserError(
            f"the exported network is off by {found:.2g}: it was not written", "try the other --format"
        )
    return found


@contextmanager
def _silent() -> Iterator[None]:
    """The exporters talk of their own affairs, on standard output too."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

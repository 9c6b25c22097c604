"""Checkpoints: safetensors files that appear whole or not at all, and are never unpickled.

``best.safetensors`` holds the weights of the best epoch and, as metadata, the operating point that was
chosen with them. ``last.safetensors`` holds what a resume
needs: weights, Adam's state by parameter name, and where the run stands (as metadata).
"""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import torch
from msgspec import Struct
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from xray_tui import event_lines
from xray_tui.engine.learner import Learner
from xray_tui.engine.room import is_shortage
from xray_tui.engine.world import ALONE, World
from xray_tui.errors import UserError
from xray_tui.events import OperatingPoint, Stage
from xray_tui.files import replacing
from xray_tui.models.weights import misfit
from xray_tui.words import brief

_MARKS, _MODEL, _AVERAGE, _POINT = "images", "model.", "average.", "operating_point"
_ATTEMPTS, _PAUSE_SECONDS = 20, 0.02
BEST, LAST = "best.safetensors", "last.safetensors"


class Position(Struct, frozen=True):
    """Where a run stands: between two epochs, or between two batches of one."""

    stage: Stage
    first_epoch: int
    """Of the stage."""
    next_epoch: int
    """The one under way or to run next; the stage may have none left."""
    best_epoch: int | None
    best_loss: float | None
    learning_rate: float | None = None
    """Of the stage, as it is now; ``None`` where it is the settings' one."""
    batches: int = 0
    """Of ``next_epoch``, already trained; all of them while it is validated."""
    images: int = 0
    """In those batches."""
    loss_sum: float | None = 0.0
    """Over those of them that count, exactly; ``None`` where it is not a number."""
    averaged: int = 0
    """Weights that the average is of; 0 where there is none."""
    left_out: int = 0
    """Of those images, in batches that do not count: their loss was not a number."""
    batch_size: int = 0
    """That memory had room for; 0 where it is the settings' one."""
    epoch_seconds: float = 0.0
    """Spent on those batches."""
    stage_seconds: float = 0.0
    """Spent on the stage so far, by whichever processes."""
    run_seconds: float = 0.0
    over: bool = False
    """Whether the stage was ended before its last epoch."""
    readable: int = 0
    """Train and validation images together; 0 where it was not noted."""
    files: str = ""
    """Digest of the files by role; empty where it was not noted."""
    processes: int = 1
    """That trained it."""


def save_best(folder: Path, model: nn.Module, epoch: int) -> Path:
    """Write the weights of the best epoch."""
    about = {"format": "xray-tui best", "epoch": str(epoch)}
    return _save(folder / BEST, _contiguous(model.state_dict()), about)


def load_best(folder: Path, model: nn.Module, world: World = ALONE) -> None:
    """Put the weights of the best epoch into the model.

    Args:
        folder: as rank 0 has it; the others have none.

    Raises:
        UserError: the file is missing, damaged, or of another model.
    """
    _put(model, world.tensors(lambda: _load(folder / BEST)), folder / BEST)


def check_best(folder: Path, epoch: int) -> None:
    """Whether the weights are of that epoch, the best: a process may have died before it wrote them.

    Raises:
        UserError: they are of an earlier one, or the file is missing or damaged.
    """
    file = folder / BEST
    with _open(file) as opened:
        written = (opened.metadata() or {}).get("epoch", str(epoch))
    if written != str(epoch):
        raise UserError(
            f"{file} still has the weights of epoch {brief(written)}: those of the best, epoch {epoch}, "
            "are not written",
            "a live run is about to; one that was cut off there does it first when it is resumed",
        )


def check_head(folder: Path, classes: int, hidden: int) -> None:
    """Whether the weights of the best epoch can be of such a head, before memory is taken for one.

    Raises:
        UserError: they are of another one, or the file is missing or damaged.
    """
    file = folder / BEST
    with _open(file) as opened:
        names = list(opened.keys())
        shapes = [opened.get_slice(name).get_shape() for name in names if name.startswith("head.")]
    if [classes, hidden] not in shapes:
        raise UserError(f"{file} does not fit the run's settings: its head is another one")


def keep_operating_point(folder: Path, point: OperatingPoint) -> Path:
    """Write into the file of the best weights what was chosen with them; the weights stay as they are.

    Raises:
        UserError: the file is missing or damaged.
    """
    file = folder / BEST
    with _open(file) as opened:
        metadata = opened.metadata() or {}
    return _save(file, _load(file), metadata | {_POINT: event_lines.encode(point).decode()})


def read_operating_point(folder: Path) -> OperatingPoint | None:
    """What was chosen with the best weights; ``None`` where nothing was: the likeliest class is called.

    Raises:
        UserError: the file is missing or damaged.
    """
    file = folder / BEST
    with _open(file) as opened:
        kept = (opened.metadata() or {}).get(_POINT)
    if kept is None:
        return None
    try:
        point = event_lines.decode(kept)
    except msgspec.DecodeError as error:
        raise UserError(f"the operating point in {file} is damaged: {error}") from None
    if not isinstance(point, OperatingPoint):
        raise UserError(f"the operating point in {file} is damaged: it is none")
    return point


def save_last(folder: Path, model: nn.Module, learner: Learner, position: Position, marks: Tensor) -> Path:
    """Write all that a resume needs, between two batches.

    Args:
        marks: of the train and validation images: int64 (N,).
    """
    metadata = {"format": "xray-tui last", "position": msgspec.json.encode(position).decode()}
    with learner.training():
        tensors = {f"{_MODEL}{name}": tensor for name, tensor in model.state_dict().items()}
        for name, slot, tensor in _adam_state(model, learner.optimizer):
            tensors[f"adam.{slot}.{name}"] = tensor
        if learner.average:
            tensors |= {f"{_AVERAGE}{name}": tensor for name, tensor in learner.average.tensors.items()}
        tensors[_MARKS] = marks
        return _save(folder / LAST, _contiguous(tensors), metadata)


def read_position(folder: Path) -> Position:
    """Where ``last`` stands, without loading its tensors.

    Raises:
        UserError: there is none, or it is damaged.
    """
    file = folder / LAST
    with _open(file) as opened:
        metadata = opened.metadata() or {}
    return _position(metadata, file)


def _position(metadata: dict[str, str], file: Path) -> Position:
    try:
        return msgspec.json.decode(metadata.get("position", ""), type=Position)
    except msgspec.DecodeError:
        raise UserError(f"{file} is not a checkpoint to resume from") from None


def load_last(
    folder: Path, model: nn.Module, learner: Learner, averaged: int, world: World = ALONE
) -> Tensor | None:
    """Put weights, Adam's state and the average back.

    Adam's moments take the strides of their parameters: a contiguous moment beside a channels_last
    parameter makes some of torch's update kernels pair the wrong elements, silently. Its count of steps
    lies where they do: a fused update on a GPU takes no other.

    Args:
        averaged: weights that the average is of.

    Returns:
        The marks of the images it was trained on; ``None`` in a checkpoint of an older version.

    Raises:
        UserError: as :func:`load_best`.
    """
    file = folder / LAST
    tensors = world.tensors(lambda: _load(file))
    _put(model, {n.removeprefix(_MODEL): t for n, t in tensors.items() if n.startswith(_MODEL)}, file)
    parameters, optimizer = dict(model.named_parameters()), learner.optimizer
    optimizer.state.clear()
    try:
        for name, tensor in tensors.items():
            if name.startswith("adam."):
                slot, _, parameter_name = name.removeprefix("adam.").partition(".")
                parameter = parameters[parameter_name]
                fits = tensor.to(parameter.device)
                if slot != "step":
                    fits = torch.empty_like(parameter).copy_(fits)
                optimizer.state[parameter][slot] = fits
        if learner.average:
            kept = {n.removeprefix(_AVERAGE): t for n, t in tensors.items() if n.startswith(_AVERAGE)}
            learner.average.put_back(kept, averaged)
    except (KeyError, RuntimeError) as error:
        if is_shortage(error):
            raise
        raise UserError(f"{file} does not fit the run's settings: {error}") from None
    return tensors.get(_MARKS)


def read_network(file: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint that count, as :attr:`Learner.counting` has them; of ``last`` no more than
    these, for Adam's are twice as many.

    Raises:
        OSError, SafetensorError: it cannot be read.
        UserError: it is no checkpoint.
    """
    with open_live(file) as opened:
        prefixes = [""]
        if file.name == LAST:
            averaged = _position(opened.metadata() or {}, file).averaged
            prefixes = [_MODEL, _AVERAGE] if averaged else [_MODEL]
        names = list(opened.keys())
        return {
            name.removeprefix(prefix): opened.get_tensor(name)
            for prefix in prefixes
            for name in names
            if name.startswith(prefix)
        }


def _adam_state(model: nn.Module, optimizer: Optimizer) -> Iterator[tuple[str, str, Tensor]]:
    """(parameter name, slot, tensor) of everything Adam remembers."""
    for name, parameter in model.named_parameters():
        for slot, value in optimizer.state.get(parameter, {}).items():
            yield name, slot, value


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """safetensors writes contiguous tensors only; channels_last ones are copied."""
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


def _save(file: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Path:
    with replacing(file) as part:
        part.touch()
        mode = part.stat().st_mode & 0o777  # as the user's umask wants it; safetensors' own file is private
        try:
            save_file(tensors, part, metadata)
        except SafetensorError as error:
            raise _of_the_system(error, file) from None
        part.chmod(mode)
    return file


def _of_the_system(error: SafetensorError, file: Path) -> OSError:
    """What kept safetensors from writing: it tells the system's error as text only."""
    number = re.search(r"os error (\d+)", str(error))
    if number is None:
        return OSError(str(error))
    return OSError(int(number[1]), os.strerror(int(number[1])), str(file))


def _load(file: Path) -> dict[str, Tensor]:
    with _open(file) as opened:
        names = opened.keys()  # safe_open is no dict: it cannot be iterated
        return {name: opened.get_tensor(name) for name in names}


def open_live(file: Path) -> safe_open:
    """Open a file of tensors that a run may be replacing: safetensors opens it twice, and wants it the same.

    Raises:
        FileNotFoundError: there is none.
        SafetensorError: it is damaged.
    """
    for _ in range(_ATTEMPTS):
        try:
            return safe_open(file, framework="pt")
        except RuntimeError:  # of torch, that it is not as large as it was
            time.sleep(_PAUSE_SECONDS)
    return safe_open(file, framework="pt")


def _open(file: Path) -> safe_open:
    try:
        return open_live(file)
    except FileNotFoundError:
        raise UserError(f"no checkpoint {file}") from None
    except SafetensorError as error:
        raise UserError(f"the checkpoint {file} is damaged: {error}") from None


def _put(model: nn.Module, tensors: dict[str, Tensor], file: Path) -> None:
    check_fits(model, tensors, file)
    model.load_state_dict(tensors)


def check_fits(model: nn.Module, tensors: dict[str, Tensor], file: Path) -> None:
    """Whether a checkpoint's weights can be loaded.

    Raises:
        UserError: they are of another model.
    """
    if problems := misfit(model.state_dict(), tensors):
        raise UserError(
            f"{file} does not fit the run's settings: {problems}",
            "its config.toml was changed, or the file is another run's",
        )

"""Explains what a run's weights saw in a radiograph: a second copy of the network, beside the training.

The copy is built from the run's settings and its checkpoint, on the CPU whatever the run trains on. It
shares nothing with the model that trains: not a tensor, not a generator.
"""

import threading
import time
from pathlib import Path

import torch
from safetensors import SafetensorError

from xray_tui import config
from xray_tui.data.augmentation import Normalisation, plain
from xray_tui.data.decoding import decode
from xray_tui.data.moving import move
from xray_tui.data.pseudonyms import locate
from xray_tui.data.unreadable import Unreadable
from xray_tui.engine import checkpoints
from xray_tui.engine.explanation import Box, Explanation
from xray_tui.engine.plan import network
from xray_tui.errors import UserError
from xray_tui.models.classifier import Classifier
from xray_tui.models.gradcam import grad_cam
from xray_tui.settings import Settings

_WRITING_SECONDS, _POLL_SECONDS = 1.0, 0.05

_Stamp = tuple[Path, int, int]
"""File, size and time: a checkpoint is replaced while the run goes on."""


class Explainer:
    """Explains radiographs with the checkpoints of one run. May be called from any thread.

    The last loaded copy is kept, and let go when its checkpoint changes.

    Args:
        settings_file: the run's config.toml.
        folder: of its checkpoints.
        classes: how many the run has.
    """

    def __init__(self, settings_file: Path, folder: Path, classes: int) -> None:
        self._settings_file = settings_file
        self._folder = folder
        self._classes = classes
        self._lock = threading.Lock()
        self._loaded: tuple[_Stamp, Classifier, Normalisation] | None = None

    def __call__(self, radiograph: Path, epoch: int | None) -> Explanation:
        """Grad-CAM for the class that the run predicts with these weights: where it means over an image and
        its mirror image, so does this. The heat is of the image itself.

        Args:
            radiograph: its file, whose name may be a pseudonym.
            epoch: that the person looks at. Where a checkpoint holds the weights of just that epoch, it is
                asked; else the best one, else the last.

        Raises:
            UserError: no checkpoint is there yet, it does not fit, or the radiograph cannot be read.
        """
        with self._lock:
            file, held = self._choose(epoch)
            model, normalise = self._load(file)
            settings = config.load_kept(self._settings_file)
            try:
                return explain(model, normalise, settings, locate(radiograph), epoch=held)
            except Unreadable as error:
                raise UserError(f"{radiograph.name} cannot be read: {error}") from None

    def _choose(self, epoch: int | None) -> tuple[Path, int | None]:
        """The checkpoint to ask, and the epoch that its weights are of, where that is known."""
        best_file, last_file = self._folder / checkpoints.BEST, self._folder / checkpoints.LAST
        if not last_file.exists():
            if not best_file.exists():
                raise UserError("No weights are kept yet: the first epoch has not ended.")
            return best_file, None
        _let_settle(best_file, last_file)
        position = checkpoints.read_position(self._folder)
        best = position.best_epoch
        if position.batches:
            last = None  # it stands within an epoch: its weights are of none
        elif position.next_epoch > position.first_epoch:
            last = position.next_epoch - 1
        else:  # at its start a stage keeps the weights that it starts from
            last = best
        if best_file.exists() and (last != epoch or best == epoch):
            return best_file, best
        if last is None and not position.batches:
            raise UserError("No weights are kept yet: the first epoch has not ended.")
        return last_file, last

    def _load(self, file: Path) -> tuple[Classifier, Normalisation]:
        try:
            found = file.stat()
            stamp = (file, found.st_size, found.st_mtime_ns)
            if self._loaded is None or self._loaded[0] != stamp:
                self._loaded = None  # before the next one is made: never two copies in memory
                self._loaded = (stamp, *self._build(file))
        except (OSError, SafetensorError) as error:
            raise UserError(f"the checkpoint {file} cannot be read: {error}") from None
        return self._loaded[1], self._loaded[2]

    def _build(self, file: Path) -> tuple[Classifier, Normalisation]:
        settings, device = config.load_kept(self._settings_file), torch.device("cpu")
        backbone, model = network(settings, self._classes, device, untrained=True)
        weights = checkpoints.read_network(file)
        checkpoints.check_fits(model, weights, file)
        model.load_state_dict(weights)
        return model.requires_grad_(False), Normalisation(backbone.mean, backbone.std, device)


def explain(
    model: Classifier,
    normalise: Normalisation,
    settings: Settings,
    radiograph: Path,
    target: int | None = None,
    *,
    epoch: int | None = None,
) -> Explanation:
    """Grad-CAM of a radiograph as a run sees it; the heat is of the image itself, not of its mirror image.

    Args:
        model: in eval mode.
        normalise: for it, on its device.
        settings: of the run.
        target: the class to explain; by default the likeliest, over both where the run means over an image
            and its mirror image.
        epoch: whose weights they are.

    Raises:
        Unreadable: as :func:`decode`.
        UserError: the weights give no numbers.
    """
    resize, crop = settings.resize, settings.training.image_size
    device = next(model.parameters()).device
    grey = decode(radiograph, resize)  # as the run saw it
    plain_pixels = plain(torch.from_numpy(grey.copy())[None], resize, crop)
    pixels = move(plain_pixels[None], device)
    found = grad_cam(model, normalise(pixels), target)
    probabilities = found.probabilities
    if settings.evaluation.tta == "flip":
        with torch.no_grad():
            mirrored = model(normalise(pixels.flip(3)))[0].exp()
        probabilities = (probabilities + mirrored) / 2
        likeliest = int(probabilities.argmax()) if target is None else target
        if likeliest != found.target:
            found = grad_cam(model, normalise(pixels), likeliest)
    if not bool(probabilities.isfinite().all()):
        raise UserError("These weights give no numbers: there is nothing to explain.")
    return Explanation(
        heat=found.heat.cpu().numpy(),
        box=seen(grey.shape, resize, crop),
        predicted=found.target,
        probabilities=probabilities.cpu().numpy(),
        epoch=epoch,
    )


def seen(shape: tuple[int, ...], resize: int, crop: int) -> Box:
    """The part of a radiograph that is left after the short side is resized and the centre cropped.

    Args:
        shape: (height, width) of the file's image.
        resize: short side after resizing, in pixels.
        crop: side of the centre crop, in pixels.
    """
    height, width = shape
    short = min(height, width)
    across, down = (crop / resize * short / side for side in (width, height))
    return (1 - across) / 2, (1 - down) / 2, (1 + across) / 2, (1 + down) / 2


def _let_settle(best: Path, last: Path) -> None:
    """Which epoch the best one is, ``last`` tells, and at an epoch's end it is written just after ``best``.

    A copied run may have its files in any order of time, but none of them is new.
    """
    while best.exists() and last.stat().st_mtime < best.stat().st_mtime > time.time() - _WRITING_SECONDS:
        time.sleep(_POLL_SECONDS)

"""The feature cache: what the frozen part of a model makes of the images, computed once.

While a part is frozen, in eval mode, it makes the same of an image in every epoch. Validation images are
the same in every epoch too, so for them nothing is lost. Train images are augmented: each has K views, and
epoch e shows view e mod K. View v is what chance makes of the image in epoch v anyway, so the first K epochs
train on the very images that they would without the cache; later ones see them again. Where classes are
sampled alike, an image that comes several times in an epoch comes as the same view each time.
"""

import math
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

from xray_tui import memory
from xray_tui.data.pixels import Pixels
from xray_tui.engine.batches import Batch, Batches
from xray_tui.engine.epoch import Step
from xray_tui.engine.hardware import Hardware
from xray_tui.engine.times import Times
from xray_tui.engine.world import ALONE, World
from xray_tui.errors import UserError
from xray_tui.files import Insist, at_once
from xray_tui.models.classifier import Classifier
from xray_tui.words import bytes_in_words

_GPU_SHARE = 0.5
"""Of the device's free memory, that one view may take."""


class Features:
    """Kept until the frozen part is another.

    They are computed in the order of the files and in batches of one size, whatever epoch wants them
    first: a resumed run computes the very same ones.

    Args:
        folder: the cache folder: those of a CPU run lie there while it lives, in files without a name, so
            that memory stays free for what is used. ``None`` for memory.
        insist: waits where there is no room for them.
    """

    def __init__(
        self,
        model: Classifier,
        batches: Batches,
        hardware: Hardware,
        folder: Path | None,
        times: Times,
        world: World = ALONE,
        insist: Insist = at_once,
    ) -> None:
        self._model = model
        self._batches = batches
        self._hardware = hardware
        self._folder = folder / "features" if folder else None
        self._times = times
        self._world = world
        self._insist = insist
        self._views: dict[int, Tensor] = {}
        self._validation: dict[bool, Tensor] = {}

    def forget(self) -> None:
        """The frozen part is another from here on."""
        self._views.clear()
        self._validation.clear()

    def view(self, pixels: Pixels, view: int, begin: Callable[[], Step]) -> Tensor:
        """Of the train images in the order of their files: (N, …), as `Classifier.fixed` gives it.

        Args:
            begin: called where they must be computed first.
        """
        if view not in self._views:
            self._views[view] = self._compute(self._batches.view(pixels, view), len(pixels), begin())
        return self._views[view]

    def validation(self, pixels: Pixels, step: Step, *, mirrored: bool = False) -> Tensor:
        """Of the validation images, or of their mirror images; likewise.

        Args:
            step: called between batches where they must be computed first.
        """
        if mirrored not in self._validation:
            batches = self._batches.plain(pixels, mirrored=mirrored)
            self._validation[mirrored] = self._compute(batches, len(pixels), step)
        return self._validation[mirrored]

    @torch.no_grad()
    def _compute(self, batches: Iterable[Batch], count: int, step: Step) -> Tensor:
        self._model.eval()
        kept: Tensor | None = None
        done = 0
        for batch in self._times.waiting("waiting for batches", batches):
            with self._times("forward, frozen part"), self._hardware.autocast():
                fixed = self._model.fixed(batch.inputs)
            fixed = self._world.gather(fixed, batch.shares)
            if kept is None:
                kept = self._room(count, fixed)
            kept[done : done + batch.whole] = fixed
            done += batch.whole
            step(done)
        assert kept is not None
        return kept

    def _room(self, count: int, like: Tensor) -> Tensor:
        """For as many images, in the memory format of these."""
        shape = (count, *like.shape[1:])
        numbers = math.prod(shape)
        size_bytes = numbers * like.element_size()
        what = f"{bytes_in_words(size_bytes)} of features"
        if like.is_cuda and size_bytes < _GPU_SHARE * torch.cuda.mem_get_info(like.device)[0]:
            flat = torch.empty(numbers, dtype=like.dtype, device=like.device)
        elif self._folder is None:
            if size_bytes > memory.free_bytes():
                raise UserError(f"no memory for {what}", "use --cache auto, or --augment-views off")
            flat = torch.empty(numbers, dtype=like.dtype)
        else:
            folder = self._folder
            try:
                flat = self._insist(
                    lambda: _nameless(folder, numbers, size_bytes, like.dtype),
                    lambda: f"{folder}, {what} (or stop, and use --augment-views off)",
                )
            except OSError as error:
                raise UserError(
                    f"cannot keep {what} in {folder}: {error.strerror or error}",
                    "name another folder with --cache DIR, or use --augment-views off",
                ) from None
        if like.ndim == 4:
            n, channels, height, width = shape
            return flat.view(n, height, width, channels).permute(0, 3, 1, 2)
        return flat.view(shape)


def _nameless(folder: Path, numbers: int, size_bytes: int, dtype: torch.dtype) -> Tensor:
    """Lives in a file that is gone with the process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix="features-") as file:
        if hasattr(os, "posix_fallocate"):  # else a full disk kills the process, later
            os.posix_fallocate(file.fileno(), 0, size_bytes)
        else:
            file.truncate(size_bytes)
        return torch.from_file(file.name, shared=True, size=numbers, dtype=dtype)

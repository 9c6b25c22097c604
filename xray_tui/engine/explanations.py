"""What the best weights look at and tell apart in validation, when a stage has ended.

It costs a pass over validation (next to nothing while the body is frozen, whose features are kept) and a
dozen Grad-CAMs. Nothing is drawn from a generator. All ranks do all of it, but share the pass.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms.v2 import functional as F

from xray_tui.data.augmentation import Normalisation
from xray_tui.data.moving import move
from xray_tui.data.pixels import Pixels
from xray_tui.engine import results
from xray_tui.engine.epoch import Predictions
from xray_tui.engine.passes import Passes
from xray_tui.engine.plan import Plan
from xray_tui.engine.reporting import Reporter
from xray_tui.events import Array, Emit, Explained, Mistakes, Source, Stage
from xray_tui.models.gradcam import grad_cam

WORST = 12
"""Mistakes that are explained."""
MOST = 2000
"""Images whose features are shown: a browser still finds their neighbours."""
THUMBNAIL_PX = 48


class Explanations:
    """Of the weights that the plan's model holds."""

    def __init__(self, plan: Plan, passes: Passes, reporter: Reporter, emit: Emit) -> None:
        self._plan = plan
        self._passes = passes
        self._reporter = reporter
        self._emit = emit
        self.found: Predictions | None = None
        """The verdict of the best epoch on validation. ``None`` where it ended in an earlier process, or with
        another part of the body frozen, whose last bits differ: then it is asked for once more."""

    def explain(self, validation: Pixels, stage: Stage, epoch: int) -> None:
        """Tell of a stage that has ended; where the settings want it.

        Args:
            epoch: the best, whose weights the model holds.

        Raises:
            Stop, Detach, UnfreezeNow: as asked between batches; nothing has been told.
        """
        if not self._plan.settings.evaluation.explain:
            return
        found = self.found = self.found or self._passes.predict(validation, "validation", stage)
        told = results.mistakes(stage, epoch, found, validation)
        chosen = spread(found.actual, MOST)
        files = [validation.files[number] for number in chosen]
        explained = Explained(
            stage=stage,
            epoch=epoch,
            mistakes=told.worst[:WORST],
            images=told.images[:WORST],
            heat=self._heat(told),
            sources=[Source(file.path, file.label, self._plan.names.patient(file)) for file in files],
            probabilities=found.probabilities[chosen],
            features=self._passes.hidden(validation, stage).numpy()[chosen],
            thumbnails=_thumbnails(validation, chosen),
        )
        self._emit(explained)

    def _heat(self, told: Mistakes) -> Array:
        """Grad-CAM of the worst for the class predicted: float32 (K, h, w)."""
        plan, device = self._plan, self._plan.hardware.device
        normalise = Normalisation(plan.backbone.mean, plan.backbone.std, device)
        worst = told.worst[:WORST]
        step = self._reporter.steps("explaining", len(worst), told.stage)
        plan.model.eval()
        heat = []
        for number, mistake in enumerate(worst):
            pixels = move(torch.from_numpy(told.images[number])[None, None], device)
            heat.append(grad_cam(plan.model, normalise(pixels), mistake.predicted).heat.cpu().numpy())
            step(number + 1)
        return np.stack(heat) if heat else np.zeros((0, 1, 1), np.float32)


def spread(labels: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Numbers of at most so many images, in order: all, or of each class the same share, evenly spread.

    Args:
        labels: int64 (N,), of as many classes as images may be chosen, or fewer.
    """
    if len(labels) <= most:
        return np.arange(len(labels))
    classes = np.unique(labels)
    chosen = []
    for label in classes:
        (of_class,) = np.nonzero(labels == label)
        share = min(len(of_class), most // len(classes))
        chosen.append(of_class[np.linspace(0, len(of_class) - 1, share).round().astype(int)])
    return np.sort(np.concatenate(chosen))


def _thumbnails(pixels: Pixels, chosen: NDArray[np.int64]) -> Array:
    """uint8 (N, T, T)"""
    side = [THUMBNAIL_PX, THUMBNAIL_PX]
    small = [F.resize(pixels.images[number], side, antialias=True)[0] for number in chosen]
    return torch.stack(small).numpy()

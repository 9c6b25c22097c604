"""One pass over train, one pass over validation or test. Nothing here knows of stages."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from xray_tui.engine.batches import Batch
from xray_tui.engine.guard import Guard
from xray_tui.engine.hardware import Hardware
from xray_tui.engine.objective import Objective
from xray_tui.engine.times import Times
from xray_tui.engine.world import ALONE, World
from xray_tui.events import Histogram, finite
from xray_tui.models.classifier import Classifier
from xray_tui.models.seeded import reseed

Forward = Callable[[Tensor], Tensor]
"""Inputs of a batch → log probabilities float32 (N, C)."""
Step = Callable[[int], None]
"""Called between batches with the images done so far; may raise to end the pass."""


@dataclass
class TrainPass:
    """How far one pass over train has come: a resume goes on from here."""

    loss_sum: Tensor
    """Over the images that count so far: float32 (), on the device, so that a GPU never waits."""
    left_out: Tensor
    """Images of batches that were left out: int64 (), on the device."""
    began: float
    """On the monotonic clock, less what an earlier process spent on it, and as if nobody had paused."""
    batches: int = 0
    images: int = 0

    @classmethod
    def begin(cls, device: torch.device) -> "TrainPass":
        """Before the first batch."""
        nothing, none = torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device)
        return cls(nothing, none, time.monotonic())

    @property
    def mean_loss(self) -> float | None:
        """Over the images that count; ``None`` where none does."""
        counting = self.images - int(self.left_out)
        return finite(self.loss_sum.item() / counting) if counting else None


@dataclass(frozen=True)
class Predictions:
    """Of every image of a split, in its order."""

    probabilities: NDArray[np.float32]
    """(N, C)"""
    losses: NDArray[np.float32]
    """Negative log-likelihood, (N,)"""
    actual: NDArray[np.int64]
    """(N,)"""


def train_epoch(
    model: Classifier,
    forward: Forward,
    batches: Iterable[Batch],
    optimizer: Optimizer,
    objective: Objective,
    hardware: Hardware,
    *,
    seed: int,
    epoch: int,
    so_far: TrainPass,
    step: Step,
    times: Times,
    world: World = ALONE,
) -> None:
    """Train on every batch once.

    Args:
        forward: of the model, or of its part that learns.
        batches: those that ``so_far`` has not.
        so_far: kept up to date: it is right whenever ``step`` is called, and where this raises.

    Raises:
        NotFinite: a batch was left out; a GPU may have trained on one or two more since. Also where ``step``
            has raised: that is then its context.
        RuntimeError: of torch, such as memory that is full; the model is as after the last batch that counts.
    """
    model.train()
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    guard = Guard(model, optimizer, world)
    try:
        for number, batch in enumerate(times.waiting("waiting for batches", batches), so_far.batches):
            guard.begin()
            reseed(model, world.seed(seed), epoch, number)
            optimizer.zero_grad()
            # Of a rank without images SyncBatchNorm expects float32, as its statistics are.
            with times("forward"), hardware.autocast(enabled=len(batch) > 0):
                inputs, targets = objective.targets(batch.inputs, batch.labels, epoch, number)
                loss = world.loss(objective, forward(inputs), targets, batch.whole)
            with times("backward"):
                loss.backward()
                loss = world.add_up(loss, parameters)
            with times("optimiser"):
                left_out = guard.step(loss, parameters)
            so_far.loss_sum += torch.where(left_out, 0.0, loss.detach() * batch.whole)
            so_far.left_out += left_out * batch.whole
            so_far.batches += 1
            so_far.images += batch.whole
            guard.tell(number, batch.numbers, left_out)
            try:
                step(so_far.images)
            except Exception:
                guard.look()  # or a batch that was left out just now would never be told
                raise
        guard.look()
    except RuntimeError:
        guard.undo()
        raise


@torch.no_grad()
def predict(
    model: Classifier,
    forward: Forward,
    batches: Iterable[Batch],
    hardware: Hardware,
    *,
    step: Step,
    times: Times,
    world: World = ALONE,
) -> Predictions:
    """The verdict on every image of some batches, in their order.

    Args:
        forward: of the model, or of its part that learns.
    """
    model.eval()
    verdicts, labels, done = [], [], 0
    for batch in times.waiting("waiting for batches", batches):
        with times("forward, evaluating"), hardware.autocast():
            verdict = forward(batch.inputs)
        verdicts.append(world.gather(verdict, batch.shares))
        labels.append(world.gather(batch.labels, batch.shares))
        done += batch.whole
        step(done)
    log_probabilities, actual = torch.cat(verdicts), torch.cat(labels)
    losses = F.nll_loss(log_probabilities, actual, reduction="none")
    return Predictions(
        probabilities=log_probabilities.exp().cpu().numpy(),
        losses=losses.cpu().numpy(),
        actual=actual.cpu().numpy(),
    )


def mean_of(views: Sequence[Predictions]) -> Predictions:
    """The mean verdict on images that were looked at several times: test-time augmentation."""
    if len(views) == 1:
        return views[0]
    probabilities: NDArray[np.float32] = np.stack([view.probabilities for view in views]).mean(0)
    # In logarithms, for a probability may be too small for float32 and its loss is not too large.
    log_sum = np.logaddexp.reduce([-view.losses for view in views], axis=0)
    losses = (np.log(len(views)) - log_sum).astype(np.float32)
    return Predictions(probabilities, losses, views[0].actual)


@torch.no_grad()
def measure_batchnorm(
    model: Classifier,
    forward: Forward,
    batches: Iterable[Batch],
    hardware: Hardware,
    *,
    seed: int,
    epoch: int,
    step: Step,
) -> None:
    """Give the BatchNorms that learn the statistics of these batches, all of which count alike.

    What `torch.optim.swa_utils.update_bn` does, but that also forgets those that stay as they are.
    """
    model.train()
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.training]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
    done = 0
    try:
        for number, batch in enumerate(batches):
            for norm in norms:  # as None would do it, for which each would read a count back from a GPU
                norm.momentum = 1 / (number + 1)
            reseed(model, seed, epoch, number)
            with hardware.autocast(enabled=len(batch) > 0):
                forward(batch.inputs)
            done += batch.whole
            step(done)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def head_histograms(head: nn.Module, bins: int = 64) -> dict[str, Histogram]:
    """Histograms of the head's weights, and of its gradients at the last batch."""
    found: dict[str, Histogram] = {}
    for name, parameter in head.named_parameters():
        found[f"weights/{name}"] = _histogram(parameter.detach(), bins)
        if parameter.grad is not None:
            found[f"gradients/{name}"] = _histogram(parameter.grad, bins)
    return found


def _histogram(values: Tensor, bins: int) -> Histogram:
    flat = values.float().cpu().numpy().ravel().astype(np.float64)
    flat = flat[np.isfinite(flat)]
    if not flat.size:  # nothing finite is left of a run that diverged
        flat = np.zeros(1)
    counts, edges = np.histogram(flat, bins)
    return Histogram(
        counts=counts,
        edges=edges,
        minimum=float(flat.min()),
        maximum=float(flat.max()),
        total=float(flat.sum()),
        squares=float((flat**2).sum()),
    )

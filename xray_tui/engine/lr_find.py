"""The learning-rate range test: one batch a rate, from far too low to far too high (Smith 2017).

The loss first stays where it is, then falls, then rises: rates worth training with lie where it falls.
Nothing of it is kept: the weights are put back, and no run directory is made.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray

from xray_tui import config
from xray_tui.data import pixels
from xray_tui.data.pixel_cache import cache_of
from xray_tui.engine import checkpoints, plan
from xray_tui.engine.controls import Controls
from xray_tui.engine.guard import NotFinite
from xray_tui.engine.learner import Learner
from xray_tui.engine.passes import Passes
from xray_tui.engine.reporting import Reporter
from xray_tui.engine.stage import StageUnderWay
from xray_tui.engine.times import Times
from xray_tui.errors import UserError
from xray_tui.events import Emit, Event, Progress, Stage, Warning
from xray_tui.files import at_once
from xray_tui.settings import Settings
from xray_tui.words import count

Ending = Literal["range", "diverged", "not_finite"]
"""The whole range was tried; or the loss had risen too far; or it was no number any more."""

FEWEST = 20
"""Batches of a test that tells anything."""
_SMOOTHING = 0.9
"""What the average keeps of itself with each batch: it lags behind by ten. fastai keeps 0.98; with a hundred
batches over seven decades that average tells of rates three decades ago."""
_SETTLING = 10
"""Batches after which it is an average of several: before, one batch may look like a slope or a best."""
_FALL = 5.5
"""Standard deviations of the average. Where the loss stays as it is, the average of a hundred batches falls
less in 95 of 100 tests (simulated: normal noise)."""
_MEDIAN_OF_NORMAL = 0.6745
"""Median distance from the mean, in standard deviations."""
_ROUNDING = 1e-6
_TOO_FAR = 4.0
"""A loss as many times its best has diverged, as fastai has it."""


@dataclass(frozen=True)
class Suggestions:
    """Learning rates within those tested; ``None`` where the curve does not show one."""

    valley: float | None
    """Two thirds down the longest valley: the longest sequence of ever lower losses, passing over those
    between them that are not. The idea is that of fastai's default."""
    steepest: float | None
    """Where the loss falls fastest, by the logarithm of the rate."""
    minimum_tenth: float | None
    """A tenth of the rate with the lowest loss. None while the loss still falls at the highest rate."""


@dataclass(frozen=True)
class RateCurve:
    """What a test of one stage found."""

    stage: Stage
    rates: list[float]
    """Of each batch, evenly spaced on a logarithmic axis."""
    losses: list[float]
    """Of each batch, as training takes it, before that batch's own update."""
    ending: Ending

    @cached_property
    def smoothed(self) -> list[float]:
        return smooth(self.losses)

    @cached_property
    def suggestions(self) -> Suggestions:
        """None where the loss falls no further than its average goes up and down anyway."""
        losses, smoothed = self.losses[_SETTLING:], self.smoothed[_SETTLING:]
        if not falls(losses, smoothed):
            return Suggestions(None, None, None)
        return suggest(self.rates[_SETTLING:], smoothed)


class RateFinder:
    """Tests one stage after the other on the same images and from the same weights.

    Args:
        settings: of the run that is to come. Its schedules are left out: a test has its own.
        trained: checkpoints of a run, whose best weights the unfrozen stage begins with; ``None`` for
            the backbone's own weights and a head that has learned nothing.

    Raises:
        UserError: as :func:`xray_tui.engine.plan.make`; too much of train cannot be read; the checkpoint is
            of another model.
    """

    def __init__(self, settings: Settings, emit: Emit, trained: Path | None = None) -> None:
        self._emit = emit
        self.plan = plan.make(_as_tested(settings), emit)
        torch.set_num_threads(self.plan.hardware.threads)
        self._model = self.plan.model
        self._fresh = _copied(self._model)
        self._trained = self._fresh
        if trained is not None:
            checkpoints.load_best(trained, self._model)
            self._trained = _copied(self._model)
        self._reporter = Reporter(self._emit_of_passes, Controls())
        self._pixels = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Put the backbone's own weights back."""
        self._model.load_state_dict(self._fresh)

    @property
    def images(self) -> int:
        """That a test trains on."""
        return len(self._pixels)

    def epochs(self, batches: int) -> int:
        """How many times it goes through them."""
        size = self.plan.settings.training.batch_size
        whole, rest = divmod(self.images, size)
        return math.ceil(batches / (whole + (rest > 1)))

    def test(self, stage: Stage, lowest: float = 1e-7, highest: float = 1.0, batches: int = 100) -> RateCurve:
        """Train on one batch a rate, until the loss has diverged or the rates are through.

        The same seed gives the same curve. Where train has fewer batches, it is gone through several times,
        augmented anew.

        Args:
            lowest, highest: learning rates; groups with a factor have theirs in proportion.
            batches: as many rates lie between them, both included.

        Raises:
            UserError: as :func:`check`; memory has no room for half a batch.
        """
        check(lowest, highest, batches)
        rates = np.geomspace(lowest, highest, batches).tolist()
        training, model = self.plan.settings.training, self._model
        if stage == "frozen":
            model.load_state_dict(self._fresh)
            model.freeze()
        else:
            model.load_state_dict(self._trained)
            model.unfreeze(keep_statistics=training.batchnorm == "keep", from_group=training.unfreeze_from)
        learner = Learner.of(self.plan, stage, lowest)
        at = StageUnderWay(stage, 0, self.epochs(batches), learner, time.monotonic())
        passes = Passes(self.plan, self._reporter, self._emit, Times(), at_once)
        try:
            losses, ending = self._descend(passes, at, rates)
        finally:
            passes.close()
        return RateCurve(stage, rates[: len(losses)], losses, ending)

    def _descend(self, passes: Passes, at: StageUnderWay, rates: list[float]) -> tuple[list[float], Ending]:
        losses: list[float] = []
        done_before = 0

        def after_batch(done: int) -> None:
            nonlocal done_before
            so_far = at.train_pass
            assert so_far is not None
            if so_far.left_out:  # the guard tells of it a few batches late on a GPU
                raise _Over("not_finite")
            losses.append(so_far.loss_sum.item() / (done - done_before))
            so_far.loss_sum.zero_()
            done_before = done
            self._emit(Progress(phase="train", stage=at.stage, done=len(losses), total=len(rates)))
            if has_diverged(losses):
                raise _Over("diverged")
            if len(losses) == len(rates):
                raise _Over("range")
            at.learner.learning_rate = rates[len(losses)]

        try:
            for epoch in range(at.epochs):  # enough: memory that is full makes batches smaller, never larger
                at.train_pass, done_before = None, 0
                passes.train(self._pixels, at, epoch, after_batch, _no_rate)
        except _Over as over:
            return losses, over.ending
        except NotFinite:
            return losses, "not_finite"
        raise AssertionError("the batches were counted wrongly")

    def _read(self) -> pixels.Pixels:
        """Train alone: no other role has a say in it."""
        files, settings = self.plan.roles.train, self.plan.settings
        step = self._reporter.steps("reading", len(files))
        read = pixels.read_train(
            self.plan.listing.root, files, settings.training.resize, step, cache_of(settings.data)
        )
        pixels.check_broken(read.broken, len(files), settings.data.unreadable)
        if read.broken:
            images = "image" if len(read.broken) == 1 else "images"
            message = f"{count(len(read.broken))} {images} cannot be read: passed over"
            self._emit(Warning(kind="unreadable", message=message, paths=[b.path for b in read.broken]))
        if len(read) < 2:
            raise UserError(f"{len(read)} train images can be read: too few", "choose another data folder")
        return read

    def _emit_of_passes(self, event: Event) -> None:
        """How far a test is, it tells itself: it knows nothing of epochs."""
        if not (isinstance(event, Progress) and event.phase == "train"):
            self._emit(event)


def check(lowest: float, highest: float, batches: int) -> None:
    """
    Raises:
        UserError: they are no range of learning rates, or too few batches.
    """
    if not 0 < lowest < highest < math.inf:
        raise UserError(
            f"--from {lowest:g} --to {highest:g}: no range of learning rates",
            "both are above 0, and the second is the higher one",
        )
    if batches < FEWEST:
        raise UserError(f"--batches {batches}: too few to see a curve", f"{FEWEST} are the least")


def smooth(losses: Sequence[float]) -> list[float]:
    """Their exponential moving average without the pull towards 0 (Kingma and Ba 2015, section 3)."""
    smoothed, average = [], 0.0
    for number, loss in enumerate(losses, 1):
        average = _SMOOTHING * average + (1 - _SMOOTHING) * loss
        smoothed.append(average / (1 - _SMOOTHING**number))
    return smoothed


def falls(losses: Sequence[float], smoothed: Sequence[float]) -> bool:
    """Whether a fall can be told from batches that just differ.

    How much they do is told by the median difference between neighbours, on which neither a slope nor a few
    batches that diverge have much of a say.
    """
    if len(losses) < 2:
        return False
    between = np.median(np.abs(np.diff(losses)))
    of_batches = between / (_MEDIAN_OF_NORMAL * math.sqrt(2))
    of_average = of_batches * math.sqrt((1 - _SMOOTHING) / (1 + _SMOOTHING))
    fall = np.max(np.maximum.accumulate(smoothed) - smoothed)
    return bool(fall > _FALL * of_average + _ROUNDING * max(smoothed))


def has_diverged(losses: Sequence[float]) -> bool:
    """Whether the latest, smoothed, is too many times the best."""
    settled = smooth(losses)[_SETTLING:]
    return bool(settled) and settled[-1] > _TOO_FAR * min(settled)


def suggest(rates: Sequence[float], losses: Sequence[float]) -> Suggestions:
    """
    Args:
        rates: rising.
        losses: smoothed, one a rate; a factor on all of them changes nothing.
    """
    if len(rates) < 2:
        return Suggestions(None, None, None)
    heights = np.asarray(losses, dtype=np.float64)
    slopes = np.diff(heights) / np.diff(np.log(rates))
    fastest, lowest = int(slopes.argmin()), int(heights.argmin())
    has_minimum = lowest < len(rates) - 1 and rates[lowest] / 10 >= rates[0]
    first, last = _longest_valley(heights)
    return Suggestions(
        valley=rates[first + round((last - first) * 2 / 3)] if last > first else None,
        steepest=rates[fastest] if slopes[fastest] < 0 else None,
        minimum_tenth=rates[lowest] / 10 if has_minimum else None,
    )


def _longest_valley(heights: NDArray[np.float64]) -> tuple[int, int]:
    """Where the longest subsequence of ever lower heights begins and ends; the first of several."""
    lengths, beginnings = np.ones(len(heights), dtype=np.int64), np.arange(len(heights))
    for end in range(1, len(heights)):
        before = np.where(heights[:end] > heights[end], lengths[:end], 0)
        best = int(before.argmax())
        if before[best]:
            lengths[end], beginnings[end] = before[best] + 1, beginnings[best]
    last = int(lengths.argmax())
    return int(beginnings[last]), last


class _Over(Exception):
    """The test is over."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending)
        self.ending: Ending = ending


def _as_tested(settings: Settings) -> Settings:
    """The run's settings, less what would move the rate or the weights between the batches."""
    return config.replace(
        settings,
        {
            "training.frozen.epochs": 1,  # compiling must not pay, and both stages must fit
            "training.unfrozen.epochs": 1,
            "training.gradual": 0,
            "training.optimizer.schedule": "constant",
            "training.averaging.kind": "none",
        },
    )


def _copied(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _no_rate(value: float) -> None:
    """Nobody asks for another learning rate: the test has no controls."""

"""The learning-rate range test: one batch a rate, from far too low to far too high (Smith 2017).

The loss first stays where it is, then falls, then rises: rates worth training with lie where it falls.
Nothing of it is kept: the weights are put back, and no run directory is made.
"""

import math
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import torch

from xray_tui import config
from xray_tui.data.pixels import Pixels
from xray_tui.engine import checkpoints, plan
from xray_tui.engine.controls import Controls
from xray_tui.engine.guard import NotFinite
from xray_tui.engine.learner import Learner
from xray_tui.engine.passes import Passes
from xray_tui.engine.rate_curve import Ending, RateCurve, has_diverged
from xray_tui.engine.reading import Reader
from xray_tui.engine.reporting import Reporter
from xray_tui.engine.stage import StageUnderWay
from xray_tui.engine.times import Times
from xray_tui.errors import UserError
from xray_tui.events import Emit, Event, Progress, Stage
from xray_tui.files import at_once
from xray_tui.settings import Settings

FEWEST, MOST = 20, 100_000
"""Batches of a test that tells anything."""


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
        self.plan.hardware.set_up()
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

    def _read(self) -> Pixels:
        """Train alone: no other role has a say in it."""
        reader = Reader(self.plan, self._reporter)
        train = reader.train()
        if train.broken:
            self._emit(reader.warning(train.broken))
        return train

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
    if batches > MOST:
        raise UserError(f"--batches {batches}: more than a curve can show", f"{MOST} are the most")


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

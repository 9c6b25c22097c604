"""Passes over train, validation and test: what feeds them, what learns from them, and what memory allows."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from xray_tui.data.augmentation import Normalisation
from xray_tui.data.pixel_cache import folder_of
from xray_tui.data.pixels import Pixels
from xray_tui.engine import hardware, room
from xray_tui.engine.batches import Batch, Batches
from xray_tui.engine.epoch import (
    Forward,
    Predictions,
    Step,
    TrainPass,
    mean_of,
    measure_batchnorm,
    predict,
    train_epoch,
)
from xray_tui.engine.features import Features
from xray_tui.engine.plan import Plan
from xray_tui.engine.reporting import Reporter
from xray_tui.engine.stage import StageUnderWay
from xray_tui.engine.times import Times
from xray_tui.errors import UserError
from xray_tui.events import Emit, Phase, Stage, Warning
from xray_tui.files import Insist

_T = TypeVar("_T")

SetRate = Callable[[float], None]
"""Changes the learning rate."""


class Passes:
    """
    Args:
        batch_size: that memory had room for before the run was resumed; 0 where it was enough.
        insist: waits where the disk has no room for features.
    """

    def __init__(
        self,
        plan: Plan,
        reporter: Reporter,
        emit: Emit,
        times: Times,
        insist: Insist,
        batch_size: int = 0,
    ) -> None:
        self._plan = plan
        self._reporter = reporter
        self._emit = emit
        self._times = times
        settings, device = plan.settings, plan.hardware.device
        normalisation = Normalisation(plan.backbone.mean, plan.backbone.std, device)
        self._batches = Batches(
            settings.training, normalisation, device, plan.hardware.threads, times, plan.world
        )
        self._batches.size = batch_size or self._batches.size
        self._features = Features(
            plan.model, self._batches, plan.hardware, folder_of(settings.data), times, plan.world, insist
        )

    @property
    def batch_size(self) -> int:
        return self._batches.size

    @property
    def _keeps_features(self) -> bool:
        """Whether what the frozen part makes of an image is of use in more than one epoch."""
        model = self._plan.model
        return model.has_fixed and (model.frozen or not self._plan.settings.training.gradual)

    def forget_features(self) -> None:
        """The frozen part is another from here on."""
        self._features.forget()

    def close(self) -> None:
        self._batches.close()

    def train(
        self, pixels: Pixels, at: StageUnderWay, epoch: int, keep: Step, set_rate: SetRate
    ) -> TrainPass:
        """The rest of an epoch of train; ``at.train_pass`` tells how far it is.

        Args:
            keep: called between batches, after what was asked has been obeyed.

        Raises:
            NotFinite: a batch was left out.
            UserError: memory is full, and half a batch did not help.
        """
        plan = self._plan
        so_far = at.train_pass = at.train_pass or TrainPass.begin(plan.hardware.device)

        def train() -> None:
            forward, batches = self._train_batches(pixels, at, epoch, so_far.images, set_rate)
            obey = self._reporter.steps(
                "train", len(pixels), at.stage, epoch, first=so_far.images, set_rate=set_rate
            )

            def step(done: int) -> None:
                at.learner.follow()
                paused = self._reporter.paused_seconds
                try:
                    obey(done)
                finally:
                    so_far.began += self._reporter.paused_seconds - paused
                keep(done)
                at.pace(epoch, done / len(pixels))

            at.pace(epoch, so_far.images / len(pixels))
            train_epoch(
                plan.model,
                forward,
                batches,
                at.learner.optimizer,
                at.learner.objective,
                plan.hardware,
                seed=plan.settings.training.seed,
                epoch=epoch,
                so_far=so_far,
                times=self._times,
                world=plan.world,
                step=step,
            )

        self._within_memory(train)
        plan.world.same_statistics(plan.model)
        if at.learner.average:
            plan.world.same(at.learner.average.tensors.values())
        return so_far

    def predict(
        self,
        pixels: Pixels,
        phase: Phase,
        stage: Stage | None = None,
        epoch: int | None = None,
        set_rate: SetRate | None = None,
    ) -> Predictions:
        """The model's verdict on every image of a role; raises ``UserError`` as :meth:`train`."""
        plan = self._plan
        views = (False, True) if plan.settings.evaluation.tta == "flip" else (False,)

        def evaluate() -> Predictions:
            total = len(pixels) * len(views)
            obey = self._reporter.steps(phase, total, stage, epoch, set_rate=set_rate)
            found = []
            for view, mirrored in enumerate(views):

                def step(done: int, before: int = view * len(pixels)) -> None:
                    obey(before + done)

                forward: Forward = plan.model
                if phase == "validation" and self._keeps_features:
                    kept = self._features.validation(pixels, step, mirrored=mirrored)
                    forward, batches = plan.model.learned, self._batches.kept(kept, pixels.labels)
                else:
                    batches = self._batches.plain(pixels, mirrored=mirrored)
                verdict = predict(
                    plan.model,
                    forward,
                    batches,
                    plan.hardware,
                    step=step,
                    times=self._times,
                    world=plan.world,
                )
                found.append(verdict)
            return mean_of(found)

        return self._within_memory(evaluate)

    def hidden(self, pixels: Pixels, stage: Stage) -> Tensor:
        """What the head's last layer is given of each validation image: float32 (N, hidden), on the CPU.

        Raises ``UserError`` as :meth:`train`.
        """
        plan, model = self._plan, self._plan.model

        @torch.no_grad()
        def look() -> Tensor:
            step = self._reporter.steps("explaining", len(pixels), stage)
            model.eval()
            if keeps := self._keeps_features:
                batches = self._batches.kept(self._features.validation(pixels, step), pixels.labels)
            else:
                batches = self._batches.plain(pixels)
            made, done = [], 0
            for batch in self._times.waiting("waiting for batches", batches):
                with self._times("forward, explaining"), plan.hardware.autocast():
                    hidden = model.hidden(batch.inputs if keeps else model.fixed(batch.inputs))
                made.append(plan.world.gather(hidden, batch.shares))
                done += batch.whole
                step(done)
            return torch.cat(made).cpu()

        return self._within_memory(look)

    def measure_statistics(self, pixels: Pixels, at: StageUnderWay, epoch: int, set_rate: SetRate) -> None:
        """Let the BatchNorms that learn take the statistics of one pass over train; no weight changes."""
        plan = self._plan

        def measure() -> None:
            step = self._reporter.steps("statistics", len(pixels), at.stage, epoch, set_rate=set_rate)
            forward, batches = self._train_batches(pixels, at, epoch, 0, set_rate)
            seed = plan.settings.training.seed
            measure_batchnorm(plan.model, forward, batches, plan.hardware, seed=seed, epoch=epoch, step=step)

        self._within_memory(measure)
        plan.world.same_statistics(plan.model)

    def _train_batches(
        self, pixels: Pixels, at: StageUnderWay, epoch: int, first: int, set_rate: SetRate
    ) -> tuple[Forward, Iterator[Batch]]:
        """Of an epoch, after its ``first`` so many images, with what is to learn from them."""
        model, training = self._plan.model, self._plan.settings.training
        views = training.views
        # Where no epoch of the stage comes back to a view, nothing is worth keeping. And images are to be
        # mixed, not what a part of the network has made of them.
        mixes = at.stage == "unfrozen" and training.loss.mixup + training.loss.cutmix > 0
        if not self._keeps_features or views is None or at.epochs <= views or mixes:
            return model, self._batches.train(pixels, epoch, first)
        kept = self._features.view(
            pixels,
            epoch % views,
            lambda: self._reporter.steps("features", len(pixels), at.stage, epoch, set_rate=set_rate),
        )
        return model.learned, self._batches.kept(kept, pixels.labels, epoch, first)

    def _within_memory(self, work: Callable[[], _T]) -> _T:
        """Do it, where memory is full with batches half as large: they are halved once in a run."""
        while True:
            try:
                return work()
            except RuntimeError as error:
                if not room.is_shortage(error):
                    raise
            # Not above: the error holds on to what filled the memory.
            self._halve()

    def _halve(self) -> None:
        hardware.release()
        plan, size = self._plan, self.batch_size
        training = plan.settings.training
        # What a frozen part takes was not kept for a backward pass, and cannot be counted as that is.
        fits = 0 if plan.model.has_fixed else room.fitting(plan.model, plan.hardware, training.image_size)
        would = f": {fits} would fit" if 0 < fits < size else ""
        if size < training.batch_size or plan.world.size > 1 or size < 4:
            raise UserError(
                f"no memory for batches of {size}{would}",
                f"use --batch-size {min(fits or size, max(2, size // 2))}, or a smaller --image-size"
                if size > 3
                else "",
            )
        self._batches.size = size // 2
        message = f"no memory for batches of {size}{would}; the run goes on with {size // 2} images a batch"
        self._emit(Warning(kind="out_of_memory", message=message))

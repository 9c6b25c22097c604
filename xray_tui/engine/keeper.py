"""Keeps a run's checkpoints: writes them when they are due, and goes back to them."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from xray_tui.engine import checkpoints, results
from xray_tui.engine.plan import Plan
from xray_tui.engine.stage import StageUnderWay
from xray_tui.engine.standing import Standing
from xray_tui.engine.times import Times
from xray_tui.errors import UserError
from xray_tui.events import Emit
from xray_tui.files import Insist


class Keeper:
    """
    Args:
        folder: of the checkpoints; rank 0 alone writes there.
        insist: waits where the disk is full.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        emit: Emit,
        times: Times,
        insist: Insist,
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._emit = emit
        self._times = times
        self._insist = insist
        self._every_seconds = 60 * plan.settings.run.checkpoint_minutes or math.inf
        self._saved = time.monotonic()
        self.marks = torch.empty(0, dtype=torch.int64)
        """Of the images that are read."""

    @property
    def is_due(self) -> bool:
        """Whether so much has been done since the last checkpoint that it should not be lost."""
        return time.monotonic() - self._saved >= self._every_seconds

    def save_last(self, at: StageUnderWay, **of_run: Any) -> None:
        """Where the run stands: a resume goes on from here."""
        plan = self._plan
        if not plan.world.main:
            return
        position = at.position(files=plan.digest, processes=plan.world.size, **of_run)
        path = self._save(
            lambda: checkpoints.save_last(self._folder, plan.model, at.learner, position, self.marks)
        )
        self._saved = time.monotonic()
        self._emit(results.checkpoint_saved("last", path, position.next_epoch))

    def save_best(self, at: StageUnderWay, epoch: int) -> None:
        """The weights that count in the best epoch, which is the one that has just ended."""
        if not self._plan.world.main:
            return
        with at.learner.counting():
            path = self._save(lambda: checkpoints.save_best(self._folder, self._plan.model, epoch))
        self._emit(results.checkpoint_saved("best", path, epoch))

    def _save(self, save: Callable[[], Path]) -> Path:
        try:
            with self._times("checkpoints"):
                return self._insist(save)
        except OSError as error:
            raise UserError(
                f"no checkpoint can be written into {self._folder}: {error.strerror or error}",
                "a resume goes on from the last one that could",
            ) from error

    def load_best(self) -> None:
        checkpoints.load_best(self._folder, self._plan.model, self._plan.world)

    def go_back(self, at: StageUnderWay) -> None:
        """To the last checkpoint, which is of the same stage and epoch."""
        plan = self._plan
        position = plan.world.tell(checkpoints.read_position(self._folder) if plan.world.main else None)
        assert position is not None
        checkpoints.load_last(self._folder, plan.model, at.learner, position.averaged, plan.world)
        at.train_pass = (
            Standing(position, at.learner).train_pass(plan.hardware.device, time.monotonic())
            if position.batches
            else None
        )

"""Between two batches: tell where the pass stands, then obey what was asked."""

import time
from collections.abc import Callable

from xray_tui.engine.controls import Controls
from xray_tui.events import Control, ControlUsed, Emit, Phase, Progress, Stage

_EVERY_SECONDS = 0.05  # progress faster than the eye is only work


class Reporter:
    """Joins the event stream with the controls at the one place where both matter."""

    def __init__(self, emit: Emit, controls: Controls) -> None:
        self._emit = emit
        self._controls = controls
        self._now = Progress(phase="reading")
        self.paused_seconds = 0.0
        """That this process has waited for a person between two batches."""

    def steps(
        self,
        phase: Phase,
        total: int,
        stage: Stage | None = None,
        epoch: int | None = None,
        *,
        first: int = 0,
        set_rate: Callable[[float], None] | None = None,
    ) -> Callable[[int], None]:
        """A function to call with the images done so far; it may raise ``Stop`` and its like.

        Speed is counted without the time spent paused.

        Args:
            first: images that were done before this pass began: a resumed epoch has some.
            set_rate: changes the learning rate, where one is in use.
        """
        began = reported = time.monotonic()
        self._now = Progress(phase=phase, stage=stage, epoch=epoch, done=first, total=total)
        self._emit(self._now)

        def step(done: int) -> None:
            nonlocal began, reported
            now = time.monotonic()
            if now - reported >= _EVERY_SECONDS or done == total:
                reported = now
                speed = (done - first) / (now - began) if now > began else None
                self._now = Progress(
                    phase=phase, stage=stage, epoch=epoch, done=done, total=total, images_per_second=speed
                )
                self._emit(self._now)
            try:
                self._controls.obey(
                    self._used, can_unfreeze=stage == "frozen", set_rate=set_rate, early=stage is None
                )
            finally:
                paused = time.monotonic() - now  # what obeying took
                self.paused_seconds += paused
                began += paused

        return step

    def wait_for_unfreeze(self) -> None:
        self._now = Progress(
            phase="waiting", stage="frozen", note="the frozen stage is done: unfreeze when ready"
        )
        self._emit(self._now)
        self._controls.wait_for_unfreeze(self._used)

    def _used(self, control: Control, why: str, value: float | None = None) -> None:
        now = self._now
        self._emit(ControlUsed(control=control, stage=now.stage, epoch=now.epoch, why=why, value=value))

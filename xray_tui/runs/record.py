"""What a run has come to, folded from its events: the one model that every screen shows."""

from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from xray_tui.events import (
    Best,
    CheckpointSaved,
    ControlUsed,
    EpochEnded,
    Event,
    Mistakes,
    Progress,
    Resumed,
    RunEnded,
    RunStarted,
    Stage,
    StageEnded,
    StageStarted,
    TestEvaluated,
    Warning,
)

_E = TypeVar("_E", bound=Event)


@dataclass
class RunRecord:
    """Apply events in order; read the fields. Arrays are let go, so a long run stays small."""

    started: RunStarted | None = None
    stages: dict[Stage, StageStarted] = field(default_factory=dict)
    epochs: list[EpochEnded] = field(default_factory=list)
    best: Best | None = None
    mistakes: dict[int, Mistakes] = field(default_factory=dict)
    controls: list[ControlUsed] = field(default_factory=list)
    warnings: list[Warning] = field(default_factory=list)
    checkpoints: dict[str, CheckpointSaved] = field(default_factory=dict)
    test: TestEvaluated | None = None
    ended: RunEnded | None = None
    progress: Progress | None = None
    paused: bool = False
    first_t: float | None = None
    last_t: float | None = None

    @classmethod
    def of(cls, events: "list[Event]") -> "RunRecord":
        record = cls()
        for event in events:
            record.apply(event)
        return record

    def apply(self, event: Event) -> None:
        self.first_t = event.t if self.first_t is None else self.first_t
        self.last_t = event.t
        match event:
            case Progress():
                self.progress = event
            case RunStarted():
                self.started = event
            case StageStarted():
                self.stages[event.stage] = event
            case EpochEnded():
                self.epochs.append(_light(event))
            case Best():
                self.best = event
            case Mistakes():
                self.mistakes[event.epoch] = _light(event)
            case ControlUsed():
                self.controls.append(event)
                self.paused = event.control == "pause"
            case CheckpointSaved():
                self.checkpoints[event.checkpoint] = event
            case Warning():
                self.warnings.append(event)
            case StageEnded():
                self.progress = None
            case TestEvaluated():
                self.test = event
            case RunEnded():
                self.ended, self.progress, self.paused = event, None, False
            case Resumed():
                self._forget_from(event.epoch)

    @property
    def classes(self) -> list[str]:
        return self.started.classes if self.started else []

    @property
    def stage(self) -> Stage | None:
        """The stage under way, or the last one."""
        return next(reversed(self.stages), None)

    @property
    def boundary(self) -> int | None:
        """The first unfrozen epoch, where that stage has begun."""
        unfrozen = self.stages.get("unfrozen")
        return unfrozen.first_epoch if unfrozen else None

    def epoch(self, number: int) -> EpochEnded | None:
        return next((e for e in reversed(self.epochs) if e.epoch == number), None)

    @property
    def best_epoch(self) -> EpochEnded | None:
        return self.epoch(self.best.epoch) if self.best else None

    @property
    def eta_seconds(self) -> float | None:
        """Seconds to the end of the stage under way, from its own speed; ``None`` before that is known."""
        stage = self.stages.get(self.stage) if self.stage else None
        progress = self.progress
        if self.ended or stage is None or progress is None or progress.epoch is None:
            return None
        left = stage.first_epoch + stage.epochs - progress.epoch - 1
        of_stage = [e.seconds for e in self.epochs if e.stage == stage.stage]
        speed = progress.images_per_second
        rest = (progress.total - progress.done) / speed if speed else None
        if rest is None:
            return None
        if of_stage:
            return rest + left * of_stage[-1]
        # Before the first epoch of the stage has ended, validation is counted at the speed of training.
        images = self.started.images if self.started else {}
        validation = sum(images.get("validation", {}).values())
        assert speed is not None
        return rest + (validation + left * (progress.total + validation)) / speed

    def _forget_from(self, epoch: int) -> None:
        """A resumed run does again what came after its checkpoint."""
        self.epochs = [e for e in self.epochs if e.epoch < epoch]
        self.mistakes = {n: m for n, m in self.mistakes.items() if n < epoch}
        self.stages = {n: s for n, s in self.stages.items() if s.first_epoch <= epoch}
        if self.best and self.best.epoch >= epoch:
            self.best = None
            for e in self.epochs:
                loss = e.validation_loss
                if loss is not None and (self.best is None or loss < self.best.validation_loss):
                    self.best = Best(
                        t=e.t, stage=e.stage, epoch=e.epoch, validation_loss=loss, accuracy=e.accuracy
                    )
        self.ended = None
        self.paused = False


def _light(event: _E) -> _E:
    """The event without its arrays."""
    return msgspec.structs.replace(event, **dict.fromkeys(event.ARRAYS))

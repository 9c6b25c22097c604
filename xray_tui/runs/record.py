"""What a run has come to, folded from its events: the one model that every screen shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple, TypeVar

import msgspec

from xray_tui.events import (
    Best,
    CheckpointSaved,
    ControlUsed,
    EpochEnded,
    Event,
    Explained,
    Mistakes,
    OperatingPoint,
    Progress,
    Resumed,
    RunEnded,
    RunStarted,
    Stage,
    StageEnded,
    StageStarted,
    TestEvaluated,
    TestUnsealed,
    Warning,
)
from xray_tui.runs.mistakes import MistakesByEpoch, UnreadMistakes

_E = TypeVar("_E", bound=Event)

_PACE = 5
"""Epochs that say how long the next ones take."""


class Later(NamedTuple):
    seconds: float
    certain: bool
    """Whether that is an estimate; else it is the least that it can be."""


@dataclass
class RunRecord:
    """Apply events in order; read the fields. Arrays are let go, so a long run stays small."""

    started: RunStarted | None = None
    stages: dict[Stage, StageStarted] = field(default_factory=dict)
    epochs: list[EpochEnded] = field(default_factory=list)
    best: Best | None = None
    mistakes: MistakesByEpoch = field(default_factory=MistakesByEpoch)
    controls: list[ControlUsed] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)
    """The epochs that the run went on with, each time it was interrupted."""
    warnings: list[Warning] = field(default_factory=list)
    checkpoints: dict[str, CheckpointSaved] = field(default_factory=dict)
    point: OperatingPoint | None = None
    """``None`` where the likeliest class is called."""
    unsealed: TestUnsealed | None = None
    """The last time; a resume does not undo it."""
    unsealed_amid: int | None = None
    """Epochs that there were when test was first looked at, where training went on after that."""
    explained: dict[Stage, Explained] = field(default_factory=dict)
    test: TestEvaluated | None = None
    ended: RunEnded | None = None
    progress: Progress | None = None
    paused: bool = False
    let_go: bool = False
    """Whether the process that had the run has detached it, and none has gone on with it yet."""
    first_t: float | None = None
    """Of the first event that was no progress, as the journal has it."""
    last_t: float | None = None
    told_t: float | None = None
    """Of the last event that was no progress."""
    idle_seconds: float = field(default=0.0, init=False, repr=False)
    """Between what one process told last and another one's going on with the run, or evaluating it."""
    _by_number: dict[int, EpochEnded] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, events: "list[Event]") -> "RunRecord":
        record = cls()
        for event in events:
            record.apply(event)
        return record

    def apply(self, event: Event) -> None:
        if not isinstance(event, Progress):
            self.first_t = event.t if self.first_t is None else self.first_t
            if (isinstance(event, Resumed) or self.ended) and self.told_t is not None:
                self.idle_seconds += event.t - self.told_t
            self.told_t = event.t
        self.last_t = event.t
        match event:
            case Progress():
                self.progress = event
            case RunStarted():
                self.started = event
                self.mistakes.classes = len(event.classes)
            case StageStarted():
                self.stages[event.stage] = event
            case EpochEnded():
                ended = light(event)
                if self.unsealed and self.unsealed_amid is None:
                    self.unsealed_amid = len(self.epochs)
                self.epochs.append(ended)
                self._by_number[ended.epoch] = ended
            case Best():
                self.best = event
            case Mistakes():
                self.mistakes.keep(light(event))
            case UnreadMistakes():
                self.mistakes.keep(event)
            case ControlUsed():
                self.controls.append(event)
                if event.control not in ("learning_rate", "detach"):  # neither ends a pause
                    self.paused = event.control == "pause"
                self.let_go = event.control == "detach"
            case CheckpointSaved():
                self.checkpoints[event.checkpoint] = event
            case Warning():
                self.warnings.append(event)
            case StageEnded():
                self.progress = None
            case OperatingPoint():
                self.point = event
            case TestUnsealed():
                self.unsealed = event
            case Explained():
                self.explained[event.stage] = light(event)
            case TestEvaluated():
                self.test = light(event)
            case RunEnded():
                self.ended, self.progress, self.paused = event, None, False
            case Resumed():
                self.resumed.append(event.epoch)
                self._forget_from(event.epoch, event.stage)

    @property
    def classes(self) -> list[str]:
        return self.started.classes if self.started else []

    @property
    def positive(self) -> str:
        """The class that sensitivity speaks of."""
        named = self.started.settings.get("data", {}).get("positive") if self.started else ""
        return named or (self.classes[-1] if self.classes else "")

    @property
    def selected_on_test(self) -> bool:
        """Whether the best epoch was chosen on the folder ``test``, as published."""
        return selected_on_test(self.started.settings) if self.started else False

    @property
    def stage(self) -> Stage | None:
        """The stage under way, or the last one."""
        return next(reversed(self.stages), None)

    @property
    def boundary(self) -> int | None:
        """The first unfrozen epoch, where that stage has begun."""
        unfrozen = self.stages.get("unfrozen")
        return unfrozen.first_epoch if unfrozen else None

    @property
    def seconds(self) -> float | None:
        """That the run was worked on, as far as its journal tells: an end says it itself, else its last event
        does; the time between an interruption and its resumption left out.
        """
        if self.ended:
            return self.ended.seconds
        if self.first_t is None or self.told_t is None:
            return None
        return self.told_t - self.first_t - self.idle_seconds

    def epoch(self, number: int) -> EpochEnded | None:
        return self._by_number.get(number)

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
        end = stage.first_epoch + stage.epochs
        slow_end = stage.first_epoch + self._slow_epochs(stage)
        slow_left, left = max(0, slow_end - progress.epoch - 1), end - progress.epoch - 1
        last = self.epochs[-1] if self.epochs else None
        speed = progress.images_per_second
        rest = (progress.total - progress.done) / speed if speed else None
        if rest is None:
            return None
        if last is not None and last.stage == stage.stage:
            slow = last.epoch < slow_end
            pace = self._seconds_an_epoch(stage.first_epoch if slow else slow_end)
            return rest + (slow_left if slow and slow_end < end else left) * pace
        if slow_end < end and progress.phase == "train":  # the head alone: its speed says nothing of an epoch
            return None
        # Before the first epoch of the stage has ended, validation is counted at the speed of training.
        images = self.started.images if self.started else {}
        validation = sum(images.get("validation", {}).values())
        assert speed is not None
        return rest + (validation + slow_left * (progress.total + validation)) / speed

    def _seconds_an_epoch(self, since: int) -> float:
        """From end to end, with what is written in between: the middle one of the newest, for a single epoch
        may have waited for somebody.

        Args:
            since: the first epoch that says something about those to come; one of them has ended.
        """
        newest = [ended for ended in self.epochs[-_PACE - 1 :] if ended.epoch >= since]
        known = [b.t - a.t for a, b in pairwise(newest) if b.epoch not in self.resumed]
        return median(known) if known else newest[-1].seconds

    def _slow_epochs(self, stage: StageStarted) -> int:
        """How many epochs of a stage, its first ones, run the whole network: others may know its features."""
        training = self.started.settings.get("training", {}) if self.started else {}
        views = str(training.get("augment_views", "off"))
        keeps = stage.stage == "frozen" or training.get("unfreeze_from")
        return min(int(views), stage.epochs) if keeps and views.isdecimal() else stage.epochs

    @property
    def later(self) -> Later:
        """What the run has before it when the stage under way has ended, less the evaluation of test."""
        settings = self.started.settings.get("training", {}) if self.started else {}
        planned = settings.get("unfrozen", {}).get("epochs", 0)
        if self.ended or self.stage == "unfrozen" or not planned:
            return Later(0.0, certain=True)
        # Nobody has seen an unfrozen epoch yet. It takes no less than a frozen one, which learns less.
        progress = self.progress
        if self.epochs:
            return Later(planned * self._least_seconds_an_epoch, certain=False)
        speed = progress.images_per_second if progress else None
        return Later(planned * progress.total / speed if progress and speed else 0.0, certain=False)

    @property
    def _least_seconds_an_epoch(self) -> float:
        """Of the frozen stage, where the whole network runs: one that knows its features is quicker."""
        stage = self.stages.get("frozen")
        slow_end = stage.first_epoch + self._slow_epochs(stage) if stage else self.epochs[-1].epoch + 1
        paused = {used.epoch for used in self.controls if used.control == "pause"}
        slow = [e.seconds for e in self.epochs if e.epoch < slow_end and e.epoch not in paused]
        return min(slow, default=self.epochs[-1].seconds)

    def _forget_from(self, epoch: int, stage: Stage | None) -> None:
        """A resumed run does again what came after its checkpoint."""
        self.epochs = [e for e in self.epochs if e.epoch < epoch]
        self._by_number = {e.epoch: e for e in self.epochs}
        self.mistakes.forget_from(epoch)
        self.stages = {n: s for n, s in self.stages.items() if s.first_epoch <= epoch}
        if stage == "frozen":
            self.stages.pop("unfrozen", None)
        done: set[Stage] = {"frozen"} if stage == "unfrozen" else set()
        self.explained = {n: e for n, e in self.explained.items() if n in done}
        if self.best and self.best.epoch >= epoch:
            self.best = None
            for e in self.epochs:
                loss = e.validation_loss
                if loss is not None and (self.best is None or loss < self.best.validation_loss):
                    self.best = Best(
                        t=e.t, stage=e.stage, epoch=e.epoch, validation_loss=loss, accuracy=e.accuracy
                    )
        self.point = self.test = self.ended = self.progress = None
        self.paused = self.let_go = False


def selected_on_test(settings: Mapping[str, Any]) -> bool:
    """
    Args:
        settings: of a run, resolved, as the tree of ``settings.Settings``; may be empty.
    """
    return bool(settings.get("data", {}).get("split") == "recipe")


def light(event: _E) -> _E:
    """The event without its arrays."""
    for name in event.ARRAYS:
        if getattr(event, name) is not None:
            break
    else:  # as every event is that was read back
        return event
    return msgspec.structs.replace(event, **dict.fromkeys(event.ARRAYS))

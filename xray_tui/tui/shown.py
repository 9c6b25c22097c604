"""A run as the dashboard holds it: its record, its source, and what the person looks at."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from xray_tui.events import (
    CheckpointSaved,
    Control,
    EpochEnded,
    Event,
    Mistakes,
    Progress,
    Resumed,
    StageEnded,
    StageStarted,
)
from xray_tui.runs.record import RunRecord
from xray_tui.tui.sources import Failure, ReplaySource, Source

Tone = Literal["frozen", "unfrozen", "success", "warning", "error", "muted"]

ASKED: dict[Control, str] = {
    "pause": "pausing …",
    "resume": "resuming …",
    "unfreeze": "unfreezing after this batch …",
    "learning_rate": "changing the learning rate …",
    "stop": "stopping after this batch …",
    "detach": "handing over …",
}
_PHASES = {
    "weights": "loading weights",
    "reading": "reading radiographs",
    "waiting": "waiting for you: {unfreeze} unfreezes",
    "full": "disk full: waiting for room",
    "explaining": "explaining mistakes",
    "test": "evaluating test",
}
_LEARNING = ("features", "train", "statistics", "validation", "full")


@dataclass(frozen=True)
class Status:
    """How the run is, in words and a tone."""

    words: str
    tone: Tone
    moving: bool = False


@dataclass(eq=False)
class ShownRun:
    """One run on the screen. Handlers of the app own it; panes only read it."""

    source: Source
    clock: Callable[[], float] = time.time
    record: RunRecord = field(default_factory=RunRecord)
    epoch: int | None = None
    """The epoch the person has scrubbed to; ``None`` follows the newest."""
    asked: Control | None = None
    """What was asked of the run and has not happened yet."""
    eta_seconds: float | None = None
    told_until: float = float("-inf")
    """What happened until then (Unix seconds) is no news, though a source may tell it again."""
    handed_over: bool = False
    """Whether it began in this process and lives in another one now."""
    _began: float | None = None
    """When it was first heard of (Unix seconds): a run of this process prepares before its journal begins."""
    _anew: bool = False
    _told: int = 0
    """How many events have been applied that may have changed more than the row of the epoch under way."""

    def hand_over_to(self, source: Source) -> None:
        """The same run through another source, which will tell it from its beginning.

        Until it does, the record stays as it is.
        """
        self.source, self.asked = source, None
        self.told_until = self.record.last_t or self.told_until
        self.handed_over = self._anew = True

    def apply(self, events: Iterable[Event]) -> None:
        events = list(events)
        if self._anew and any(not isinstance(event, Progress) for event in events):
            self.record, self._anew = RunRecord(), False
        for event in events:
            self._began = event.t if self._began is None else self._began
            if not (isinstance(event, Progress) and self.record.ended):
                self.record.apply(event)
            if self.asked and self._answers(event):
                self.asked = None
            self._told += not isinstance(event, Progress | CheckpointSaved)
        eta = self.record.eta_seconds
        if eta is not None or self.record.progress is None or not self.live:
            self.eta_seconds = eta

    def _answers(self, event: Event) -> bool:
        if self.record.ended is not None:
            return True
        if self.asked == "detach":  # told at its beginning; where it fails, the run is resumed here
            return isinstance(event, Resumed)
        if self.asked in ("unfreeze", "learning_rate") and isinstance(event, StageStarted | StageEnded):
            return True  # too late: what was asked was of the stage before
        return getattr(event, "control", None) == self.asked

    @property
    def version(self) -> tuple[object, ...]:
        """The same as before where nothing has changed but the progress of the epoch under way."""
        return self._told, self.epoch, self.asked, self.live, self.paused, self.failure

    @property
    def failure(self) -> Failure | None:
        ended = self.record.ended
        if self.source.failure:
            return self.source.failure
        if ended and ended.outcome == "failed":
            return Failure(f"the run failed: {ended.why}", "")
        return None

    @property
    def ours(self) -> bool:
        """Whether the run lives in this process."""
        return self.source.kind == "live"

    @property
    def live(self) -> bool:
        """Whether more may come from it."""
        return not self.source.finished and self.record.ended is None

    @property
    def held(self) -> bool:
        """Whether it is paused, or is to be."""
        return self.paused if self.asked not in ("pause", "resume") else self.asked == "pause"

    @property
    def begins_again(self) -> bool:
        """Whether all that it has told is of an earlier process: the one that goes on is silent yet."""
        told = self.record.told_t
        return not self.source.finished and told is not None and told <= self.told_until

    @property
    def paused(self) -> bool:
        if isinstance(self.source, ReplaySource):
            return self.source.held
        return self.record.paused

    @property
    def replay_stopped(self) -> bool:
        """Whether it is played back, and not to its end: how the run itself ended is another matter."""
        source = self.source
        return (
            isinstance(source, ReplaySource) and source.stopped and source.finished and not self.record.ended
        )

    @property
    def failed(self) -> bool:
        return self.failure is not None

    @property
    def data_root(self) -> Path | None:
        started = self.record.started
        root = started.settings.get("data", {}).get("root") if started else None
        return Path(root).expanduser() if root else None

    @property
    def seconds(self) -> float | None:
        """How long the run has taken so far: now, where it lives; else as its record has it."""
        record, began, until = self.record, self._began, self.record.last_t
        if not self.live and self.source.kind != "replay":
            return record.seconds
        if record.ended:
            return record.ended.seconds
        if began is None or until is None:
            return None
        if self.begins_again or (record.let_go and self.live):  # nobody works on it
            until = record.told_t or until
        elif self.source.kind != "replay":
            until = self.clock()
        return until - began - record.idle_seconds

    @property
    def images_per_second(self) -> float | None:
        """As it learns or validates now; before that is known, as in the newest epoch of the stage."""
        progress, newest = self.record.progress, self.newest
        if not self.live or self.paused or progress is None or progress.phase not in ("train", "validation"):
            return None
        before = newest.images_per_second if newest and newest.stage == progress.stage else None
        return progress.images_per_second or before

    @property
    def newest(self) -> EpochEnded | None:
        return self.record.epochs[-1] if self.record.epochs else None

    @property
    def looked_at(self) -> EpochEnded | None:
        """The epoch that every pane shows."""
        if self.epoch is not None:
            return self.record.epoch(self.epoch) or self.newest
        return self.newest

    @property
    def mistakes(self) -> Mistakes | None:
        epoch = self.looked_at
        return self.record.mistakes.get(epoch.epoch) if epoch else None

    def scrub(self, step: int) -> bool:
        """Look an epoch earlier or later; past the newest follows the run again."""
        numbers = [ended.epoch for ended in self.record.epochs]
        if not numbers:
            return False
        # The live row stands below the newest epoch that has ended, so the first step back is onto that.
        below = self.live and self.record.progress is not None and self.record.progress.epoch is not None
        at = numbers.index(self.epoch) if self.epoch in numbers else len(numbers) - (0 if below else 1)
        to = at + step
        if to < 0:
            return False
        self.epoch = numbers[to] if to < len(numbers) else None
        return True

    @property
    def planned_epochs(self) -> int:
        """How many epochs the run may come to: the width of its charts."""
        reached = max((ended.epoch + 1 for ended in self.record.epochs), default=0)
        if not self.live and reached:
            return reached
        training = self.record.started.settings.get("training", {}) if self.record.started else {}
        planned: dict[str, int] = {
            name: training.get(name, {}).get("epochs", 0) for name in ("frozen", "unfrozen")
        }
        frozen, unfrozen = self.record.stages.get("frozen"), self.record.stages.get("unfrozen")
        if unfrozen:
            return max(reached, unfrozen.first_epoch + unfrozen.epochs, 1)
        first = frozen.first_epoch + frozen.epochs if frozen else planned["frozen"]
        return max(reached, first + planned["unfrozen"], 1)

    @property
    def status(self) -> Status:
        record, told = self.record, self.source.status
        if self.failure:
            return Status("failed", "error")
        if self.begins_again and not self.asked:
            return self._preparing or Status("starting", "muted", moving=True)
        if record.ended:
            if record.ended.outcome == "done":
                return Status("done", "success")
            if record.ended.pruned:
                return Status("pruned", "muted")
            return Status("interrupted", "warning")
        if self.source.finished:
            tones: dict[str | None, Tone] = {"done": "success", "failed": "error"}
            return Status(told or "interrupted", tones.get(told, "warning"))
        if self.asked:
            return Status(ASKED[self.asked], "warning")
        if told == "handover":
            return Status(ASKED["detach"], "warning", moving=True)
        if self.paused:
            return Status("paused", "warning")
        if self._preparing:
            return self._preparing
        stage = record.stages.get(record.stage) if record.stage else None
        if stage is None:
            return Status("starting", "muted", moving=True)
        ended = sum(1 for epoch in record.epochs if epoch.stage == stage.stage)
        return Status(f"{stage.stage} {ended}/{stage.epochs}", stage.stage, moving=True)

    @property
    def _preparing(self) -> Status | None:
        """What is done between epochs, where that takes its time."""
        progress = self.record.progress
        if progress is None or progress.phase not in _PHASES:
            return None
        tone: Tone = "warning" if progress.phase in ("waiting", "full") else "muted"
        return Status(_PHASES[progress.phase], tone, moving=tone == "muted")

    @property
    def learning_rate(self) -> float | None:
        """Of the stage under way, as it is now."""
        stage = self.record.stages.get(self.record.stage) if self.record.stage else None
        if stage is None:
            return None
        changed = (
            control.value
            for control in reversed(self.record.controls)
            if control.control == "learning_rate" and control.stage == stage.stage
        )
        return next(changed, None) or stage.learning_rate

    @property
    def learns_now(self) -> bool:
        """Whether an epoch is under way, or may be as far as one sees."""
        progress = self.record.progress
        return self.record.stage is not None and (progress is None or progress.phase in _LEARNING)

    @property
    def learns(self) -> str:
        """What learns, in words; empty where nothing does any more."""
        stage = self.record.stages.get(self.record.stage) if self.record.stage else None
        if stage is None or not self.live:
            return ""
        total = stage.total_parameters / 1e6
        return f"{stage.trainable_parameters / 1e6:.1f} of {total:.1f} M parameters learn"

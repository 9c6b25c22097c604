"""The trials of a sweep, one after the other, each an ordinary run."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from xray_tui import config, launch
from xray_tui.config import Loaded
from xray_tui.data import sources, splits
from xray_tui.engine.controls import Controls
from xray_tui.errors import UserError
from xray_tui.events import PRUNER, Event, Mistakes, RunEnded
from xray_tui.runs import follow, state
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.record import RunRecord
from xray_tui.settings import Settings
from xray_tui.sweep.choosing import most_epochs
from xray_tui.sweep.space import Value
from xray_tui.sweep.study import Study, Taken, Tried
from xray_tui.words import SELECTED_ON_TEST, number

_SAME_FAILURES = 3
"""In a row: it is not the settings that were tried."""
_MOST_DEATHS = 3
"""Of processes at one trial: the next would die of it too, of memory perhaps."""
_BY_A_PERSON = "stopped by a person"
_POLL_SECONDS = 1.0


class Watcher(Protocol):
    """Told of a sweep as it goes on."""

    def began(self, trial: int, params: Mapping[str, Value], *, resumed: bool) -> None: ...
    def took(self, event: Event) -> None:
        """What the trial's run tells."""

    def ended(self, tried: Tried, best: Tried | None, seconds: float | None) -> None: ...


@dataclass(frozen=True)
class Common:
    """What the trials have in common."""

    settings: Settings
    notes: list[str]
    """What was settled, for a person."""


def settle(loaded: Loaded, *, searches_seed: bool = False) -> Common:
    """The settings that trials have in common: where nobody chose otherwise, a test that stays sealed and a
    validation split that is held out of train.

    Raises:
        UserError: the data folder does not fit; a person is to be waited for.
    """
    settings, notes = loaded.settings, list[str]()
    chosen = {path for path, origin in loaded.origins.items() if origin not in ("default", "preset")}
    if settings.training.unfreeze == "ask":
        raise UserError("--unfreeze ask: a sweep waits for nobody", "leave it out")
    if not settings.data.root:
        raise UserError("no data given", f"name {sources.WANTED}")
    listing = sources.scan(Path(settings.data.root), settings.data.columns)
    settings = config.replace(settings, {"data.root": str(listing.source)})
    if "evaluation.unseal" not in chosen:
        settings = config.replace(settings, {"evaluation.unseal": "never"})
        notes.append("no trial looks at test (--unseal end: each does)")
    if "data.split" not in chosen and settings.data.split != "holdout":
        held_out = config.replace(settings, {"data.split": "holdout"})
        try:
            splits.assign(listing, held_out.data, settings.training.seed)
            settings = held_out
            notes.append("nobody chose a --split: patients are held out of train")
        except UserError as error:
            notes.append(f"patients cannot be held out of train: {error.message}")
    roles = splits.assign(listing, settings.data, settings.training.seed)
    if searches_seed and roles.split == "holdout":
        notes.append("warning: each seed holds out other patients, so trials are judged on other images")
    if roles.split == "recipe":
        notes.append(f"warning: trials are {SELECTED_ON_TEST}: nothing is left for an honest last word")
    settings = config.replace(settings, {"data.split": roles.split})
    return Common(settings, [f"split {roles.note}", *notes])


class Sweep:
    """
    Args:
        watcher: told how it goes.
    """

    def __init__(self, study: Study, watcher: Watcher) -> None:
        self._study = study
        self._watcher = watcher
        self._controls = Controls()
        self._stopped_by = ""
        self._last_failure, self._failures = "", 0

    def stop(self, why: str) -> None:
        """Stop after this batch; safe in a signal handler. The trial under way goes on the next time."""
        self._stopped_by = why
        self._controls.stop(why)

    def detach(self, why: str) -> None:
        """Whoever steers runs may ask it. A sweep goes on where it is."""

    def run(self, trials: int, seconds: float | None = None) -> Literal["trials", "time", "stopped"]:
        """Try configurations.

        Args:
            trials: of the study, whenever and by whatever process they were begun.
            seconds: after which no new one begins.

        Returns:
            Why it ended.

        Raises:
            UserError: the study cannot be written; or trial after trial fails in the same way.
            Exception: a bug; the trial counts as failed.
        """
        began = time.monotonic()
        while not self._stopped_by:
            if seconds is not None and time.monotonic() - began >= seconds:
                return "time"
            taken = self._study.take(trials)
            if taken is None:
                return "trials"
            try:
                self._try(taken)
            finally:
                self._study.let_go(taken)
            launch.release()
        return "stopped"

    def _try(self, taken: Taken) -> None:
        self._controls = Controls()
        if self._stopped_by:  # just before
            self._controls.stop(self._stopped_by)
        past = follow.read(taken.run) if taken.run and taken.run.path.is_dir() else []
        trial = _Trial(self._study, taken, self._controls, self._watcher, RunRecord.of(past))
        self._watcher.began(taken.number, taken.params, resumed=taken.left)
        try:
            ended = trial.run()
        except UserError as error:
            self._study.fail(taken, error.message)
            self._count(error)
        except Exception as error:
            self._study.fail(taken, f"{type(error).__name__}: {error}")
            raise
        else:
            if not trial.conclude(ended):
                return
            self._failures = 0
        tried = self._study.tried()[taken.number]
        self._watcher.ended(tried, self._study.best(), trial.record.seconds)

    def _count(self, error: UserError) -> None:
        """
        Raises:
            UserError: the same one again and again.
        """
        self._failures = self._failures + 1 if error.message == self._last_failure else 1
        self._last_failure = error.message
        if self._failures == _SAME_FAILURES:
            raise UserError(f"{_SAME_FAILURES} trials failed in the same way: {error.message}", error.hint)


class _Trial:
    """One trial's run, judged after each epoch."""

    def __init__(
        self, study: Study, taken: Taken, controls: Controls, watcher: Watcher, record: RunRecord
    ) -> None:
        self.record = record
        self._study = study
        self._taken = taken
        self._controls = controls
        self._watcher = watcher
        self._most_epochs = most_epochs(study.space, study.settings)
        self._opened = taken.run

    def run(self) -> RunEnded | None:
        """
        Returns:
            How the run ended; ``None`` where it has not, or not in this process.

        Raises:
            UserError, Exception: as of :func:`launch.start` and :func:`launch.resume`.
        """
        run = self._taken.run
        if self._taken.left and self.record.ended is None:  # who was asked to stop says so at the end
            deaths = self._study.note_death(self._taken)
            if deaths >= _MOST_DEATHS:
                raise UserError(f"its process died {deaths} times")
        if run is None:
            changes = {**self._taken.params, "run.name": f"{self._study.name} trial {self._taken.number}"}
            settings = config.replace(self._study.settings, changes)
            return launch.start(settings, self._take, self._controls, opened=self._open)
        if not run.path.is_dir():
            raise UserError(f"its run {run.name} is not there any more")
        if self._is_over(self.record.ended):
            return self.record.ended  # the process died before it could tell
        return launch.resume(run, self._take, self._controls)

    def conclude(self, ended: RunEnded | None) -> bool:
        """Tell the study what came of the run.

        Returns:
            Whether the trial is over; else somebody is to go on with it.
        """
        if ended is None:
            ended = self._follow()
        if not self._is_over(ended):
            return False
        assert ended is not None
        best = self.record.best_epoch
        if ended.outcome == "interrupted":
            self._study.prune(self._taken, ended.why, best.epoch if best else None)
        elif ended.outcome == "failed":
            self._study.fail(self._taken, ended.why)
        elif best is None or (value := self._study.metric.of(best)) is None:
            self._study.fail(self._taken, f"validation has no {self._study.metric.words}")
        else:
            self._study.finish(self._taken, value, best.epoch)
        return True

    def _is_over(self, ended: RunEnded | None) -> bool:
        """Whether nobody is to go on with the run: a person who stops a trial's run has pruned it."""
        if ended is None:
            return False
        return ended.outcome != "interrupted" or ended.pruned or ended.why.startswith(_BY_A_PERSON)

    def _follow(self) -> RunEnded | None:
        """Wait for the process that has taken the run over: somebody asked that of it."""
        assert self._opened is not None
        while state.read(self._opened).live and not self._controls.asked_to_stop:
            time.sleep(_POLL_SECONDS)
        self.record = RunRecord.of(follow.read(self._opened))
        return self.record.ended

    def _open(self, run: RunDirectory) -> None:
        self._opened = run
        self._study.note_run(self._taken, run)

    def _take(self, event: Event) -> None:
        self.record.apply(event)
        self._watcher.took(event)
        if isinstance(event, Mistakes):  # the last that an epoch tells
            self._judge(event.epoch)

    def _judge(self, epoch: int) -> None:
        best, metric = self.record.best_epoch, self._study.metric
        value = metric.of(best) if best else None
        if value is None:
            return
        lags = self._study.report(self._taken, epoch + 1, value)
        if lags and epoch + 1 < self._most_epochs:
            self._controls.stop(f"{PRUNER}: {metric.words} {number(value, 4)} after {epoch + 1} epochs")

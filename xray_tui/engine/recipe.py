"""The recipe: freeze, train the head, load the best, unfreeze, fine-tune, load the best, evaluate.

Read :func:`train` for the whole of it. The engine emits events and obeys controls; it knows no
screen, no file of others, no TensorBoard.
"""

import logging
import time
from pathlib import Path

import torch

from xray_tui import metrics
from xray_tui.engine import process, results, suspicions
from xray_tui.engine.controls import Controls, Detach, Stop, UnfreezeNow
from xray_tui.engine.epoch import TrainPass, head_histograms
from xray_tui.engine.evaluation import Evaluation
from xray_tui.engine.explanations import Explanations
from xray_tui.engine.guard import NotFinite
from xray_tui.engine.keeper import Keeper
from xray_tui.engine.learner import Learner
from xray_tui.engine.passes import Passes, SetRate
from xray_tui.engine.plan import Plan
from xray_tui.engine.reading import Reader
from xray_tui.engine.reporting import Reporter
from xray_tui.engine.stage import StageUnderWay
from xray_tui.engine.standing import Standing
from xray_tui.engine.times import Times
from xray_tui.errors import UserError
from xray_tui.events import (
    Best,
    ControlUsed,
    Emit,
    Event,
    Outcome,
    RunEnded,
    Stage,
    StageEnded,
    StageStarted,
    finite,
)
from xray_tui.files import Insist, at_once
from xray_tui.settings import StageSettings

_log = logging.getLogger(__name__)

_MOST_GOING_BACK = 5
"""Times in one epoch: the learning rate is then a thirty-second of what it was."""
_GONE_BACK = "a loss that is not a number"


def train(
    plan: Plan,
    folder: Path,
    run: str,
    emit: Emit,
    controls: Controls,
    standing: Standing | None = None,
    insist: Insist = at_once,
) -> RunEnded | None:
    """Run the recipe to its end.

    Args:
        folder: where the checkpoints go.
        run: name of the run, for its first event.
        standing: where a resumed run goes on; its weights are in the plan's model already.
        insist: does each write to the disk, and waits where that is full.

    Returns:
        How it ended, which was also emitted; ``None`` where it was detached: it has not ended, and
        another process is to go on from its last checkpoint.

    Raises:
        UserError: too many images cannot be read. Emitted as a failed end, then raised.
        Exception: a bug; likewise.
    """
    training = plan.settings.training
    recipe = Recipe(plan, folder, emit, controls, standing, insist)
    outcome: Outcome | None = "failed"
    why = ""
    ended: RunEnded | None = None
    try:
        plan.hardware.set_up()
        recipe.read_images(run)
        if not recipe.is_past_frozen:  # a resumed run may be
            recipe.freeze()
            recipe.fit("frozen", training.frozen)
            recipe.load_best()
            recipe.explain("frozen", training.frozen)
            if training.unfreeze == "ask" and training.unfrozen.epochs:
                recipe.wait_for_a_person()
            recipe.unfreeze()
        recipe.fit("unfrozen", training.unfrozen)
        recipe.load_best()
        recipe.explain("unfrozen", training.unfrozen)
        recipe.choose_operating_point()
        recipe.evaluate_test(run)
        outcome, why = "done", "every stage finished"
    except Stop as stop:
        outcome, why = "interrupted", f"stopped by {stop}"
    except Detach:
        outcome = None
    except UserError as error:
        why = error.message
        raise
    except KeyboardInterrupt:  # a person who would not wait for the batch
        outcome, why = "interrupted", "broken off within a batch"
        raise
    except BaseException as error:
        cause = plan.world.cause(error)
        why = cause.message if cause else f"{type(error).__name__}: {error}"
        raise
    finally:
        recipe.passes.close()
        _log.debug("where the time went, in this process:\n%s", recipe.times.table())
        if outcome is not None:
            ended = RunEnded(outcome=outcome, why=why, best_epoch=recipe.best_epoch, seconds=recipe.seconds)
            emit(ended)
    return ended


class Recipe:
    """The steps of the recipe and what passes between them."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        emit: Emit,
        controls: Controls,
        standing: Standing | None = None,
        insist: Insist = at_once,
    ) -> None:
        self.plan = plan
        self.times = Times()
        self._observers = emit
        self.model = plan.model
        self.reporter = Reporter(self.emit, controls)
        self.reader = Reader(plan, self.reporter, insist)
        self.keeper = Keeper(plan, folder, self.emit, self.times, insist)
        self.next_epoch = 0
        self.best_epoch: int | None = None
        self.best_loss = float("inf")
        self._began = time.monotonic()
        self._standing = standing
        self._unfreeze_now = False
        self._first_epoch = 0
        """Of the stage that was last."""
        batch_size = 0
        if standing is not None:
            position = standing.position
            self.next_epoch, self.best_epoch = position.next_epoch, position.best_epoch
            self.best_loss = float("inf") if position.best_loss is None else position.best_loss
            self._began -= position.run_seconds
            batch_size = position.batch_size
        self.passes = Passes(plan, self.reporter, self.emit, self.times, insist, batch_size)
        self.explanations = Explanations(plan, self.passes, self.reporter, self.emit)
        self.evaluation = Evaluation(plan, folder, self.reader, self.passes, self.emit, self.times, insist)

    def emit(self, event: Event) -> None:
        with self.times("observers"):
            self._observers(event)

    @property
    def seconds(self) -> float:
        """That the run has taken, in all its processes."""
        return time.monotonic() - self._began

    @property
    def is_past_frozen(self) -> bool:
        return self._standing is not None and self._standing.position.stage == "unfrozen"

    def read_images(self, run: str) -> None:
        """Fill the pixel cache with train and validation; test stays untouched until the end."""
        with self.times("reading images"):
            self.pixels, self.validation = self.reader.train_and_validation()
        self.keeper.marks = torch.cat([self.pixels.marks, self.validation.marks])
        before = None
        if self._standing is not None:
            self._standing.check_readable(len(self.pixels) + len(self.validation))
            if changed := self._standing.changed(self.pixels, self.validation):
                self.emit(changed)
            before = self._standing.position.processes
        else:
            self.emit(self.reader.run_started(run, self.pixels, self.validation))
            self.evaluation.note_selection(run)
            if broken := self.pixels.broken + self.validation.broken:
                self.emit(self.reader.warning(broken))
            for suspicion in suspicions.at_start(self.plan, self.pixels, self.validation):
                self.emit(suspicion)
        for note in self.plan.world.notes(self.plan.hardware.device, before):
            self.emit(note)

    def freeze(self) -> None:
        self.model.freeze()

    def unfreeze(self) -> None:
        training = self.plan.settings.training
        self.model.unfreeze(keep_statistics=training.batchnorm == "keep", from_group=training.unfreeze_from)
        self.passes.forget_features()

    def fit(self, stage: Stage, settings: StageSettings) -> None:
        """Train a stage's epochs with an Adam of its own."""
        if not settings.epochs:
            return
        training = self.plan.settings.training
        at = self._take_up(stage, settings) or self._begin(stage, settings)
        self._first_epoch = at.first_epoch
        why = "finished"
        try:
            if at.over:  # a person asked for it, in an earlier process
                raise UnfreezeNow
            while self.next_epoch < at.first_epoch + at.epochs:
                if at.has_stalled(self.next_epoch, self.best_epoch, training.patience):
                    why = f"no better epoch in {training.patience}"
                    break
                self._run_epoch(at)
                self._end_epoch(at)
                if self.next_epoch == at.first_epoch + 1:
                    process.keep_objects()  # by now all that an epoch needs has been loaded
        except UnfreezeNow:
            why, self._unfreeze_now = "unfreeze now", True
            at.over = True
            self._save_last(at)  # or a run that dies before the next stage would train the rest of this one
        except (Stop, Detach):
            self._save_last(at)
            raise
        self._thaw(at, max(self.next_epoch, at.first_epoch + training.gradual))  # a resume finds all of it so
        epochs, seconds = self.next_epoch - at.first_epoch, time.monotonic() - at.began
        self.emit(StageEnded(stage=stage, epochs=epochs, why=why, seconds=seconds))

    def load_best(self) -> None:
        """Go back to the best epoch; where there is none, the weights stay."""
        if self.best_epoch is not None:
            self.keeper.load_best()

    def explain(self, stage: Stage, settings: StageSettings) -> None:
        """Show what the best weights look at, once a stage; not where it brought no better epoch."""
        if settings.epochs and self.best_epoch is not None and self.best_epoch >= self._first_epoch:
            try:
                self.explanations.explain(self.validation, stage, self.best_epoch)
            except UnfreezeNow:  # who asks for that will not wait for pictures
                self._unfreeze_now = True

    def wait_for_a_person(self) -> None:
        if not self._unfreeze_now:  # else one has asked already
            self.reporter.wait_for_unfreeze()

    def choose_operating_point(self) -> None:
        """From which probability on positive is called, found on validation with the best epoch."""
        if self.best_epoch is not None:
            self.evaluation.choose_operating_point(self.validation, self.best_epoch)

    def evaluate_test(self, run: str) -> None:
        """Read test, for the first and only time, and evaluate the best epoch on it.

        It stays sealed where no epoch came to anything: a look at test would be spent on numbers of nothing.
        """
        if self.next_epoch and self.best_epoch is None:
            self.emit(results.test_skipped("no epoch had a validation loss that is a number"))
            return
        self.evaluation.evaluate_test(run, self.best_epoch, (self.pixels, self.validation))

    def _begin(self, stage: Stage, settings: StageSettings) -> StageUnderWay:
        trainable, total = self.model.parameter_counts()
        self.emit(
            StageStarted(
                stage=stage,
                first_epoch=self.next_epoch,
                epochs=settings.epochs,
                learning_rate=settings.learning_rate,
                trainable_parameters=trainable,
                total_parameters=total,
            )
        )
        learner = Learner.of(self.plan, stage)
        at = StageUnderWay(stage, self.next_epoch, settings.epochs, learner, time.monotonic())
        self._save_last(at)
        return at

    def _take_up(self, stage: Stage, settings: StageSettings) -> StageUnderWay | None:
        """The stage as a resumed run left it, the first time it comes to one."""
        standing, self._standing = self._standing, None
        if standing is None or standing.position.stage != stage:
            return None
        position, now = standing.position, time.monotonic()
        began = now - position.stage_seconds
        at = StageUnderWay(stage, position.first_epoch, settings.epochs, standing.learner, began)
        at.over = position.over
        if position.batches:
            at.train_pass = standing.train_pass(self.plan.hardware.device, now)
        elif position.best_epoch == self.next_epoch - 1:
            self._save_best(at)  # the process may have died between writing last and writing best
        return at

    def _thaw(self, at: StageUnderWay, epoch: int) -> None:
        if at.thaw(self.model, epoch, self.plan.settings.training):
            self.explanations.found = None

    def _run_epoch(self, at: StageUnderWay) -> None:
        stage, epoch = at.stage, self.next_epoch
        self._thaw(at, epoch)

        def set_rate(value: float) -> None:
            at.change_rate(value, epoch, len(self.pixels))
            self._save_last(at)  # or a run that dies in this epoch would be resumed with the old one

        so_far = self._train(at, epoch, set_rate)
        train_loss = so_far.mean_loss
        trained, paused = time.monotonic(), self.reporter.paused_seconds
        average = at.learner.average
        if average and average.end_epoch(epoch - at.first_epoch, at.epochs):
            with average.applied():
                self.passes.measure_statistics(self.pixels, at, epoch, set_rate)
        histograms = head_histograms(self.model.head)
        with at.learner.counting():
            found = self.passes.predict(self.validation, "validation", stage, epoch, set_rate)
        scores = metrics.evaluate(found.probabilities, found.losses, found.actual, self.plan.positive)
        self.emit(
            results.epoch_ended(
                stage,
                epoch,
                found,
                scores,
                train_loss=train_loss,
                learning_rate=at.learner.rate_now,
                images_per_second=len(self.pixels) / (trained - so_far.began),
                seconds=time.monotonic() - so_far.began - (self.reporter.paused_seconds - paused),
                histograms=histograms,
            )
        )
        if train_loss is None or scores.loss is None:
            self.emit(results.not_a_number(epoch))
        if scores.loss is not None and scores.loss < self.best_loss:
            self.best_epoch, self.best_loss, self.explanations.found = epoch, scores.loss, found
            self.emit(Best(stage=stage, epoch=epoch, validation_loss=scores.loss, accuracy=scores.accuracy))
        self.emit(results.mistakes(stage, epoch, found, self.validation))

    def _train(self, at: StageUnderWay, epoch: int, set_rate: SetRate) -> TrainPass:
        """Train on the epoch's images; where a loss is not a number, as ``--on-nan`` says."""

        def keep(done: int) -> None:
            if self.keeper.is_due:
                self._save_last(at)

        went_back = 0
        while True:
            try:
                return self.passes.train(self.pixels, at, epoch, keep, set_rate)
            except NotFinite as found:
                not_finite = results.not_finite(epoch, found, self.pixels)
                asked = found.__context__
            self.emit(not_finite)
            if self.plan.settings.training.on_nan == "stop" or went_back == _MOST_GOING_BACK:
                self._save_last(at)
                goes_back = self.plan.settings.training.on_nan == "rollback"
                raise UserError(
                    not_finite.message,
                    f"start anew with a lower learning rate{'' if goes_back else ', or --on-nan rollback'}: "
                    "a resume goes on after that batch at the same rate",
                )
            went_back += 1
            slower = at.learner.learning_rate / 2
            self.keeper.go_back(at)
            changed = ControlUsed(
                control="learning_rate", stage=at.stage, epoch=epoch, why=_GONE_BACK, value=slower
            )
            self.emit(changed)
            set_rate(slower)
            if isinstance(asked, UnfreezeNow):  # a stop is asked for until it is obeyed, and that only once
                raise asked

    def _end_epoch(self, at: StageUnderWay) -> None:
        """Keep the epoch: its events first, then ``last``, then ``best``.

        Wherever the process dies between them, a resume neither loses nor repeats an event, and never
        finds in ``best`` another epoch than the one that is the best.
        """
        at.train_pass = None
        self.next_epoch += 1
        self._save_last(at)
        if self.best_epoch == self.next_epoch - 1:
            self._save_best(at)

    def _save_last(self, at: StageUnderWay) -> None:
        self.keeper.save_last(
            at,
            next_epoch=self.next_epoch,
            best_epoch=self.best_epoch,
            best_loss=finite(self.best_loss),
            batch_size=self.passes.batch_size,
            run_seconds=self.seconds,
            readable=len(self.pixels) + len(self.validation),
        )

    def _save_best(self, at: StageUnderWay) -> None:
        assert self.best_epoch is not None
        self.keeper.save_best(at, self.best_epoch)

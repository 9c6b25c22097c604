"""The mirror: a run's events as TensorBoard event files, readable by any TensorBoard.

A run is two TensorBoard runs, ``frozen`` and ``unfrozen``, and never a third. The step is the epoch.

| tag | what | unit |
|---|---|---|
| ``Train Loss``, ``Test Loss`` | training and validation loss | mean over images |
| ``Accuracy`` | of validation | % |
| ``metrics/AUC``, ``metrics/sensitivity``, ``metrics/specificity`` | of validation | fraction |
| ``metrics/PR curve`` | precision and recall of validation, for the positive class | |
| ``curves/ROC``, ``curves/calibration`` | of validation in the stage's best epoch, as images, when the \
stage has ended | |
| ``training/learning rate`` | | |
| ``training/images per second`` | validation left out | images/s |
| ``X-Ray grid`` | the first train images, once a run, at step 0 | |
| ``{epoch}->Predict-{predicted}x{actual}-Actual/{rank}`` | a mistake; 01 is the epoch's worst by loss | |
| ``Grad-CAM/{rank}`` | what the best epoch's weights look at in its worst mistakes, when the stage has \
ended | |
| ``weights/…``, ``gradients/…`` | histograms of the head's parameters | |
| ``hparam/loss``, ``…/accuracy`` (%), ``…/AUC``, ``…/sensitivity``, ``…/specificity`` | the stage's best \
epoch so far, for the HPARAMS tab | as above |
| ``test/loss``, ``…/accuracy`` (%), ``…/AUC``, ``…/sensitivity``, ``…/specificity`` | test, once, in \
the run of the best epoch's stage | as above |
| ``operating point/threshold``, ``…/temperature``, ``…/sensitivity``, ``…/specificity`` | chosen on \
validation, once, in the run of the best epoch's stage | probability, number, fractions |
| ``protocol`` | how the split was chosen, as text | |
| ``test/PR curve``, ``test/ROC``, ``test/calibration`` | likewise | |

The PROJECTOR tab has validation images as the best weights tell them apart: see
:mod:`xray_tui.board.projector`. What is undefined is not written. Accuracy is in percent wherever it
stands, as published.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from msgspec.structs import replace

from xray_tui.events import (
    Array,
    EpochEnded,
    Event,
    Explained,
    Mistake,
    Mistakes,
    OperatingPoint,
    Resumed,
    RunEnded,
    RunStarted,
    Stage,
    StageEnded,
    StageStarted,
    TestEvaluated,
)
from xray_tui.files import replace_bytes
from xray_tui.words import SELECTED_ON_TEST

if TYPE_CHECKING:
    from xray_tui.board.summaries import EventFile, HParam, Value

_UNSAFE = re.compile(r"[^\w .+-]")
_LONGEST_NAME = 60


class BoardWriter:
    """An observer of a run: call it with every event, from one thread at a time.

    A folder comes into being when its stage starts, so a run without unfrozen epochs has only
    ``frozen``. Everything is written as its event arrives; memory holds an epoch's numbers, never
    its arrays.

    A run that is resumed starts with a new writer: give it the journal's past with :meth:`recall`,
    then the new events, ``Resumed`` first.

    Args:
        directory: the run's ``tensorboard`` folder.
        mistakes_per_epoch: how many of an epoch's mistakes become images, the worst first.

    Raises:
        OSError: an event file cannot be written, and :meth:`flush` may try again; the caller decides what
            that means for the run.
        RuntimeError: a stage or an epoch before any ``RunStarted``, live or recalled.
    """

    def __init__(self, directory: Path, *, mistakes_per_epoch: int = 16) -> None:
        self._directory = directory
        self._mistakes_per_epoch = mistakes_per_epoch
        self._files: dict[Stage, EventFile] = {}
        self._projections: dict[Path, bytes] = {}
        """Files of the projector that are not written yet."""
        self._started: RunStarted | None = None
        self._grid: Any = None
        self._stage: Stage | None = None
        self._epochs: list[EpochEnded] = []  # without arrays
        self._best: EpochEnded | None = None
        """The best of the stage under way, with what it predicted; of a resumed stage it may be gone."""

    def recall(self, events: Iterable[Event]) -> None:
        """Take what a resumed run's journal tells (classes, settings, epochs so far) and write nothing."""
        for event in events:
            self._remember(event)

    def __call__(self, event: Event) -> None:
        """Write what an event tells."""
        self.take(event)
        self.flush()

    def flush(self) -> None:
        """Write what was taken, and could not be written before."""
        for file in self._files.values():
            file.flush()
        for path, content in list(self._projections.items()):
            replace_bytes(path, content)
            del self._projections[path]

    def take(self, event: Event) -> None:
        """Put together what an event tells, in memory."""
        self._remember(event)
        match event:
            case RunStarted():
                self._grid = event.grid
            case StageStarted() if event.epochs:
                self._start_stage(event)
            case EpochEnded():
                self._write(event.stage, self._epoch(event), event.epoch, event.t)
            case Mistakes() if event.images is not None:
                self._write(event.stage, self._mistakes(event), event.epoch, event.t)
            case Explained() if event.images is not None:
                self._write(event.stage, self._grad_cams(event), event.epoch, event.t)
                self._project(event)
            case StageEnded() if event.stage in self._files:
                self._draw_best()
                self._end_stage(event.stage, succeeded=True, t=event.t)
            case OperatingPoint() if stage := self._stage_of(event.epoch):
                self._write(stage, _scalars(_of_point(event)), event.epoch, event.t)
            case TestEvaluated() if (stage := self._stage_of(event.epoch)) and not event.skipped:
                self._write(stage, self._test(event), self._test_step(event), event.t)
            case Resumed():
                self._grid = None  # it was written when the run began
                for stage in get_args(Stage):
                    if (self._directory / stage).is_dir():
                        # Never step 0: the grid and the hyperparameters stand there.
                        self._file(stage).purge(max(1, event.epoch), event.t)
            case RunEnded() if event.outcome == "failed" and self._stage in self._files:
                # An interrupted run may be resumed, and TensorBoard keeps the first end it sees.
                self._end_stage(self._stage, succeeded=False, t=event.t)

    def close(self) -> None:
        """Close the event files; safe to call again."""
        while self._files:
            self._files.popitem()[1].close()

    def _remember(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._started = replace(event, validation=None, grid=None)
            case StageStarted() if event.epochs:
                self._stage, self._best = event.stage, None
            case EpochEnded():
                self._stage = event.stage
                if self._is_best_of_stage(event):
                    self._best = replace(event, histograms=None)
                self._epochs.append(replace(event, **dict.fromkeys(event.ARRAYS)))
            case Resumed():
                self._epochs = [epoch for epoch in self._epochs if epoch.epoch < event.epoch]

    @property
    def _run(self) -> RunStarted:
        if self._started is None:
            raise RuntimeError("a BoardWriter needs RunStarted first; a resumed run's comes through recall()")
        return self._started

    def _file(self, stage: Stage) -> EventFile:
        if stage not in self._files:
            # Late: numpy, Pillow and tensorboard cost half a second that no first paint should wait for.
            from xray_tui.board.summaries import EventFile

            self._files[stage] = EventFile(self._directory / stage)
        return self._files[stage]

    def _write(self, stage: Stage, values: Iterable[Value], step: int, t: float) -> None:
        self._file(stage).write(values, step=step, t=t)

    def _start_stage(self, event: StageStarted) -> None:
        from xray_tui.board import summaries

        hparams = {"stage": event.stage, **_flat(self._run.settings)}
        values = summaries.hparams_start(hparams, _RESULTS, _TELLING, event.t)
        on_test = self._run.settings.get("data", {}).get("split") == "recipe"
        chosen = f"; the best epoch is {SELECTED_ON_TEST}" if on_test else ""
        values.append(summaries.text("protocol", f"{self._run.split_note}{chosen}"))
        if self._grid is not None and len(self._grid):
            values.append(summaries.image("X-Ray grid", summaries.grid(self._grid[:32])))
            self._grid = None
        self._write(event.stage, values, 0, event.t)

    def _end_stage(self, stage: Stage, *, succeeded: bool, t: float) -> None:
        from xray_tui.board import summaries

        self._write(stage, [summaries.hparams_end(succeeded, t)], 0, t)

    def _epoch(self, event: EpochEnded) -> list[Value]:
        from xray_tui.board import summaries

        numbers = {
            "Train Loss": event.train_loss,
            "Test Loss": event.validation_loss,
            "Accuracy": _percent(event.accuracy),
            "metrics/AUC": event.auc,
            "metrics/sensitivity": event.sensitivity,
            "metrics/specificity": event.specificity,
            "training/learning rate": event.learning_rate,
            "training/images per second": event.images_per_second,
        }
        values = _scalars(numbers)
        if self._is_best_of_stage(event):
            values += _numbers("hparam", event)
        for name, histogram in (event.histograms or {}).items():
            values.append(summaries.histogram(name, histogram))
        if event.probabilities is not None and event.actual is not None:
            values += self._pr_curve("metrics/PR curve", event.probabilities, event.actual)
        return values

    def _pr_curve(self, tag: str, probabilities: Array, actual: Array) -> list[Value]:
        from xray_tui.board import summaries

        sure, is_positive = probabilities[:, self._positive()], actual == self._positive()
        # Without a positive image recall is undefined; of a run that diverged, everything is.
        if not is_positive.any() or not math.isfinite(sure.sum()):
            return []
        return [summaries.pr_curve(tag, sure, is_positive)]

    def _draw_best(self) -> None:
        best, positive = self._best, self._positive()
        if best is not None and best.probabilities is not None and best.actual is not None:
            from xray_tui.board import curves  # late: it brings matplotlib

            sure, is_positive = best.probabilities[:, positive], best.actual == positive
            values = curves.drawn("curves", "validation", sure, is_positive)
            self._write(best.stage, values, best.epoch, best.t)

    def _test(self, event: TestEvaluated) -> list[Value]:
        values = _numbers("test", event)
        if event.probabilities is not None and event.sources is not None:
            import numpy as np

            from xray_tui.board import curves

            positive = self._positive()
            actual = np.array([source.actual for source in event.sources])
            values += self._pr_curve("test/PR curve", event.probabilities, actual)
            sure = event.probabilities[:, positive]
            values += curves.drawn("test", "test", sure, actual == positive)
        return values

    def _mistakes(self, event: Mistakes) -> list[Value]:
        from xray_tui.board import summaries

        shown = list(zip(event.worst, event.images, strict=True))[: self._mistakes_per_epoch]
        return [
            summaries.image(self._mistake_tag(event.epoch, rank, mistake), pixels, _describe(mistake))
            for rank, (mistake, pixels) in enumerate(shown, start=1)
        ]

    def _grad_cams(self, event: Explained) -> list[Value]:
        import numpy as np
        from PIL import Image

        from xray_tui.board import summaries
        from xray_tui.heat import Overlay, lay_over

        values = []
        explained = zip(event.mistakes, event.images, event.heat, strict=True)
        for rank, (mistake, image, heat) in enumerate(explained, start=1):
            overlaid = np.asarray(lay_over(Image.fromarray(image), Overlay(heat)))
            called, actual = self._classes_of(mistake)
            described = f"{_describe(mistake)}, called {called}, is {actual}"
            values.append(summaries.image(f"Grad-CAM/{rank:02d}", overlaid, described))
        return values

    def _project(self, event: Explained) -> None:
        from xray_tui.board import projector

        folder = self._directory / event.stage
        self._projections |= {
            folder / name: content for name, content in projector.files(event, self._run.classes).items()
        }

    def _mistake_tag(self, epoch: int, rank: int, mistake: Mistake) -> str:
        """A tag of its own for each mistake: images that share tag and step hide each other."""
        predicted, actual = self._classes_of(mistake)
        return f"{epoch}->Predict-{predicted}x{actual}-Actual/{rank:02d}"

    def _classes_of(self, mistake: Mistake) -> tuple[str, str]:
        """Predicted and actual, as a tag may have them."""
        classes = self._run.classes
        return _tag_safe(classes[mistake.predicted]), _tag_safe(classes[mistake.actual])

    def _is_best_of_stage(self, event: EpochEnded) -> bool:
        """Whether it has the stage's lowest validation loss so far; of equals, the first has it."""
        if event.validation_loss is None:
            return False
        earlier = (
            e.validation_loss for e in self._epochs if e.stage == event.stage and e.epoch != event.epoch
        )
        return all(event.validation_loss < loss for loss in earlier if loss is not None)

    def _positive(self) -> int:
        """Index of the positive class; the last by name where the settings name none."""
        classes = self._run.classes
        name = self._run.settings.get("data", {}).get("positive")
        return classes.index(name if name in classes else max(classes))

    def _stage_of(self, epoch: int | None) -> Stage | None:
        """Whose row holds what came of that epoch's weights; the stage under way where that is not known."""
        return next((found.stage for found in self._epochs if found.epoch == epoch), self._stage)

    def _test_step(self, event: TestEvaluated) -> int:
        if event.epoch is not None:
            return event.epoch
        return self._epochs[-1].epoch if self._epochs else 0


# The results in the HPARAMS tab, by tag, with the titles of their columns.
_RESULTS = {
    "hparam/loss": "validation loss",
    "hparam/accuracy": "accuracy, %",
    "hparam/AUC": "AUC",
    "hparam/sensitivity": "sensitivity",
    "hparam/specificity": "specificity",
    "test/accuracy": "test accuracy, %",
    "test/AUC": "test AUC",
}

_TELLING = (
    "model.backbone",
    "preset",
    "stage",
    "training.frozen.learning_rate",
    "training.unfrozen.learning_rate",
)


def _numbers(group: str, event: EpochEnded | TestEvaluated) -> list[Value]:
    """The five numbers that sum a model up, as ``group/name`` scalars."""
    loss = event.validation_loss if isinstance(event, EpochEnded) else event.loss
    numbers = {
        "loss": loss,
        "accuracy": _percent(event.accuracy),
        "AUC": event.auc,
        "sensitivity": event.sensitivity,
        "specificity": event.specificity,
    }
    return _scalars({f"{group}/{name}": number for name, number in numbers.items()})


def _of_point(point: OperatingPoint) -> dict[str, float | None]:
    names = ("threshold", "temperature", "sensitivity", "specificity")
    return {f"operating point/{name}": getattr(point, name) for name in names}


def _scalars(numbers: Mapping[str, float | None]) -> list[Value]:
    from xray_tui.board import summaries

    return [summaries.scalar(tag, number) for tag, number in numbers.items() if number is not None]


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, HParam]:
    """The tree's scalars by dotted key; what is neither a tree nor a scalar has no place in the table."""
    flat: dict[str, HParam] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif isinstance(value, bool | int | float | str):
            flat[f"{prefix}{key}"] = value
    return flat


def _tag_safe(name: str) -> str:
    """A class name that neither groups (``/``), nor hides characters, nor fills the screen."""
    return _UNSAFE.sub("_", name)[:_LONGEST_NAME]


def _describe(mistake: Mistake) -> str:
    """Which image it is, as Markdown; the file name is code, so that nothing in it counts as markup."""
    path = "".join(c if c.isprintable() and c != "`" else "_" for c in mistake.path)
    sure = "unknown" if mistake.probability is None else f"{mistake.probability:.1%}"
    loss = "unknown" if mistake.loss is None else f"{mistake.loss:.3f}"
    return f"`{path}`: {sure} sure, loss {loss}"

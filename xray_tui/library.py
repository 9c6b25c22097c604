"""xray-tui for other programs: set a run up, follow it, read it back. What ``from xray_tui import …`` gives.

Nothing here knows a screen, catches signals, or reads the user's config file or ``XRAY_TUI_…`` options: a run
is what its settings say.
"""

import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from queue import Queue
from threading import Semaphore, Thread
from typing import TYPE_CHECKING, Any, Protocol

from xray_tui import config
from xray_tui.engine import process
from xray_tui.engine.controls import Controls as Controls
from xray_tui.errors import UserError as UserError
from xray_tui.events import Emit, EpochEnded, Event, Progress, RunEnded, TestEvaluated
from xray_tui.runs import state
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.follow import Follower, read
from xray_tui.runs.index import find
from xray_tui.runs.mistakes import UnreadMistakes
from xray_tui.runs.predictions import KeptPredictions, Predictions, read_test
from xray_tui.runs.record import RunRecord
from xray_tui.runs.state import Status
from xray_tui.settings import OPTIONS, Settings
from xray_tui.settings_file import nearest

if TYPE_CHECKING:
    from xray_tui.trained import Prediction, Trained

AnyPath = str | PathLike[str]

Events = Generator[Event, None, None]

_FOLLOW_SECONDS = 0.25
"""A followed run writes its progress at most four times a second."""
_LEAVE_SECONDS = 0.02
_CALLER = "the calling program"
"""Who asked a run to stop that nobody iterates over any more."""


def configure(data: AnyPath | None = None, *, file: AnyPath | None = None, **options: Any) -> Settings:
    """The settings of a run.

    >>> from xray_tui import configure
    >>> settings = configure("~/chest_xray", preset="tuned", batch_size=64)
    >>> settings.training.batch_size, settings.data.split
    (64, 'holdout')
    >>> configure(**{"training.augmentation.flip": 0.0}).training.augmentation.flip
    0.0

    Args:
        data: folder with train/, test/ and perhaps val/, or a CSV file of labels, or MedMNIST's ``.npz``;
            ``~`` is the home folder.
        file: a TOML file of settings, as ``--config`` takes one; the options win over it.
        options: by the command line's names (``frozen_epochs`` for ``--frozen-epochs``) or by dotted path
            (``training.frozen.epochs``, as in the file); ``xray-tui config reference`` lists them.

    Raises:
        UserError: there is no such setting, a value does not fit, or the file cannot be read.
    """
    known = config.paths_of(Settings())
    changes: dict[str, Any] = {}
    for name, value in options.items():
        path = OPTIONS.get(name, name)
        if path not in known:
            raise UserError(f"unknown setting {name}", nearest(name, [*OPTIONS, *known]))
        changes[path] = value
    if data is not None:
        changes["data.root"] = str(Path(data).expanduser())
    return config.load(changes, file=Path(file).expanduser() if file is not None else None)


def fit(settings: Settings, *, controls: Controls | None = None) -> Events:
    """Run the recipe, and yield each event of it (``xray_tui.events``) with its arrays as it happens.

    The run is one as ``xray-tui train`` makes it, with its directory in ``settings.run.runs_dir``. It trains
    in a thread of its own, which waits while the loop's body works on an event: what the body asks of the
    run counts from the next batch on, and memory does not grow with a body that is slow. To do long work
    beside the run, hand the events on to a thread of yours.

    Leaving the loop (``break``, an exception, Ctrl-C) stops the run after the batch under way, its checkpoint
    saved; :meth:`Run.resume` goes on. Where something else holds the iterator, its ``close()`` does that.

    Process-wide, it has glibc keep freed memory, as the program has: batches on a CPU take half the time.

    >>> from xray_tui import Controls, configure, events, fit
    >>> controls = Controls()
    >>> for event in fit(configure("~/chest_xray"), controls=controls):  # doctest: +SKIP
    ...     match event:
    ...         case events.EpochEnded(epoch=epoch, accuracy=accuracy):
    ...             print(epoch, accuracy)
    ...         case events.Best(accuracy=float(accuracy)) if accuracy > 0.9:
    ...             controls.unfreeze()

    Args:
        settings: of :func:`configure`.
        controls: to pause, resume, unfreeze, stop or slow this one run with, from the loop or any thread.

    Raises:
        UserError: what a person can mend, as ``xray-tui train`` says it.
        Exception: a bug of the engine; the run is kept as failed.
    """
    from xray_tui import launch  # late: TensorBoard's writer

    checked = config.replace(settings, {})
    return _events(partial(launch.start, checked), controls or Controls())


def train(settings: Settings, *, controls: Controls | None = None) -> "Run":
    """Run the recipe to its end, as :func:`fit` without a loop.

    Args:
        controls: as of :func:`fit`, for another thread.

    Raises:
        UserError: as :func:`fit`.
    """
    from xray_tui import launch  # late: as above

    opened: list[RunDirectory] = []
    begin = partial(launch.start, config.replace(settings, {}))
    for _ in _events(begin, controls or Controls(), opened.append):
        pass
    return _read(opened[0])


def open_run(name: AnyPath | None = None, *, runs_dir: AnyPath = "runs") -> "Run":
    """A kept run, live or ended.

    Args:
        name: its folder, what it is called, or how that begins; the newest of ``runs_dir`` by default.
        runs_dir: the folder that keeps the runs.

    Raises:
        UserError: there is no such run, or it cannot be read.
    """
    return _read(find(Path(runs_dir).expanduser(), str(name) if name is not None else None))


@dataclass(frozen=True)
class Run:
    """A kept run, as it was when it was opened."""

    directory: RunDirectory
    """Where its files are; ``directory.path`` is its folder."""
    settings: Settings
    """As resolved when it began."""
    status: Status
    classes: list[str]
    """By number; empty where the run has not told them yet."""
    positive: str
    """The class that sensitivity, specificity and AUC speak of."""
    epochs: list[EpochEnded]
    """In order; each has its losses and metrics as fields, rates as fractions."""
    best: EpochEnded | None
    """The one with the lowest validation loss, whose weights were kept."""
    test: TestEvaluated | None
    """The metrics on test, with intervals; ``None`` while it is sealed."""

    @property
    def name(self) -> str:
        return self.directory.name

    def events(self, *, follow: bool = False) -> Events:
        """All events of the run so far, without their arrays.

        Args:
            follow: go on with what a live run of another process tells, progress included, until it ends.

        Raises:
            UserError: the journal cannot be read.
        """
        follower, live = Follower(self.directory), True
        while live:
            live = follow and follower.live  # before the journal: what it says is then all in it
            for event in follower.poll():
                if isinstance(event, UnreadMistakes):
                    yield event.read()
                elif live or not isinstance(event, Progress):
                    yield event
            if live:
                time.sleep(_FOLLOW_SECONDS)

    def validation_predictions(self, epoch: int | None = None) -> Predictions:
        """What an epoch predicted for the validation images.

        Args:
            epoch: its number; the best one by default.

        Raises:
            UserError: the run kept no such predictions, or they are damaged.
        """
        if epoch is None:
            if self.best is None:
                raise UserError(f"{self.name} has no best epoch", "name one, of run.epochs")
            epoch = self.best.epoch
        kept = KeptPredictions(self.directory, self.classes)
        found = kept.epoch(epoch)
        return Predictions(kept.images(), found.probabilities, found.losses)

    def test_predictions(self) -> Predictions:
        """What the best epoch predicted for the test images, when test was evaluated.

        Raises:
            UserError: test was not evaluated, or its predictions are damaged.
        """
        return read_test(self.directory, self.classes)

    def model(self, device: str = "auto") -> "Model":
        """The best weights, to predict with; the images they learned from need not be there.

        Args:
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

        Raises:
            UserError: the run has no best epoch yet, its weights cannot be read, or there is no such device.
        """
        from xray_tui import trained  # late: torch

        return Model(trained.load(self.directory, device))

    def resume(self, *, controls: Controls | None = None) -> Events:
        """Go on exactly where the run was interrupted; otherwise as :func:`fit`.

        Raises:
            UserError: it is done, or live elsewhere; or as :func:`fit`.
        """
        from xray_tui import launch  # late: TensorBoard's writer

        return _events(partial(launch.resume, self.directory), controls or Controls())


@dataclass(frozen=True, eq=False)
class Model:
    """The weights of a run's best epoch, with what it takes to use them. Not for several threads at once."""

    trained: "Trained"
    """The network itself, how images are prepared for it, and the operating point."""

    @property
    def classes(self) -> list[str]:
        """By name: what the columns of probabilities are of."""
        return self.trained.classes

    def predict(self, paths: Iterable[AnyPath], *, batch_size: int = 32) -> "Iterator[Prediction]":
        """What the weights say of image files, in their order, in constant memory.

        Args:
            paths: taken as they are needed.
            batch_size: images that run through the network at once.

        Yields:
            One for each path: ``predicted``, the number of the class that is called at the run's operating
            point, and ``probabilities``, float32 (C,), calibrated where the run was; both ``None`` where
            ``unreadable`` says why the file cannot be read.

        Raises:
            UserError: memory has no room for such a batch.
        """
        from xray_tui import trained  # late: torch

        return trained.predict(self.trained, map(Path, paths), batch_size=batch_size)


class _Begin(Protocol):
    """``launch.start`` or ``launch.resume``, their first argument given."""

    def __call__(
        self, emit: Emit, controls: Controls, *, opened: Callable[[RunDirectory], None]
    ) -> RunEnded | None: ...


def _read(directory: RunDirectory) -> Run:
    record = RunRecord.of(read(directory))
    return Run(
        directory=directory,
        settings=config.load_kept(directory.config),
        status=state.read(directory).status,
        classes=record.classes,
        positive=record.positive,
        epochs=record.epochs,
        best=record.best_epoch,
        test=record.test,
    )


def _events(
    begin: _Begin, controls: Controls, opened: Callable[[RunDirectory], None] = lambda directory: None
) -> Events:
    """The events of a run that trains in another thread, and waits there until each has been dealt with."""
    from xray_tui import launch  # late: as above

    told: Queue[Event | None] = Queue()
    dealt_with = Semaphore(0)
    failed: list[BaseException] = []

    def emit(event: Event) -> None:
        told.put(event)
        dealt_with.acquire()

    def work() -> None:
        try:
            begin(emit, controls, opened=opened)
        except BaseException as error:  # the caller's to deal with, whatever it is
            if isinstance(error, UserError):
                _let_go(error)
            failed.append(error)
        finally:
            launch.release()  # the calling program goes on
            told.put(None)

    def leave() -> None:
        controls.stop(_CALLER)
        # A program that ends, and still holds the iterator, leaves the run as a crash would.
        while thread.is_alive() and not sys.is_finalizing():
            dealt_with.release()
            thread.join(_LEAVE_SECONDS)

    process.set_up()
    thread = Thread(target=work, name="xray-tui fit", daemon=True)  # whoever presses Ctrl-C twice is gone
    thread.start()
    try:
        while (event := told.get()) is not None:
            yield event
            dealt_with.release()
        thread.join()
    except BaseException:  # GeneratorExit and KeyboardInterrupt above all
        leave()
        raise
    finally:
        if failed:
            raise failed.pop()


def _let_go(error: BaseException | None) -> None:
    """Empty the frames that an error has come through: by them it holds the network and all of its memory,
    which whoever tries again with smaller batches needs.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__

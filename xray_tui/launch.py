"""Starts and resumes runs: joins the engine with those who watch it, for the command line and the dashboard
alike.
"""

import os
import shlex
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from xray_tui import config
from xray_tui.board.writer import BoardWriter
from xray_tui.engine.controls import Controls, Stop
from xray_tui.engine.patience import Patience
from xray_tui.errors import UserError
from xray_tui.events import Control, Emit, EpochEnded, Event, Progress, Resumed, RunEnded, Warning
from xray_tui.runs import follow, state
from xray_tui.runs.claim import Claim, check_resumable
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.handover import hand_over
from xray_tui.runs.recorder import Recorder
from xray_tui.runs.report import write_report
from xray_tui.settings import Settings

if TYPE_CHECKING:
    from xray_tui.engine.plan import Plan
    from xray_tui.engine.standing import Standing
    from xray_tui.engine.world import World

Opened = Callable[[RunDirectory], None]


def start(
    settings: Settings,
    emit: Emit,
    controls: Controls,
    *,
    opened: Opened | None = None,
    world: "World | None" = None,
) -> RunEnded | None:
    """Run the whole recipe in this thread, until it ends or is detached.

    Args:
        emit: given every event of the run, progress included, after it is in the journal.
        opened: told the run directory as soon as it is there.
        world: where other processes help, its rank 0; they are in `assist`.

    Returns:
        How it ended; ``None`` where another process has taken it over.

    Raises:
        UserError: what a person can mend. Before the directory is there, nothing is left behind.
        Exception: a bug; the journal says so too.
    """
    from xray_tui.engine import plan  # imported here: torch takes seconds, a screen should not
    from xray_tui.engine.world import ALONE

    world = world or ALONE
    world.tell((settings, False))
    planned = plan.make(settings, emit, world=world)
    directory = RunDirectory.create(planned.settings)
    claim = Claim(directory)
    if opened is not None:
        opened(directory)
    ended = _train(directory, claim, planned, emit, controls)
    del planned  # whoever takes over needs the memory
    return ended or _hand_over(directory, emit, controls)


def resume(
    directory: RunDirectory,
    emit: Emit,
    controls: Controls,
    *,
    opened: Opened | None = None,
    take_over: bool = False,
    world: "World | None" = None,
) -> RunEnded | None:
    """Go on with a run from its last checkpoint, as if it had never stopped.

    A run that died before its first checkpoint begins anew in the same directory.

    Args:
        emit: given every new event of the run; the first is ``Resumed``.
        opened: told the run directory as soon as the run is this process's.
        take_over: another process hands it over, and waits until state.json names this one.
        world: as of :func:`start`; as many processes as before give the very same results.

    Returns:
        As :func:`start`.

    Raises:
        UserError: the run is done or live, its data folder is another, its checkpoint is lost; the run is
            left as it was. Or as :func:`start`.
    """
    return _resume(directory, emit, controls, opened=opened, take_over=take_over, world=world)


def assist(world: "World", controls: Controls) -> RunEnded | None:
    """What the processes beside rank 0 do of a run that it starts or resumes: compute, and say nothing."""
    from xray_tui.engine import plan, recipe
    from xray_tui.engine.standing import put_back

    def silent(event: Event) -> None:
        pass

    settings, saved = world.tell((Settings(), False))
    planned = plan.make(settings, silent, untrained=saved, world=world)
    nowhere = Path(os.devnull)
    standing = put_back(planned, nowhere) if saved else None
    return recipe.train(planned, nowhere, "", silent, controls, standing)


def _resume(
    directory: RunDirectory,
    emit: Emit,
    controls: Controls,
    *,
    opened: Opened | None = None,
    take_over: bool = False,
    trouble: str = "",
    world: "World | None" = None,
) -> RunEnded | None:
    check_resumable(directory, handed_over=take_over, back=bool(trouble))
    past = follow.read(directory)
    planned, standing = _put_back(directory, past, emit, world)
    claim = Claim(directory)
    try:
        # Again, now that nobody else can change it.
        check_resumable(directory, handed_over=take_over, back=bool(trouble))
    except UserError:
        claim.close()
        raise
    if not take_over:
        directory.drop_requests()
    directory.drop_unfinished()
    if opened is not None:
        opened(directory)
    ended = _train(directory, claim, planned, emit, controls, standing=standing, past=past, trouble=trouble)
    del planned, standing
    return ended or _hand_over(directory, emit, controls)


def _put_back(
    directory: RunDirectory, past: list[Event], emit: Emit, world: "World | None"
) -> "tuple[Plan, Standing | None]":
    """The plan of the run's own settings, and its last checkpoint in it."""
    from xray_tui.data.pseudonyms import check_key
    from xray_tui.engine import checkpoints, plan
    from xray_tui.engine.standing import put_back
    from xray_tui.engine.world import ALONE

    settings = config.load_kept(directory.config)
    root = Path(settings.data.root)
    if not root.exists():
        raise UserError(
            f"the run's data folder {root} is not there",
            f"put it back, or write where it is now under [data] into {directory.config}",
        )
    if settings.data.hash_names:
        check_key(root, directory.called())
    saved = (directory.checkpoints / checkpoints.LAST).is_file()
    if not saved and any(isinstance(event, EpochEnded) for event in past):
        again = shlex.join(["xray-tui", "train", str(root), "--config", str(directory.config)])
        raise UserError(
            f"{directory.name} has no checkpoint {checkpoints.LAST} to go on from",
            f"start a new run with its settings: `{again}`",
        )
    world = world or ALONE
    world.tell((settings, saved))
    planned = plan.make(settings, emit, untrained=saved, world=world)
    return planned, put_back(planned, directory.checkpoints) if saved else None


def release() -> None:
    """Give back the memory of a run that has ended; this process goes on."""
    if sys.modules.get("torch"):  # else none was taken, and to load it may be just what failed
        from xray_tui.engine import hardware

        hardware.release()


def _train(
    directory: RunDirectory,
    claim: Claim,
    planned: "Plan",
    emit: Emit,
    controls: Controls,
    *,
    standing: "Standing | None" = None,
    past: Sequence[Event] | None = None,
    trouble: str = "",
) -> RunEnded | None:
    """This process's part of a run, with all who watch it.

    Args:
        past: what the journal of a resumed run tells.
        trouble: why no other process goes on with the run.
    """
    from xray_tui.engine import recipe

    observers = _Observers(directory, claim, planned, emit, controls)
    detached = False
    try:
        if past is not None:
            position = standing.position if standing else None
            epoch, stage = (position.next_epoch, position.stage) if position else (0, None)
            observers.go_on(past, Resumed(epoch=epoch, stage=stage))
        if trouble:
            message = f"the run could not be handed over, so it goes on here: {trouble}"
            observers(Warning(kind="handover", message=message))
        ended = recipe.train(
            planned,
            directory.checkpoints,
            directory.name,
            observers,
            controls,
            standing,
            observers.patience,
        )
        detached = ended is None
        return ended
    finally:
        observers.close(ended=not detached)


class _Observers:
    """All who watch a run: its journal, then whoever started it, then the TensorBoard mirror.

    What fails to be written on a full disk is waited for.
    """

    def __init__(
        self, directory: RunDirectory, claim: Claim, planned: "Plan", emit: Emit, controls: Controls
    ) -> None:
        self._directory = directory
        self._emit = emit
        self._controls = controls
        self._alone = planned.world.size == 1
        self._one_at_a_time = threading.RLock()  # the recorder's thread has something to tell as well
        self.patience = Patience(controls, self._wait, self._waited)
        self._board = BoardWriter(directory.tensorboard)
        self._mirrors = True
        self._waits = ""
        with self._told():
            self._recorder = Recorder(directory, self._use, self._refuse, claim)

    def __call__(self, event: Event) -> None:
        """Tell an event.

        Raises:
            Stop: the disk is full, and somebody asked the run to stop.
            UserError: the run directory cannot be written.
        """
        with self._one_at_a_time:
            # Without its last word a run counts as interrupted, which it is where that finds no room.
            stops: tuple[type[Stop], ...] = (Stop,) if isinstance(event, RunEnded) else ()
            with suppress(*stops):
                self._record(event)
            self._emit(event)
            with suppress(*stops):
                self._reflect(event)

    def go_on(self, past: Sequence[Event], resumed: Resumed) -> None:
        """Tell that the run goes on, all of them knowing its past."""
        self._board.recall(past)
        self(resumed)

    def close(self, *, ended: bool) -> None:
        """
        Args:
            ended: nobody goes on with the run: sum it up.
        """
        try:
            if ended:
                with suppress(Stop):
                    write_report(self._directory, insist=self.patience)
        except Exception as error:  # whatever it is, the run is done and worth more than its report
            self._emit(Warning(kind="report", message=f"the report cannot be written: {error}"))
        finally:
            self._board.close()
            self._recorder.close(ended=ended)

    def _record(self, event: Event) -> None:
        with self._told():
            self.patience(lambda: self._recorder(event), self._directory.path.__str__)

    def _reflect(self, event: Event) -> None:
        if not self._mirrors:
            return
        self._board.take(event)
        try:
            self.patience(self._board.flush, self._directory.tensorboard.__str__)
        except OSError as error:  # the mirror is worth less than the run
            self._mirrors = False
            self(Warning(kind="tensorboard", message=f"the TensorBoard mirror stopped: {error}"))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What keeps the run directory from being written, as a ``UserError``."""
        try:
            yield
        except OSError as error:
            why = f"{error.strerror or error}: {error.filename or self._directory.path}"
            raise UserError(
                f"the run directory cannot be written: {why}",
                f"`xray-tui resume {shlex.quote(self._directory.name)}` goes on from the last checkpoint",
            ) from error

    def _wait(self, what: str) -> None:
        self._waits = what
        message = f"the disk is full, the run waits for room: {what}"
        # Told to those who need no disk; the journal hears of it when it can be written.
        self._emit(Warning(kind="disk_full", message=message))
        progress = Progress(phase="full", note=message)
        self._emit(progress)
        self._recorder(progress)  # what it comes to is small, and may find room

    def _waited(self, seconds: float) -> None:
        message = f"the disk was full, the run waited {seconds:.0f} s for room: {self._waits}"
        self(Warning(kind="disk_full", message=message))

    def _refuse(self, trouble: str) -> None:
        self(Warning(kind="request", message=trouble))

    def _use(self, control: Control, value: float | None) -> None:
        if control == "detach" and not self._alone:
            self._refuse(
                "a run of several processes cannot be detached: stop it, and resume it as it was started"
            )
        else:
            self._controls.use(control, value)


def _hand_over(directory: RunDirectory, emit: Emit, controls: Controls) -> RunEnded | None:
    """Let a process of its own go on with the run; where none does, go on here."""
    release()
    trouble = hand_over(directory, controls.take)
    if not trouble:
        return None
    try:
        return _resume(directory, emit, controls, take_over=True, trouble=trouble)
    except BaseException:
        written = state.written(directory)
        if written is not None and written.live and written.pid == os.getpid():
            state.write(directory, "interrupted")
        raise

"""Starts and resumes runs: joins the engine with those who watch it, for the command line and the dashboard
alike.
"""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xray_tui import config
from xray_tui.board.writer import BoardWriter
from xray_tui.engine.controls import Controls
from xray_tui.errors import UserError
from xray_tui.events import Control, Emit, EpochEnded, Event, Resumed, RunEnded, Warning
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
    news: Sequence[Event] = (),
    world: "World | None" = None,
) -> RunEnded | None:
    check_resumable(directory, handed_over=take_over)
    past = follow.read(directory)
    planned, standing = _put_back(directory, past, emit, world)
    claim = Claim(directory)
    try:
        check_resumable(directory, handed_over=take_over)  # again, now that nobody else can change it
    except UserError:
        claim.close()
        raise
    if not take_over:
        directory.drop_requests()
    if opened is not None:
        opened(directory)
    ended = _train(directory, claim, planned, emit, controls, standing=standing, past=past, news=news)
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
    if not root.is_dir():
        raise UserError(
            f"the run's data folder {root} is not there",
            f"put it back, or write where it is now under [data] into {directory.config}",
        )
    if settings.data.hash_names:
        check_key(root, directory.called())
    saved = (directory.checkpoints / checkpoints.LAST).is_file()
    if not saved and any(isinstance(event, EpochEnded) for event in past):
        raise UserError(
            f"{directory.name} has no checkpoint {checkpoints.LAST} to go on from",
            f"start a new run with its settings: `xray-tui train {root} --config {directory.config}`",
        )
    world = world or ALONE
    world.tell((settings, saved))
    planned = plan.make(settings, emit, untrained=saved, world=world)
    return planned, put_back(planned, directory.checkpoints) if saved else None


def _train(
    directory: RunDirectory,
    claim: Claim,
    planned: "Plan",
    emit: Emit,
    controls: Controls,
    *,
    standing: "Standing | None" = None,
    past: Sequence[Event] | None = None,
    news: Sequence[Event] = (),
) -> RunEnded | None:
    """This process's part of a run, with all who watch it.

    Args:
        past: what the journal of a resumed run tells.
        news: to be told first.
    """
    from xray_tui.engine import recipe

    one_at_a_time = threading.RLock()  # the recorder's thread has something to tell as well
    board = BoardWriter(directory.tensorboard)
    mirror: Emit | None = board

    def tell(event: Event) -> None:
        nonlocal mirror
        with one_at_a_time:
            recorder(event)
            emit(event)
            if mirror is not None:
                try:
                    mirror(event)
                except OSError as error:  # the mirror is worth less than the run
                    mirror = None
                    tell(Warning(kind="tensorboard", message=f"the TensorBoard mirror stopped: {error}"))

    def refuse(trouble: str) -> None:
        tell(Warning(kind="request", message=trouble))

    def use(control: Control, value: float | None) -> None:
        if control == "detach" and planned.world.size > 1:
            refuse("a run of several processes cannot be detached: stop it, and resume it as it was started")
        else:
            controls.use(control, value)

    recorder = Recorder(directory, use, refuse, claim)
    detached = False
    try:
        if past is not None:
            board.recall(past)
            position = standing.position if standing else None
            tell(
                Resumed(
                    epoch=position.next_epoch if position else 0, stage=position.stage if position else None
                )
            )
        for event in news:
            tell(event)
        ended = recipe.train(planned, directory.checkpoints, directory.name, tell, controls, standing)
        detached = ended is None
        return ended
    finally:
        board.close()
        recorder.close()
        if not detached:
            write_report(directory)


def _hand_over(directory: RunDirectory, emit: Emit, controls: Controls) -> RunEnded | None:
    """Let a process of its own go on with the run; where none does, go on here."""
    from xray_tui.engine import hardware

    hardware.release()
    trouble = hand_over(directory, controls.take)
    if not trouble:
        return None
    warning = Warning(
        kind="handover", message=f"the run could not be handed over, so it goes on here: {trouble}"
    )
    try:
        return _resume(directory, emit, controls, take_over=True, news=[warning])
    except BaseException:
        written = state.written(directory)
        if written is not None and written.status == "handover":
            state.write(directory, "interrupted")
        raise

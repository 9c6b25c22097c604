"""Starts a run: joins the engine with those who watch it, for the command line and the dashboard alike."""

from collections.abc import Callable

from xray_tui.board.writer import BoardWriter
from xray_tui.config import Settings
from xray_tui.engine.controls import Controls
from xray_tui.events import Emit, Event, RunEnded, Warning
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.recorder import Recorder
from xray_tui.runs.report import write_report


def start(
    settings: Settings,
    emit: Emit,
    controls: Controls,
    *,
    opened: Callable[[RunDirectory], None] | None = None,
) -> RunEnded:
    """Run the whole recipe in this thread.

    Args:
        emit: given every event of the run, progress included, after it is in the journal.
        opened: told the run directory as soon as it is there.

    Raises:
        UserError: what a person can mend. Before the directory is there, nothing is left behind.
        Exception: a bug; the journal says so too.
    """
    from xray_tui.engine import plan, recipe  # imported here: torch takes seconds, a screen should not

    planned = plan.make(settings, emit)
    directory = RunDirectory.create(planned.settings)
    directory.journal.touch()
    recorder = Recorder(directory, controls.use)
    board = BoardWriter(directory.tensorboard)
    mirror: Emit | None = board

    def tell(event: Event) -> None:
        nonlocal mirror
        recorder(event)
        emit(event)
        if mirror is not None:
            try:
                mirror(event)
            except OSError as error:  # the mirror is worth less than the run
                mirror = None
                tell(Warning(kind="tensorboard", message=f"the TensorBoard mirror stopped: {error}"))

    if opened is not None:
        opened(directory)
    try:
        return recipe.train(planned, directory.checkpoints, directory.name, tell, controls)
    finally:
        board.close()
        recorder.close()
        write_report(directory)

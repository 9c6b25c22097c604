"""Evaluates a run on test after its end: joins the engine with those who keep the run."""

from pathlib import Path
from typing import TYPE_CHECKING

from xray_tui import config
from xray_tui.board.writer import BoardWriter
from xray_tui.engine.controls import Controls
from xray_tui.errors import UserError
from xray_tui.events import Emit, Event, Progress
from xray_tui.files import at_once
from xray_tui.runs import follow
from xray_tui.runs.claim import Claim, check_own, refuse_live
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.journal import JournalWriter
from xray_tui.runs.record import RunRecord
from xray_tui.runs.report import write_report
from xray_tui.settings import Settings

if TYPE_CHECKING:
    from xray_tui.engine.plan import Plan


def evaluate_test(directory: RunDirectory, emit: Emit, controls: Controls) -> None:
    """Unseal test and evaluate the best weights of a run on it, as the run itself would have.

    What happens goes into the run's journal, its predictions, TensorBoard and its report.

    Args:
        emit: given every event, after it is in the journal.

    Raises:
        UserError: the run is live, has no best epoch or no operating point yet, its data folder is another,
            or something cannot be read or written.
        Stop: the controls were asked to.
    """
    check_own(directory)
    refuse_live(directory)
    record = RunRecord.of(past := follow.read(directory))
    best, settings = record.best, config.load_kept(directory.config)
    if record.started is None or best is None:
        raise UserError(f"{directory.name} has no best epoch", "there are no weights to evaluate")
    wanted = settings.evaluation
    if record.point is None and (wanted.operating_point != "likeliest" or wanted.calibrate):
        raise UserError(
            f"{directory.name} ended before its operating point was chosen",
            f"`xray-tui resume {directory.name}` goes on with it, and evaluates test at its end",
        )
    if not Path(settings.data.root).is_dir():
        raise UserError(f"the run's data folder {settings.data.root} is not there", "put it back")
    with Claim(directory) as claim:
        planned = _plan(directory, config.replace(settings, {"evaluation.unseal": "end"}), emit)
        board = BoardWriter(directory.tensorboard)
        board.recall(past)
        keep = JournalWriter(directory, claim)

        def tell(event: Event) -> None:
            if not isinstance(event, Progress):
                keep(event)
            emit(event)
            board(event)

        try:
            _evaluate(planned, directory, record.started.run, best.epoch, tell, controls)
            write_report(directory)
        except OSError as error:
            why = f"{error.strerror or error}: {error.filename or directory.path}"
            raise UserError(f"the run directory cannot be written: {why}") from error
        finally:
            board.close()


def _plan(directory: RunDirectory, settings: Settings, emit: Emit) -> "Plan":
    from xray_tui.data.pseudonyms import check_key
    from xray_tui.engine import checkpoints, plan  # imported here: torch takes seconds

    if settings.data.hash_names:
        check_key(Path(settings.data.root), directory.called())
    planned = plan.make(settings, emit, untrained=True)
    if (directory.checkpoints / checkpoints.LAST).exists():
        files = checkpoints.read_position(directory.checkpoints).files
        if files and files != planned.digest:
            raise UserError(
                f"{planned.listing.root} holds other images than when the run began",
                "put the same files back",
            )
    checkpoints.load_best(directory.checkpoints, planned.model)
    return planned


def _evaluate(
    planned: "Plan", directory: RunDirectory, run: str, epoch: int, emit: Emit, controls: Controls
) -> None:
    import torch

    from xray_tui.engine import checkpoints
    from xray_tui.engine.evaluation import Evaluation
    from xray_tui.engine.passes import Passes
    from xray_tui.engine.reading import Reader
    from xray_tui.engine.reporting import Reporter
    from xray_tui.engine.times import Times

    torch.set_num_threads(planned.hardware.threads)
    reporter, times, folder = Reporter(emit, controls), Times(), directory.checkpoints
    passes = Passes(planned, reporter, emit, times, at_once)
    try:
        point = checkpoints.read_operating_point(folder)
        reader = Reader(planned, reporter)
        Evaluation(planned, folder, reader, passes, emit, times, at_once, point).evaluate_test(run, epoch)
    finally:
        passes.close()

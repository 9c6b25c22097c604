"""Evaluates a run after its end, on test or elsewhere: joins the engine with those who keep the run."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from xray_tui import config
from xray_tui.board.writer import BoardWriter
from xray_tui.data import patients, unsealings
from xray_tui.data.findings import SAME_BYTES
from xray_tui.data.folders import ImageFile, Listing
from xray_tui.data.own_images import OwnImages
from xray_tui.data.pseudonyms import OWN_NAMES
from xray_tui.data.sources import scan_labelled
from xray_tui.engine.controls import Controls
from xray_tui.engine.reporting import Reporter
from xray_tui.errors import UserError
from xray_tui.events import Emit, Event, Progress, Warning
from xray_tui.files import at_once
from xray_tui.runs import follow
from xray_tui.runs.claim import Claim, check_own, refuse_live
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.evaluated import Elsewhere
from xray_tui.runs.journal import JournalWriter
from xray_tui.runs.predictions import Images, Predictions
from xray_tui.runs.record import RunRecord
from xray_tui.runs.report import write_report
from xray_tui.settings import Settings
from xray_tui.words import count

if TYPE_CHECKING:
    from xray_tui.engine.plan import Plan


def evaluate_test(directory: RunDirectory, emit: Emit, controls: Controls, *, device: str = "") -> None:
    """Unseal test and evaluate the best weights of a run on it, as the run itself would have.

    What happens goes into the run's journal, its predictions, TensorBoard and its report.

    Args:
        emit: given every event, after it is in the journal.
        device: in place of the run's, as the setting ``hardware.device``.

    Raises:
        UserError: the run is live, has no best epoch or no operating point yet, its data folder is another,
            its device is not there, or something cannot be read or written.
        Stop: the controls were asked to.
    """
    check_own(directory)
    refuse_live(directory)
    record = RunRecord.of(past := follow.read(directory))
    run, best, settings = _chosen(record, directory)
    if not Path(settings.data.root).exists():
        raise UserError(f"the run's data folder {settings.data.root} is not there", "put it back")
    settings = config.replace(settings, {"evaluation.unseal": "end"})
    with Claim(directory) as claim:
        planned = _plan(directory, settings, device, emit)
        board = BoardWriter(directory.tensorboard)
        board.recall(past)
        keep = JournalWriter(directory, claim)

        def tell(event: Event) -> None:
            if not isinstance(event, Progress):
                keep(event)
            emit(event)
            board(event)

        try:
            _evaluate(planned, directory, run, best, tell, controls)
            write_report(directory)
        except OSError as error:
            why = f"{error.strerror or error}: {error.filename or directory.path}"
            raise UserError(f"the run directory cannot be written: {why}") from error
        finally:
            board.close()


def evaluate_elsewhere(
    directory: RunDirectory,
    root: Path,
    emit: Emit,
    controls: Controls,
    *,
    columns: str = "",
    device: str = "auto",
) -> Elsewhere:
    """Ask the best weights of a run about another data set than its own; nothing of the run is changed.

    The look is noted in the ledger, as one at test is.

    Args:
        root: a folder with one folder a class, a CSV file of labels, or data with splits: its test is taken.
        emit: given progress, and a warning where some are copies of the run's own.
        columns: of the CSV file, as the setting ``data.columns``.
        device: as the setting ``hardware.device``.

    Raises:
        UserError: the run has no best epoch or no operating point yet; the images are its own, or of other
            classes; none can be read; or as :func:`load` and :func:`verdicts` of :mod:`xray_tui.trained`.
        Stop: the controls were asked to.
    """
    record = RunRecord.of(follow.read(directory))
    run, _, settings = _chosen(record, directory)
    listing = scan_labelled(root, columns)
    _check_foreign(listing, Path(settings.data.root), directory)
    _check_classes(listing, record.classes, directory)
    listing = patients.told(listing)
    files = listing.folders.get("test") or listing.folders.get("")
    if not files:
        raise UserError(f"{listing.source} has no test images", "name a folder with one folder a class")
    reporter = Reporter(emit, controls)
    if own := _own_among(files, listing, settings, directory, reporter):
        emit(own)
    emit(Progress(phase="weights", note=f"loading {settings.model.backbone}"))
    import numpy as np  # imported here, as below: torch takes seconds

    from xray_tui.trained import load, verdicts

    trained = load(directory, device)
    try:
        looks = unsealings.look(unsealings.digest_of(listing.root, files), Path(settings.run.runs_dir) / run)
    except OSError as error:
        raise UserError(
            f"it cannot be noted in {unsealings.ledger_file()} that these images are looked at: "
            f"{error.strerror or error}",
            "XRAY_TUI_STATE_DIR names another folder",
        ) from None
    step, done, read, found = reporter.steps("test", len(files)), 0, [], []
    for some, verdict in verdicts(trained, ((listing.root / file.place, file.label) for file in files)):
        read += [file for file, (_, unreadable) in zip(files[done:], some, strict=False) if not unreadable]
        found.append(verdict)
        done += len(some)
        step(done)
    if not read:
        raise UserError(f"none of the {len(files)} images in {listing.source} can be read")
    images = Images(
        paths=[file.path for file in read],
        actual=np.concatenate([verdict.actual for verdict in found]),
        patients=[OWN_NAMES.patient(file) for file in read],
    )
    predictions = Predictions(
        images=images,
        probabilities=np.concatenate([verdict.probabilities for verdict in found]),
        losses=np.concatenate([verdict.losses for verdict in found]),
    )
    return Elsewhere(listing.source, predictions, len(files) - len(read), trained.epoch, looks.times)


def _chosen(record: RunRecord, directory: RunDirectory) -> tuple[str, int, Settings]:
    """What the directory was called when the run began, its best epoch, its settings.

    Raises:
        UserError: it did not come to choosing what is evaluated.
    """
    if record.started is None or record.best is None:
        raise UserError(f"{directory.name} has no best epoch", "there are no weights to evaluate")
    settings = config.load_kept(directory.config)
    if record.point is None and settings.evaluation.chooses:
        raise UserError(
            f"{directory.name} ended before its operating point was chosen",
            f"`xray-tui resume {shlex.quote(directory.name)}` goes on with it",
        )
    return record.started.run, record.best.epoch, settings


def _check_foreign(listing: Listing, own: Path, directory: RunDirectory) -> None:
    if listing.source.is_relative_to(own.resolve()):
        raise _not_foreign(f"{listing.source} is the run's own data", directory)


def _own_among(
    files: list[ImageFile], listing: Listing, settings: Settings, directory: RunDirectory, reporter: Reporter
) -> Warning | None:
    """What is to be said of copies of the run's own images, whose very files are refused."""
    try:
        own = OwnImages(settings)
    except UserError as error:
        why = f"copies of the run's own images were not looked for: {error.message}"
        return Warning(kind="duplicates", message=why)
    places = [listing.root / file.place for file in files]
    if number := sum(map(own.holds, places)):
        raise _not_foreign(f"{_part(number, listing, files)} the run's own data", directory)
    step, copies = reporter.steps("reading", len(files)), []
    for done, (file, place) in enumerate(zip(files, places, strict=True), 1):
        if twin := own.copied(place):
            copies.append(f"{twin.path} = {file.path}")
        step(done)
    if not copies:
        return None
    return Warning(
        kind="duplicates",
        message=f"{_part(len(copies), listing, files)} in the run's train or validation too. {SAME_BYTES} "
        "The network is judged on what it has seen: its numbers look too good.",
        paths=[] if settings.data.hash_names else copies,
    )


def _part(number: int, listing: Listing, files: list[ImageFile]) -> str:
    are = "is" if number == 1 else "are"
    return f"{count(number)} of the {count(len(files))} images of {listing.source} {are}"


def _not_foreign(what: str, directory: RunDirectory) -> UserError:
    return UserError(
        f"{what}, which it was trained and chosen on",
        f"`xray-tui evaluate {shlex.quote(directory.name)}` evaluates it on test; name another data set",
    )


def _check_classes(listing: Listing, classes: list[str], directory: RunDirectory) -> None:
    missing, extra = set(classes) - set(listing.classes), set(listing.classes) - set(classes)
    if missing or extra:
        words = [f"{listing.source} lacks {', '.join(sorted(missing))}"] if missing else []
        words += [f"has {', '.join(sorted(extra))} besides"] if extra else []
        raise UserError(
            f"{directory.name} tells {', '.join(classes)} apart: {' and '.join(words)}",
            "wanted: one folder for each of its classes, of the same names",
        )


def _plan(directory: RunDirectory, settings: Settings, device: str, emit: Emit) -> "Plan":
    from xray_tui.data.pseudonyms import check_key
    from xray_tui.engine import checkpoints, plan  # imported here: torch takes seconds
    from xray_tui.trained import settings_on

    if device:
        settings = settings_on(device, settings)
    if settings.data.hash_names:
        check_key(Path(settings.data.root), directory.called())
    planned = plan.make(settings, emit, untrained=True, trains=False)
    if (directory.checkpoints / checkpoints.LAST).exists():
        files = checkpoints.read_position(directory.checkpoints).files
        if files and files != planned.digest:
            raise UserError(
                f"{planned.listing.source} holds other images than when the run began",
                "put the same files back",
            )
    checkpoints.load_best(directory.checkpoints, planned.model)
    return planned


def _evaluate(
    planned: "Plan", directory: RunDirectory, run: str, epoch: int, emit: Emit, controls: Controls
) -> None:
    from xray_tui.engine import checkpoints
    from xray_tui.engine.evaluation import Evaluation
    from xray_tui.engine.passes import Passes
    from xray_tui.engine.reading import Reader
    from xray_tui.engine.times import Times

    planned.hardware.set_up()
    reporter, times, folder = Reporter(emit, controls), Times(), directory.checkpoints
    passes = Passes(planned, reporter, emit, times, at_once)
    try:
        checkpoints.check_best(folder, epoch)
        point = checkpoints.read_operating_point(folder)
        reader = Reader(planned, reporter)
        Evaluation(planned, folder, reader, passes, emit, times, at_once, point).evaluate_test(run, epoch)
    finally:
        passes.close()

"""A line about each run of a folder."""

from dataclasses import dataclass
from pathlib import Path

from xray_tui.errors import UserError
from xray_tui.runs import state
from xray_tui.runs.directory import RunDirectory, list_runs
from xray_tui.runs.follow import read
from xray_tui.runs.record import RunRecord


@dataclass(frozen=True)
class Summary:
    directory: RunDirectory
    name: str
    """As the person named it; else the directory's name."""
    status: str
    started: float | None
    """Unix seconds."""
    seconds: float | None
    backbone: str
    stage: str | None
    epochs: int
    best_epoch: int | None
    loss: float | None
    """Of validation, at the best epoch; accuracy and AUC likewise."""
    accuracy: float | None
    auc: float | None


def summary(directory: RunDirectory) -> Summary:
    """A line about one run; a journal that cannot be read shows as ``unreadable``."""
    status: str
    try:
        record = RunRecord.of(read(directory))
    except UserError:
        record, status = RunRecord(), "unreadable"
    else:
        status = state.read(directory).status
    started, best = record.started, record.best_epoch
    named = started.settings["run"]["name"] if started else ""
    first, last = record.first_t, record.last_t
    return Summary(
        directory=directory,
        name=named or directory.name,
        status=status,
        started=first,
        seconds=last - first if first is not None and last is not None else None,
        backbone=started.backbone if started else "",
        stage=record.stage,
        epochs=len(record.epochs),
        best_epoch=best.epoch if best else None,
        loss=best.validation_loss if best else None,
        accuracy=best.accuracy if best else None,
        auc=best.auc if best else None,
    )


def summaries(runs_dir: Path) -> list[Summary]:
    """A line about each run, newest first."""
    return [summary(directory) for directory in list_runs(runs_dir)]

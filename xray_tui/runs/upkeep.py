"""Keeping runs: notes, names, the trash, tables of them."""

import csv
import io
import os
import stat
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import msgspec

from xray_tui.errors import UserError
from xray_tui.files import replace_bytes
from xray_tui.regular_files import check_replaceable
from xray_tui.runs import about, state
from xray_tui.runs.claim import Claim
from xray_tui.runs.directory import RunDirectory, list_runs
from xray_tui.runs.index import Summary
from xray_tui.runs.markdown import plain, table
from xray_tui.runs.report import write_report
from xray_tui.settings_file import leaves
from xray_tui.words import ABSENT, SELECTED_ON_TEST, duration, harmless, number, percent

_TRASH = ".trash"
_COLUMNS = (
    "run",
    "name",
    "note",
    "status",
    "started",
    "seconds",
    "backbone",
    "data",
    "stage",
    "epochs",
    "best_epoch",
    "loss",
    "accuracy",
    "auc",
)


def set_note(directory: RunDirectory, text: str) -> None:
    """Write a note about a run; an empty one takes it away.

    Raises:
        UserError: the run directory cannot be written, or what is kept there is broken.
    """
    about.write(directory, msgspec.structs.replace(about.load(directory), note=text.strip()))


def rename(directory: RunDirectory, name: str) -> None:
    """Give a run another name; an empty one gives back the name it started with. The directory stays.

    Raises:
        UserError: as :func:`set_note`.
    """
    about.write(directory, msgspec.structs.replace(about.load(directory), name=name.strip()))


def delete(directory: RunDirectory) -> Path:
    """Move a run into the trash folder beside it, and say where it is now.

    Of a run whose directory is a link, the link is moved; nothing that a link leads to is touched.

    Raises:
        UserError: the run is live, is none, or cannot be moved.
    """
    refuse_live(directory)
    folder = directory.path.absolute()  # a run can be named by a path such as "."
    if folder.name not in (run.name for run in list_runs(folder.parent)) and not directory.journal.exists():
        raise UserError(f"{folder} is no run", "nothing was deleted")
    trash = folder.parent / _TRASH
    if trash.is_symlink():
        raise UserError(
            f"{trash} is a link: what is moved there would leave the folder", "nothing was deleted"
        )
    try:
        trash.mkdir(exist_ok=True)
        taken = {path.name for path in trash.iterdir()}
        numbered = (f"{folder.name}-{number}" for number in range(2, len(taken) + 3))
        name = next(name for name in (folder.name, *numbered) if name not in taken)
        with _claimed(directory):
            return folder.rename(trash / name)
    except OSError as error:
        raise UserError(
            f"cannot move {folder} into {trash}: {error.strerror}", "nothing was deleted"
        ) from None


def _claimed(directory: RunDirectory) -> AbstractContextManager[object]:
    """The right to move a run: one that is just being resumed does not say yet that it is live.

    A claim opens the journal, or makes it: nobody writes a run whose journal is a pipe or lies elsewhere.
    """
    try:
        elsewhere = not stat.S_ISREG(directory.journal.lstat().st_mode)
    except FileNotFoundError:
        elsewhere = directory.path.is_symlink()
    return nullcontext() if elsewhere else Claim(directory, patience_seconds=0)


def refuse_live(directory: RunDirectory) -> None:
    """Only a run that has ended can be deleted.

    Raises:
        UserError: it is live.
    """
    status = state.read(directory)
    if status.live:
        raise UserError(
            f"{directory.name} is {status.status}: a live run is not deleted",
            "stop it first, in xray-tui watch",
        )


def export(summaries: Sequence[Summary], file: Path) -> None:
    """Write runs into a file: CSV, JSON or Markdown by its suffix; one run as Markdown is its report,
    with figures in a folder beside it.

    CSV and JSON keep numbers exact, rates as fractions, with every setting of each run; Markdown has what
    the list of runs shows.

    Raises:
        UserError: another suffix, a run whose directory is a link, or the file cannot be written.
    """
    for run in summaries:
        if run.directory.path.is_symlink():  # what it leads to is not what this folder keeps
            raise UserError(
                f"{run.directory.path} is a link: it is not followed to be exported",
                f"name its own folder: {os.path.realpath(run.directory.path)}",
            )
    try:
        match file.suffix.lower():
            case ".csv":
                _write(file, _csv(summaries))
            case ".json":
                lines = msgspec.json.encode([tree(run) for run in summaries])
                _write(file, f"{msgspec.json.format(lines, indent=2).decode()}\n")
            case ".md" if len(summaries) == 1:
                write_report(summaries[0].directory, file)
            case ".md":
                _write(file, _markdown(summaries))
            case suffix:
                raise UserError(
                    f"{file.name}: cannot export as {suffix or 'a file without a suffix'}",
                    "name a file that ends in .csv, .json or .md",
                )
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}") from None


def _write(file: Path, text: str) -> None:
    # A file name of another encoding, in the path of the runs folder, is no text.
    check_replaceable(file)
    replace_bytes(file, text.encode("utf-8", "replace"))


def tree(run: Summary) -> dict[str, Any]:
    """A line about a run as plain values, its settings as a tree."""
    return {**_row(run), "directory": harmless(str(run.directory.path)), "settings": run.settings}


def _row(run: Summary) -> dict[str, Any]:
    started = (
        None if run.started is None else time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(run.started))
    )
    values = [
        run.directory.name,
        run.name,
        run.note,
        run.status,
        started,
        run.seconds,
        run.backbone,
        run.data,
        run.stage,
        run.epochs,
        run.best_epoch,
        run.loss,
        run.accuracy,
        run.auc,
    ]
    return dict(zip(_COLUMNS, values, strict=True))


def _csv(summaries: Sequence[Summary]) -> str:
    """With a header; a column for each setting, what is unknown is empty."""
    settings = [{f"cfg.{path}": value for path, value in leaves(run.settings)} for run in summaries]
    text = io.StringIO()
    columns = [*_COLUMNS, *dict.fromkeys(path for tree in settings for path in tree)]
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(_row(run) | tree for run, tree in zip(summaries, settings, strict=True))
    return text.getvalue()


def _markdown(summaries: Sequence[Summary]) -> str:
    header = ["run", "name", "status", "backbone", "stage"]
    header += ["epochs", "loss", "accuracy", "AUC", "time", "note"]
    rows = []
    for run in summaries:
        name = "" if run.name == run.directory.name else run.name
        cells = [run.directory.name, name, run.status, run.backbone, run.stage or ABSENT, str(run.epochs)]
        cells += [
            number(run.loss, 4),
            percent(run.accuracy) + run.mark,
            number(run.auc, 4),
            duration(run.seconds),
            run.note,
        ]
        rows.append([plain(" ".join(cell.split())) for cell in cells])
    lines = table(header, rows, numbers=range(5, 10))
    if any(run.mark for run in summaries):
        lines += [f"\\* {SELECTED_ON_TEST}", ""]
    return "\n".join(lines)

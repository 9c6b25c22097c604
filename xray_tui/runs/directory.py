"""Where a run keeps its things, and how another process asks something of it."""

import csv
import io
import math
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import msgspec

from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.events import Control
from xray_tui.files import keep_names, replace_bytes
from xray_tui.regular_files import NotRegular, read_regular
from xray_tui.settings import Settings
from xray_tui.words import harmless

_LONGEST_VALUE = 64
"""Bytes of a request's file that are read."""
_LONGEST_NAME = 255
"""Characters of a name from a file that are told."""
_SOURCES = ["path", "actual", "patient"]
_SOURCES_BYTES = 1 << 29
"""Of ``images.csv``: some millions of images."""
_STAMP, _NAME = "%Y%m%d-%H%M%S", re.compile(r"^\d{8}-\d{6}-")


@dataclass(frozen=True)
class RunDirectory:
    """The paths of one run. Their contents are described in the design's "run directory"."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def journal(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def progress(self) -> Path:
        return self.path / "progress.json"

    @property
    def state(self) -> Path:
        return self.path / "state.json"

    @property
    def control(self) -> Path:
        return self.path / "control"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def predictions(self) -> Path:
        return self.path / "predictions"

    @property
    def images(self) -> Path:
        """The validation images, in the order of the predictions."""
        return self.predictions / "images.csv"

    @property
    def test_images(self) -> Path:
        """The test images, likewise; there once test has been evaluated."""
        return self.predictions / "test.csv"

    @property
    def test_predictions(self) -> Path:
        return self.predictions / "test.npz"

    def predictions_of(self, epoch: int) -> Path:
        """Of the validation images."""
        return self.predictions / f"{epoch:04d}.npz"

    @property
    def explanations(self) -> Path:
        """A folder for each stage, made as it is explained."""
        return self.path / "explanations"

    @property
    def report(self) -> Path:
        return self.path / "report.md"

    @property
    def figures(self) -> Path:
        """The report's."""
        return self.path / "figures"

    @property
    def detached_log(self) -> Path:
        """What a process without a terminal said."""
        return self.path / "detached.log"

    @classmethod
    def create(cls, settings: Settings, now: float | None = None) -> "RunDirectory":
        """A new directory below the runs folder, with the resolved settings in it.

        Raises:
            UserError: the runs folder cannot be written.
        """
        runs = Path(settings.run.runs_dir).expanduser()
        stamp = time.strftime(_STAMP, time.localtime(now))
        stem = f"{stamp}-{settings.model.backbone.replace(':', '-')}"
        try:
            runs.mkdir(parents=True, exist_ok=True)
            for number in range(1, 1000):
                path = runs / (stem if number == 1 else f"{stem}-{number}")
                try:
                    path.mkdir()
                    break
                except FileExistsError:
                    continue
            made = cls(path)
            for folder in (made.control, made.checkpoints, made.tensorboard, made.predictions):
                folder.mkdir()
            replace_bytes(made.config, config.to_toml(settings).encode(), durable=True)
            keep_names(runs)
        except OSError as error:
            raise UserError(
                f"cannot write into the runs folder {runs}: {error.strerror}",
                "choose another one with --runs-dir DIR",
            ) from None
        return made

    @classmethod
    def find(cls, runs_dir: Path, name: str | None = None) -> "RunDirectory":
        """A run by name, by the beginning of its name or by path; the newest where no name is given.

        Raises:
            UserError: there is none, or more than one begins like that.
        """
        runs = list_runs(runs_dir)
        if name == "":
            raise UserError("no run is named: its name is empty", "see `xray-tui runs list`")
        if name is None:
            if not runs:
                raise UserError(
                    f"no runs in {runs_dir}", "start one with `xray-tui train DATA`, or name --runs-dir"
                )
            return runs[0]
        for path in (Path(name), runs_dir / name):
            if _has_settings(path):
                return cls(path if path.name not in ("", "..") else path.resolve())
        matching = [run for run in runs if run.name.startswith(name)]
        if len(matching) == 1:
            return matching[0]
        if matching:
            raise UserError(
                f"{len(matching)} runs begin with {name!r}",
                "such as " + ", ".join(run.name for run in matching[:3]),
            )
        raise UserError(f"no run {name!r} in {runs_dir}", "see `xray-tui runs list`")

    def request(self, control: Control, value: float | None = None) -> None:
        """Ask something of the run, whatever process it lives in; obeyed at its next batch.

        Args:
            value: of ``learning_rate``: the new one.
        """
        content = b"" if value is None else msgspec.json.encode(value)
        replace_bytes(self.control / f"{time.time_ns()}-{control}", content)

    def take_requests(self, refuse: Callable[[str], None]) -> Iterator[tuple[Control, float | None]]:
        """The requests that wait and their values, oldest first; each is deleted as it is taken.

        Args:
            refuse: told what is wrong with a file that is no request, which is deleted too.
        """
        if self.control.is_symlink() or not self.control.is_dir():  # nothing elsewhere is ours to delete
            return
        for file in sorted(self.control.iterdir()):
            if file.name.startswith("."):  # it is still being written
                continue
            if file.is_dir() and not file.is_symlink():  # nobody asks like that, and it may hold anything
                continue
            found = _request(file)
            file.unlink(missing_ok=True)
            if isinstance(found, str):
                refuse(f"control/{harmless(file.name)[:_LONGEST_NAME]} is no request: {found}")
            else:
                yield found

    def drop_requests(self) -> None:
        """Forget what was asked of a process that is gone."""
        for _ in self.take_requests(lambda trouble: None):
            pass

    def drop_unfinished(self) -> None:
        """Delete what processes that were killed had begun to write: as much as a whole checkpoint each."""
        for folder in (self.checkpoints, self.predictions):
            if not folder.is_symlink():  # nothing elsewhere is ours to delete
                for part in folder.glob(".*.part"):
                    part.unlink(missing_ok=True)

    def sources(self, file: Path | None = None) -> list[tuple[str, str, str]]:
        """The images (path, actual class, patient) of a table, in the order of their predictions.

        Args:
            file: ``images`` (the default) or ``test_images``.

        Raises:
            OSError: the file is not there or cannot be read.
            ValueError: it is no such table, or names files outside the data folder.
        """
        content = self.read(file or self.images, _SOURCES_BYTES)
        try:
            text = content.decode("utf-8", "surrogateescape")
            rows = csv.reader(io.StringIO(text, newline=""))
            begins = next(rows, None)
            if begins is None:
                raise ValueError("it is empty")
            if begins != _SOURCES:
                raise ValueError(f"it does not begin with {','.join(_SOURCES)}")
            found = [(path, actual, patient) for path, actual, patient in rows]
        except csv.Error as error:
            raise ValueError(str(error)) from None
        for path, _, _ in found:
            if path.startswith("/") or "\0" in path or ".." in path.split("/"):
                raise ValueError(f"{harmless(path)[:_LONGEST_NAME]} is no file of a data folder")
        return found

    def read(self, file: Path, most_bytes: int) -> bytes:
        """The content of one of the run's files. A link is not followed: it may lead anywhere.

        Raises:
            OSError: the file is no regular one, larger than that, or as the file system says.
        """
        self.check_inside(file)
        return read_regular(file, most_bytes, follow=False)

    def check_inside(self, file: Path) -> None:
        """
        Raises:
            OSError: the folder of the run that the file is in is a link: it may lead anywhere.
        """
        folder = file.parent
        if folder != self.path and folder.is_symlink():
            raise NotRegular(stat.S_IFLNK, folder)

    def called(self) -> list[str]:
        """What the validation images are called; none where the run has not come to telling them."""
        return [path for path, _, _ in self.sources()] if self.images.exists() else []


def list_runs(runs_dir: Path) -> list[RunDirectory]:
    """The runs of a folder, newest first; a person may have renamed theirs.

    Raises:
        UserError: it cannot be looked into.
    """
    try:
        found = sorted(((_age(path), path) for path in runs_dir.iterdir()), reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise UserError(f"cannot look into the runs folder {runs_dir}: {why}", "see --runs-dir") from None
    return [RunDirectory(path) for age, path in found if age]


def _age(path: Path) -> str:
    """What sorts a run by its beginning: its name, else one by when its settings were written; empty for what
    is no run. Of another name only a folder that has a journal as well is one, no link and no hidden one.
    """
    if _NAME.match(path.name):
        return path.name if _has_settings(path) else ""
    run = RunDirectory(path)
    if path.name.startswith(".") or path.is_symlink():
        return ""
    if not (_has_settings(path) and os.path.lexists(run.journal)):
        return ""
    try:
        return f"{time.strftime(_STAMP, time.localtime(run.config.stat().st_mtime))}-{path.name}"
    except (OSError, OverflowError, ValueError):  # a time beyond any calendar
        return ""


def _has_settings(path: Path) -> bool:
    """Whether a folder is a run's, for as much as the system lets us know."""
    return os.path.isfile(path / "config.toml")  # noqa: PTH113  # Path's own raises where access is denied


def _request(file: Path) -> tuple[Control, float | None] | str:
    """What a file of ``control/`` asks for, or why it asks for nothing."""
    known: dict[str, Control] = {word: word for word in get_args(Control)}
    stamp, _, word = file.name.partition("-")
    control = known.get(word)
    if control is None or not stamp.isdecimal():
        return f"such are NUMBER-{{{','.join(known)}}}"
    if control != "learning_rate":
        return control, None
    try:
        value = msgspec.json.decode(read_regular(file, _LONGEST_VALUE, follow=False), type=float)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = math.nan
    return (control, value) if 0 < value < math.inf else "it holds no positive number"

"""Where a run keeps its things, and how another process asks something of it."""

import csv
import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import msgspec

from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.events import Control
from xray_tui.files import replace_bytes
from xray_tui.settings import Settings

_LONGEST_VALUE = 64
"""Bytes of a request's file that are read."""
_NAME = re.compile(r"^\d{8}-\d{6}-")


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
    def report(self) -> Path:
        return self.path / "report.md"

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
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
        stem = f"{stamp}-{settings.model.backbone}"
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
            replace_bytes(made.config, config.to_toml(settings).encode())
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
        if name is None:
            if not runs:
                raise UserError(
                    f"no runs in {runs_dir}", "start one with `xray-tui train DATA`, or name --runs-dir"
                )
            return runs[0]
        for path in (Path(name), runs_dir / name):
            if (path / "config.toml").is_file():
                return cls(path)
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
        for file in sorted(self.control.iterdir()):
            if file.name.startswith("."):  # it is still being written
                continue
            found = _request(file)
            file.unlink()
            if isinstance(found, str):
                refuse(f"control/{file.name} is no request: {found}")
            else:
                yield found

    def drop_requests(self) -> None:
        """Forget what was asked of a process that is gone."""
        for _ in self.take_requests(lambda trouble: None):
            pass

    def sources(self) -> list[tuple[str, str, str]]:
        """The validation images (path, actual class, patient), in the order of ``predictions/*.npz``."""
        with (self.predictions / "images.csv").open(
            newline="", encoding="utf-8", errors="surrogateescape"
        ) as file:
            rows = iter(csv.reader(file))
            next(rows)
            return [(path, actual, patient) for path, actual, patient in rows]

    def called(self) -> list[str]:
        """What the validation images are called; none where the run has not come to telling them."""
        return [path for path, _, _ in self.sources()] if (self.predictions / "images.csv").exists() else []


def list_runs(runs_dir: Path) -> list[RunDirectory]:
    """The runs of a folder, newest first."""
    if not runs_dir.is_dir():
        return []
    named = sorted((path for path in runs_dir.iterdir() if _NAME.match(path.name)), reverse=True)
    return [RunDirectory(path) for path in named if (path / "config.toml").is_file()]


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
        value = msgspec.json.decode(file.read_bytes()[:_LONGEST_VALUE], type=float)
    except (OSError, msgspec.DecodeError):
        value = math.nan
    return (control, value) if 0 < value < math.inf else "it holds no positive number"

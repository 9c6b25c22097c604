"""SIGKILL at random moments of whole runs, and what a resume makes of what is left.

Each process of a run is forked from one that has imported torch already: a kill costs a second, not five.
"""

import random
import shutil
import time
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from msgspec import json
from safetensors.torch import load_file

from tests.engine.conftest import SMALL, essence
from tests.forked import start
from xray_tui import config, launch
from xray_tui.engine import checkpoints
from xray_tui.engine.controls import Controls
from xray_tui.events import Event
from xray_tui.runs import follow, state
from xray_tui.runs.directory import RunDirectory, list_runs

CHANGES: dict[str, Any] = {
    "training.augment_views": "1",
    "training.unfrozen.epochs": 2,
    "training.unfrozen.learning_rate": 1e-3,
    "evaluation.operating_point": "youden",
    "evaluation.calibrate": True,
    # Far more often than anybody would: kills are to meet checkpoints under way.
    "run.checkpoint_minutes": 0.0005,
}
_SECONDS = 60


@dataclass
class Killed:
    """What came of one run that was killed, perhaps more than once, and resumed to its end."""

    kills: int = 0
    troubles: list[str] = field(default_factory=list)
    """What was lost or wrong; empty where the run equals one that nobody killed."""


class Killer:
    """
    Args:
        data: a data folder.
        runs: where the runs go, one folder for each.
    """

    def __init__(self, data: Path, runs: Path) -> None:
        self._runs = runs
        self._settings = SMALL | CHANGES | {"data.root": str(data)}
        self._reference: RunDirectory | None = None
        self.seconds = 0.0
        """That a run takes which nobody kills."""

    def prepare(self) -> None:
        """Make the run that all others are compared with."""
        self._start("reference-0").join(_SECONDS)  # the first one waits for torch
        began = time.monotonic()
        self._start("reference").join(_SECONDS)
        self.seconds = time.monotonic() - began
        (self._reference,) = list_runs(self._runs / "reference")
        assert state.read(self._reference).status == "done"

    def kill(self, name: str, chance: random.Random) -> Killed:
        """Start a run, kill it at a random moment, resume it, and so on until it has ended."""
        came, told = Killed(), list[bytes]()
        process = self._start(name)
        while True:
            process.join(chance.uniform(0, 0.95) * self.seconds if came.kills < 3 else _SECONDS)
            if process.is_alive():
                if came.kills == 3:
                    came.troubles.append("it hangs")
                process.kill()
                process.join()
                came.kills += 1
            found = list_runs(self._runs / name)
            if not found:  # it had not begun
                process = self._start(name)
                continue
            (directory,) = found
            if state.read(directory).status == "done" and not came.kills:  # it was faster
                shutil.rmtree(self._runs / name)
                process = self._start(name)
                continue
            if came.troubles or state.read(directory).status == "done":
                break
            if process.exitcode != -9:
                came.troubles.append(f"a process ended with {process.exitcode}")
                break
            if (status := state.read(directory).status) != "interrupted":
                came.troubles.append(f"killed, it counts as {status}")
            journal = directory.journal.read_bytes() if directory.journal.exists() else b""
            told.append(journal[: journal.rfind(b"\n") + 1])
            process = start(_resume, str(directory.path))
        came.troubles += self._compare(directory, told)
        return came

    def _compare(self, directory: RunDirectory, told: list[bytes]) -> list[str]:
        """What is other than in the run that nobody killed.

        Args:
            told: the whole lines of the journal after each kill.
        """
        assert self._reference is not None
        whole = directory.journal.read_bytes()
        troubles = [] if all(map(whole.startswith, told)) else ["the journal has lost lines"]
        numbers = [json.decode(line)["seq"] for line in whole.splitlines()]
        if numbers != list(range(len(numbers))):
            troubles.append("the journal's lines are not in their order")
        if essence(follow.read(directory)) != essence(follow.read(self._reference)):
            troubles.append("the results differ")
        for name in (checkpoints.BEST, checkpoints.LAST):
            mine, wanted = (load_file(run.checkpoints / name) for run in (directory, self._reference))
            if mine.keys() != wanted.keys() or not all(mine[key].equal(wanted[key]) for key in wanted):
                troubles.append(f"{name} differs")
        troubles += [
            f"predictions/{file.name} differs"
            for file in self._reference.predictions.iterdir()
            if (directory.predictions / file.name).read_bytes() != file.read_bytes()
        ]
        troubles += [
            f"{name} differs"
            for name in explained(self._reference)
            if not (directory.path / name).is_file()
            or (directory.path / name).read_bytes() != (self._reference.path / name).read_bytes()
        ]
        if board_values(directory) != board_values(self._reference):
            troubles.append("TensorBoard shows something else")
        return troubles

    def _start(self, name: str) -> ForkServerProcess:
        return start(_start, self._settings | {"run.runs_dir": str(self._runs / name)})


def explained(directory: RunDirectory) -> list[str]:
    """Pictures and the projector's files, relative to the run directory."""
    files = [*directory.explanations.glob("*/*"), *directory.tensorboard.glob("*/*")]
    return [str(file.relative_to(directory.path)) for file in files if "tfevents" not in file.name]


def board_values(directory: RunDirectory) -> dict[str, dict[str, set[tuple[int, float]]]]:
    """The curves that TensorBoard's own reader finds, by stage and tag; times and speeds left out.

    As sets: where the first epoch is done again its values are there twice, for what stands at step 0 (the
    grid, the hyperparameters) must not be voided. They are the same values, or the sets would differ.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for stage in sorted(directory.tensorboard.iterdir()):
        board = EventAccumulator(str(stage), size_guidance={"scalars": 0})
        board.Reload()
        tags = set(board.Tags()["scalars"]) - {"training/images per second"}
        found[stage.name] = {tag: {(v.step, v.value) for v in board.Scalars(tag)} for tag in sorted(tags)}
    return found


def _start(settings: dict[str, Any]) -> None:
    launch.start(config.load(settings), _silent, Controls())


def _resume(run: str) -> None:
    launch.resume(RunDirectory(Path(run)), _silent, Controls())


def _silent(event: Event) -> None:
    pass

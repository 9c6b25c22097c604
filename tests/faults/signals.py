"""Signals sent to `xray-tui train`, in processes forked from one that has imported torch already."""

import os
import signal
import sys
import time
from pathlib import Path

from tests.engine.conftest import SMALL
from tests.forked import start
from xray_tui.config import option_of
from xray_tui.runs import state
from xray_tui.runs.directory import RunDirectory, list_runs

_PATIENCE_SECONDS = 60


class Command:
    """A command that runs as if it had been typed, with a log for a screen.

    Args:
        folder: where it runs.
        words: of the command line.
    """

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self.log = folder / f"{words[0]}.log"
        self.process = start(_command, folder, self.log, words)

    def send(self, *sent: signal.Signals) -> None:
        assert self.process.pid is not None
        for each in sent:
            os.kill(self.process.pid, each)

    def wait(self) -> int:
        """Its exit code, as a shell has it."""
        self.process.join(_PATIENCE_SECONDS)
        if self.process.exitcode is None:
            self.process.kill()
            raise TimeoutError(f"it hangs; it said:\n{self.log.read_text()}")
        code = self.process.exitcode
        return 128 - code if code < 0 else code

    def wait_for_epoch(self) -> RunDirectory:
        """Until the first one has ended."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for run in list_runs(self.folder / "runs"):
                if run.journal.exists() and b'"epoch_ended"' in run.journal.read_bytes():
                    return run
            time.sleep(0.02)
        raise TimeoutError(self.log.read_text())


def train(folder: Path, data: Path, *words: str, epochs: int = 100_000) -> Command:
    """A run that would last for hours."""
    options = SMALL | {"training.frozen.epochs": epochs, "training.unfrozen.epochs": 0}
    given = [
        word
        for path, value in options.items()
        if (option := option_of(path))
        for word in (option, str(value))
    ]
    return Command(folder, "train", str(data), *given, *words)


def gone(run: RunDirectory) -> bool:
    """Whether nobody has the run any more, and it says so."""
    return state.read(run).status == "interrupted"


def _command(folder: Path, log: Path, words: tuple[str, ...]) -> None:
    os.chdir(folder)
    os.setsid()
    with log.open("wb") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  # a descriptor, as a process begins with
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    from xray_tui import cli

    cli.main(list(words))

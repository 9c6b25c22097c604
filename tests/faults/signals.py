"""Signals sent to `xray-tui train`, in processes forked from one that has imported torch already."""

import os
import signal
import subprocess
import time
from pathlib import Path

from tests.engine.conftest import SMALL
from tests.forked import Program
from xray_tui.config import option_of
from xray_tui.runs import state
from xray_tui.runs.directory import RunDirectory, list_runs

_PATIENCE_SECONDS = 60


class Command:
    """A command with a log for a screen.

    Args:
        folder: where it runs.
        words: of the command line.
    """

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self.log = folder / f"{words[0]}.log"
        self.log.touch()
        self.process = Program(words, folder, str(self.log), os.environ)

    def send(self, *sent: signal.Signals) -> None:
        for each in sent:
            os.kill(self.process.pid, each)

    def wait(self) -> int:
        """Its exit code, as a shell has it."""
        try:
            code = self.process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise TimeoutError(f"it hangs; it said:\n{self.log.read_text()}") from None
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

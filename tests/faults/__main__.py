"""The long form of the fault suite: ``python -m tests.faults [--kills 50] [--fuzz-seconds 60]``.

Every fault is injected for real: processes are killed, the system refuses writes, files are damaged. Prints
a table of how often each was tried, how often it was survived and what was lost; ends with 1 if anything was.
"""

import argparse
import logging
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.conftest import write_folder
from tests.engine.conftest import resume, run_recipe
from tests.faults.full_disk import CHANGES, WRITES, results, run_and_stop, run_through
from tests.faults.kills import Killer
from xray_tui.engine import patience

Trial = tuple[str, list[str]]
"""A fault, and what was lost or wrong after it."""


def kills(root: Path, wanted: int) -> Iterator[Trial]:
    """SIGKILL at random moments, until there have been so many."""
    killer = Killer(write_folder(root / "chest"), root / "killed")
    killer.prepare()
    seed = killed = 0
    while killed < wanted:
        came = killer.kill(f"run-{seed}", random.Random(seed))
        killed, seed = killed + came.kills, seed + 1
        for number in range(came.kills):
            yield "SIGKILL at a random moment", came.troubles if number == 0 else []


def full_disks(root: Path) -> Iterator[Trial]:
    """Each kind of write, waited for and stopped."""
    data = write_folder(root / "chest")
    wanted = results(run_recipe(data, root / "whole", CHANGES))
    for write in WRITES:
        run = run_through(write, data, root / write.name.replace(" ", "-"))
        lost = [] if results(run) == wanted else ["the results differ"]
        yield f"disk full: {write.name}, room later", lost
        run = run_and_stop(write, data, root / f"{write.name.replace(' ', '-')}-stopped")
        if write.name != "report":
            resume(run.directory)
        lost = [] if results(run) == wanted else ["the results differ"]
        yield f"disk full: {write.name}, stopped, resumed", lost


def tests(*files: str) -> Iterator[Trial]:
    """Faults that the short form tries as often as is needed."""
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-m", "long or not long", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        outcome, _, name = line.partition(" ")
        if outcome in ("PASSED", "FAILED", "ERROR") and "::" in name:
            file, _, test = name.partition("::")
            words = test.partition(" ")[0].partition("[")[0].removeprefix("test_").replace("_", " ")
            yield f"{Path(file).stem.removeprefix('test_')}: {words}", [] if outcome == "PASSED" else [name]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--fuzz-seconds", type=float, default=60.0, help="for each parser")
    asked = parser.parse_args()
    patience._POLL_SECONDS = 0.01
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it tells of each restart that it finds
    began = time.monotonic()
    came: dict[str, list[list[str]]] = {}
    here = Path(__file__).parent
    apart = ("test_kills", "test_full_disk", "test_fuzz")  # they have a long form of their own
    rest = [str(file) for file in sorted(here.glob("test_*.py")) if file.stem not in apart]
    rest.append(str(here.parent / "engine" / "test_distributed.py"))
    with tempfile.TemporaryDirectory() as root, shown() as show:
        parts: list[Callable[[], Iterator[Trial]]] = [
            lambda: kills(Path(root) / "kills", asked.kills),
            lambda: full_disks(Path(root) / "disks"),
            lambda: tests(*rest),
        ]
        for part in parts:
            for fault, lost in part():
                came.setdefault(fault, []).append(lost)
                show(fault)
    table = Table("fault", "tried", "survived", "lost", title=f"{time.monotonic() - began:.0f} s")
    for fault, trials in came.items():
        survived = sum(not lost for lost in trials)
        lost = sorted({what for each in trials for what in each})
        table.add_row(fault, str(len(trials)), str(survived), "; ".join(lost) or "nothing")
    Console().print(table)
    fuzz = [sys.executable, "-m", "tests.faults.fuzz", "--seconds", str(asked.fuzz_seconds)]
    fuzzed = subprocess.run(fuzz, check=False).returncode if asked.fuzz_seconds else 0
    return int(fuzzed != 0 or any(lost for trials in came.values() for lost in trials))


@contextmanager
def shown() -> Iterator[Callable[[str], None]]:
    with Console(stderr=True).status("injecting faults") as status:
        yield lambda fault: status.update(fault)


if __name__ == "__main__":
    raise SystemExit(main())

"""How long the list of runs takes, with nothing remembered and with the index of the last time.

    python tests/benchmarks/history.py
    python tests/benchmarks/history.py --runs 1000 --repeats 7

Makes runs of 15 epochs with 32 mistakes each (about 60 kB of journal), then lists them in this process: cold
without an index file, warm with one; the files themselves are in the system's cache both times. Also a filter
over all of them, and a whole `xray-tui runs list` in a new process. Fails where the cold median is 0.5 s or
more.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.tui.record_journals import BEGAN, whole_run
from xray_tui import config, event_lines
from xray_tui.runs import filters, index, state
from xray_tui.runs.directory import RunDirectory

LIMIT_SECONDS = 0.5
KINDS = 20
"""Different journals; the rest are copies of them."""


def make_runs(runs: Path, number: int) -> int:
    """Finished runs; says how many bytes their journals have together."""
    settings = config.load({"run.runs_dir": str(runs), "data.root": "/data/chest_xray"})
    journals = [
        b"".join(event_lines.encode(event, seq) + b"\n" for seq, event in enumerate(whole_run(seed)))
        for seed in range(KINDS)
    ]
    for at in range(number):
        directory = RunDirectory.create(settings, BEGAN + 60 * at)
        directory.journal.write_bytes(journals[at % KINDS])
        state.write(directory, "done")
    return sum(len(journals[at % KINDS]) for at in range(number))


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=7)
    a = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        size = make_runs(folder, a.runs)
        print(f"{a.runs} runs, {size / 1e6:.0f} MB of journals")

        def forget() -> None:
            index.index_file(folder).unlink(missing_ok=True)

        cold, warm = [], []
        for _ in range(a.repeats):
            forget()
            cold.append(timed(lambda: index.summaries(folder)))
            warm.append(timed(lambda: index.summaries(folder)))
        assert len(index.summaries(folder)) == a.runs
        for name, times in (("cold", cold), ("warm", warm)):
            print(
                f"{name}: median {statistics.median(times):.3f} s, best {min(times):.3f} s, "
                f"worst {max(times):.3f} s"
            )
        found = index.summaries(folder)
        matching = filters.parse('acc>=88% cfg.backbone:resnet stage:unfrozen !has:note | name:"night run"')
        filtering = timed(lambda: [run for run in found if matching.matches(run)])
        print(f"a filter over all of them: {1e3 * filtering:.1f} ms")
        command = [sys.executable, "-m", "xray_tui", "runs", "list", "--runs-dir", str(folder)]
        whole = [
            timed(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True)) for _ in range(3)
        ]
        print(f"xray-tui runs list, warm: median {statistics.median(whole):.3f} s")
    finally:
        shutil.rmtree(folder)
    if statistics.median(cold) >= LIMIT_SECONDS:
        sys.exit(f"slower than {LIMIT_SECONDS} s")


if __name__ == "__main__":
    main()

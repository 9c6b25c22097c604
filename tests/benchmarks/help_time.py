"""Time of ``xray-tui --help`` from a cold process, beside a Python that does nothing.

    python tests/benchmarks/help_time.py
    python tests/benchmarks/help_time.py --rounds 30

Starts all of them in turns, each in a new process, and takes the quickest of each: what else the machine does
only adds. Prints seconds and how many times as long as the empty Python, and fails where the first page of
help takes 0.3 s or more.
"""

import argparse
import subprocess
import sys
import time

_MOST_SECONDS = 0.3
PYTHON = [sys.executable, "-c"]
PROGRAM = [sys.executable, "-m", "xray_tui"]
COMMANDS = {
    "an empty Python": [*PYTHON, "pass"],
    "import cyclopts": [*PYTHON, "import cyclopts"],
    "xray-tui --help": [*PROGRAM, "--help"],
    "xray-tui --version": [*PROGRAM, "--version"],
    "xray-tui train --help": [*PROGRAM, "train", "--help"],
    "from xray_tui import fit": [*PYTHON, "from xray_tui import fit"],
}


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    took = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            took[name].append(seconds(command))
    quickest = {name: min(times) for name, times in took.items()}
    empty = next(iter(quickest.values()))
    for name, least in quickest.items():
        print(f"{name:<26}{least:6.3f} s {least / empty:5.1f} times")
    if quickest["xray-tui --help"] >= _MOST_SECONDS:
        sys.exit(f"the first page of help is to be there within {_MOST_SECONDS} s")


if __name__ == "__main__":
    main()

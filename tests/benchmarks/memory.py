"""Peak resident memory of a run, and whether it grows with the number of epochs.

    python tests/benchmarks/memory.py DATA --epochs 2 12 -- --backbone efficientnet_lite0 --limit 300

Runs the frozen stage with each number of epochs, in a process of its own, and prints the peaks and their
ratio. What stands after -- goes to `xray-tui train`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def peak_mebibytes(data: Path, epochs: int, options: list[str]) -> float:
    """The largest resident size that a run ever had."""
    with tempfile.TemporaryDirectory() as runs:
        command = [sys.executable, "-m", "xray_tui", "train", str(data), "--json", "--runs-dir", runs]
        command += ["--frozen-epochs", str(epochs), "--unfrozen-epochs", "0", *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
    return used.ru_maxrss / 1024


def main() -> None:
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    own, options = sys.argv[1:at], sys.argv[at + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, nargs=2, default=[2, 12])
    a = parser.parse_args(own)
    peaks = []
    for epochs in a.epochs:
        peaks.append(peak_mebibytes(a.data, epochs, options))
        print(f"{epochs:>4} epochs: peak {peaks[-1]:.0f} MiB", flush=True)
    print(f"ratio {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()

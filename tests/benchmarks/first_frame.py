"""Time from the process's start to the first frame, beside an empty Textual app.

    python tests/benchmarks/first_frame.py
    python tests/benchmarks/first_frame.py --pairs 20 --data ~/chest_xray

Starts both in turns, each in a new process on a terminal of its own (120 columns, 40 rows), and waits for
words of its first frame. The empty app has a header, a footer and a table with a row. Prints the medians and
their ratio, which is to stay under 2, and fails where it does not or where torch was imported by then.
"""

import argparse
import fcntl
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

EMPTY = """
from textual.app import App
from textual.widgets import DataTable, Footer, Header

class Empty(App):
    def compose(self):
        yield Header()
        yield DataTable()
        yield Footer()

    def on_mount(self):
        table = self.query_one(DataTable)
        table.add_columns("epoch", "loss")
        table.add_row("the only row", "0.5")

Empty().run()
"""
# At the end it tells in a file whether torch came along: Textual draws on standard error.
OURS = """
import pathlib, sys
from xray_tui.entry import main
try:
    sys.argv[1:], told = sys.argv[2:], sys.argv[1]
    main()
finally:
    pathlib.Path(told).write_text(str("torch" in sys.modules))
"""
_COLUMNS, _ROWS = 120, 40
_LIMIT_SECONDS = 30.0
_MOST = 2.0
# What a terminal without graphics answers to the questions that apps put to it.
_ANSWERS = {b"\x1b[c": b"\x1b[?62;22c", b"\x1b[16t": b"\x1b[6;20;10t", b"\x1b[?2026$p": b"\x1b[?2026;2$y"}


def first_frame_seconds(command: list[str], words: bytes, quit_key: bytes) -> float:
    """How long until the words are on the terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, _COLUMNS * 10, _ROWS * 20))
    environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    with tempfile.TemporaryDirectory() as own:
        environment |= {"XRAY_TUI_STATE_DIR": own, "XRAY_TUI_CONFIG_DIR": own}
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)
        try:
            took = _wait_for(master, words, began)
            os.write(master, quit_key)
            _read_to_the_end(master, process)
        finally:
            process.kill()
            process.wait()
    os.close(master)
    return took


def _read_to_the_end(master: int, process: subprocess.Popen[bytes]) -> None:
    """What is not read would keep it from ending."""
    until = time.perf_counter() + _LIMIT_SECONDS
    while process.poll() is None and time.perf_counter() < until:
        if select.select([master], [], [], 0.05)[0]:
            try:
                os.read(master, 65536)
            except OSError:  # it has closed its terminal
                process.wait(_LIMIT_SECONDS)


def _wait_for(master: int, words: bytes, began: float) -> float:
    seen, answered = b"", dict.fromkeys(_ANSWERS, 0)
    while words not in seen:
        left = began + _LIMIT_SECONDS - time.perf_counter()
        if left < 0 or not select.select([master], [], [], left)[0]:
            raise TimeoutError(f"{words.decode()!r} was not drawn in {_LIMIT_SECONDS:.0f} s")
        try:
            seen += os.read(master, 65536)
        except OSError:
            raise SystemExit(f"it ended before its first frame:\n{seen.decode(errors='replace')}") from None
        for question, answer in _ANSWERS.items():
            while question in seen[answered[question] :]:
                answered[question] = seen.index(question, answered[question]) + len(question)
                os.write(master, answer)
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--data", type=Path, help="the data folder that the form opens with")
    a = parser.parse_args()
    empty = [sys.executable, "-c", EMPTY]
    times: dict[str, list[float]] = {"empty": [], "ours": []}
    with tempfile.NamedTemporaryFile() as told:
        ours = [sys.executable, "-c", OURS, told.name, *([str(a.data)] if a.data else [])]
        for pair in range(a.pairs + 1):  # the first one warms the disk's cache and is not counted
            empty_seconds = first_frame_seconds(empty, b"the only row", b"\x11")  # ctrl+q
            our_seconds = first_frame_seconds(ours, b"Data folder", b"q")
            if pair:
                times["empty"].append(empty_seconds)
                times["ours"].append(our_seconds)
        torch_came = Path(told.name).read_text() != "False"
    for name, taken in times.items():
        print(f"{name:<6} {statistics.median(taken):.3f} s   from {min(taken):.3f} to {max(taken):.3f} s")
    ratio = statistics.median(b / a for a, b in zip(times["empty"], times["ours"], strict=True))
    print(f"ratio  {ratio:.2f}   (median of {a.pairs} pairs; at most {_MOST:g})")
    if torch_came:
        print("torch was imported")
    return int(ratio > _MOST or torch_came)


if __name__ == "__main__":
    sys.exit(main())

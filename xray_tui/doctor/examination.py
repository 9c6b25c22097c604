"""The whole examination, what is quick first."""

import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from xray_tui.doctor.checks import Check, Placed, Verdict, guarded
from xray_tui.doctor.folders import configuration, folders
from xray_tui.doctor.imports import EXTRAS, SECTIONS
from xray_tui.doctor.machine import installation, machine
from xray_tui.doctor.terminal import terminal
from xray_tui.runs.handover import own_command

_LINE = msgspec.json.Decoder(str | tuple[str, Check])


def examine(runs_dir: Path | None, doing: Callable[[str], None]) -> Iterator[Placed]:
    """Every check, in order, as soon as it is known. Does not raise, whatever is broken.

    Args:
        runs_dir: the runs folder; else the config file's.
        doing: is told which section begins where that takes seconds.
    """
    yield from guarded("installation", installation, grave="problem")
    yield from guarded("terminal", terminal)
    yield from guarded("machine", machine)
    yield from guarded("configuration", configuration)
    yield from guarded("folders", partial(folders, runs_dir), grave="problem")
    yield from _imported(doing)


def _imported(doing: Callable[[str], None]) -> Iterator[Placed]:
    """What a process of its own says, and how that ended: an import can take its process with it."""
    section = next(iter(SECTIONS))
    doing(section)
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            own_command("xray_tui.doctor.imports"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
        ) as child,
    ):
        assert child.stdout is not None
        try:
            for line in child.stdout:
                found = _LINE.decode(line)
                if isinstance(found, str):
                    section = found
                    doing(section)
                else:
                    yield Placed(*found)
        except BaseException:
            child.kill()
            raise
        if child.wait():
            grave: Verdict = "warning" if section == EXTRAS else "problem"
            said.seek(0)
            last = said.read().decode(errors="replace").strip().splitlines()[-1:]
            yield Placed(section, Check(section, grave, _end(child.returncode, last), _REMEDY))


_REMEDY = "what was imported there does not fit this machine: install it anew, in a fresh environment"


def _end(code: int, last: list[str]) -> str:
    try:
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    except ValueError:
        how = f"ended with code {code}"
    return ": ".join([f"the process that imported it {how}", *last])

"""Processes forked from one that has torch loaded: each is there in an instant, not after seconds."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "pytest",
        "sklearn.metrics",
        "xray_tui.cli",
        "xray_tui.launch",
        "xray_tui.engine.distributed",
        "xray_tui.engine.recipe",
    ]
)


def start(function: Callable[..., Any], *arguments: Any) -> ForkServerProcess:
    """Call it in a process of its own, with this one's folders for caches and settings."""
    own = {name: value for name, value in os.environ.items() if name.startswith("XRAY_TUI_")}
    process = CONTEXT.Process(target=_call, args=(own, function, arguments), daemon=True)
    process.start()
    return process


def _call(environment: dict[str, str], function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.environ.update(environment)
    function(*arguments)


class Program:
    """``xray-tui``, as if it had been typed; otherwise as a ``subprocess.Popen``.

    Args:
        words: of the command line.
        folder: where it runs.
        stream: its input, output and errors: a terminal, or a file.
        environment: all of it.
    """

    def __init__(
        self, words: tuple[str, ...], folder: Path, stream: str, environment: Mapping[str, str]
    ) -> None:
        self._process = start(_be_program, words, folder, stream, dict(environment))
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int:
        self._process.join(seconds)
        if (code := self._process.exitcode) is None:
            raise subprocess.TimeoutExpired("xray-tui", seconds or 0.0)
        return code

    def kill(self) -> None:
        self._process.kill()


def run_program(*words: str, folder: Path, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Its exit code, and what it said, results and talk together.

    Args:
        environment: on top of this process's.
    """
    log = folder / "said"
    code = Program(words, folder, str(log), os.environ | (environment or {})).wait(120)
    return code, log.read_text(errors="surrogateescape")


def _be_program(words: tuple[str, ...], folder: Path, stream: str, environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    os.setsid()
    # The first terminal that a session opens is its own: ctrl+c in it is for this process.
    opened = os.open(stream, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    for descriptor in range(3):
        os.dup2(opened, descriptor)
    sys.stdin = sys.__stdin__ = os.fdopen(0, "r", closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False, buffering=1)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", closefd=False, buffering=1)
    sys.argv = ["xray-tui", *words]
    from xray_tui.entry import main

    main()

"""Runs without a screen: what ``train``, ``resume`` and ``sweep`` have in common."""

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Protocol

from xray_tui.errors import UserError
from xray_tui.events import Emit, Event, RunEnded
from xray_tui.talking import print_error, talk

if TYPE_CHECKING:
    from xray_tui.engine.controls import Controls
    from xray_tui.engine.world import World
    from xray_tui.runs.directory import RunDirectory


class Begin(Protocol):
    """``launch.start`` or ``launch.resume``, their first argument given."""

    def __call__(
        self, emit: Emit, controls: "Controls", *, opened: "Callable[[RunDirectory], None]"
    ) -> RunEnded | None: ...


def see_through(
    begin: Begin, world: "World", *, json: bool, past: Sequence[Event] = (), has_terminal: bool = True
) -> int:
    """Run until the end, or until the terminal hangs up and the run goes on without it.

    Args:
        world: the processes of the run, of which this is rank 0.
        json: print each event as a line of JSON; else progress, and the published table at the end.
        past: what a resumed run's journal tells already.
        has_terminal: whether a hang-up is of its own terminal.

    Returns:
        The exit code.
    """
    from xray_tui.console import ConsoleReporter, print_json

    controls = world.controls()
    opened: list[Path] = []

    def note(directory: "RunDirectory") -> None:
        opened.append(directory.path)

    with signals(controls, has_terminal) as caught:
        try:
            if json:
                with world.together():
                    ended = begin(print_json, controls, opened=note)
            else:
                with ConsoleReporter() as reporter, world.together():
                    reporter.recall(past)
                    ended = begin(reporter, controls, opened=note)
                if ended is not None:
                    reporter.print_results()
        except UserError as error:
            print_error(error)
            return 1 if opened else 2
    if ended is None:
        talk(f"the run goes on in a process of its own: `xray-tui watch {shlex.quote(str(opened[0]))}`")
        return 128 + caught[0] if caught else 0
    talk(f"kept in {opened[0]}")
    if ended.outcome == "interrupted":
        return 128 + (caught[0] if caught else signal.SIGINT)
    return 0


def see_another_through(world: "World") -> int:
    """Help rank 0 with its run.

    Returns:
        The exit code.
    """
    from xray_tui import launch

    controls = world.controls()
    with signals(controls, has_terminal=False, say=lambda text: None), world.together():
        ended = launch.assist(world, controls)
    return 0 if ended is not None and ended.outcome == "done" else 128 + signal.SIGINT


class Steered(Protocol):
    """What a signal asks something of."""

    def stop(self, why: str) -> None: ...
    def detach(self, why: str) -> None: ...


@contextmanager
def signals(
    steered: Steered, has_terminal: bool, say: Callable[[str], None] = talk, *, goes_on: bool = False
) -> Iterator[list[int]]:
    """The first SIGINT or SIGTERM asks for a stop; a second one of its kind ends the process at once.

    Args:
        has_terminal: of its own, whose hang-up asks to be detached; else a hang-up is no matter of it.
        goes_on: where the terminal hangs up, the process just goes on without it.

    Yields:
        The signals that were caught.
    """
    caught: list[int] = []
    terminals = [stream.fileno() for stream in (sys.stdout, sys.stderr) if stream.isatty()]

    def stop(number: int, _: FrameType | None) -> None:
        caught.append(number)
        steered.stop(signal.Signals(number).name)
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        say("stopping after this batch; once more ends it at once")

    def lose_terminal(number: int, _: FrameType | None) -> None:
        _silence(terminals)
        if goes_on:
            signal.signal(number, signal.SIG_IGN)
            return
        caught.append(number)
        steered.detach("SIGHUP")
        signal.signal(number, signal.SIG_DFL)

    handlers: dict[int, signal._HANDLER] = {signal.SIGINT: stop, signal.SIGTERM: stop}
    # nohup has it ignored already: that stays so.
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = lose_terminal if has_terminal else signal.SIG_IGN
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _silence(descriptors: Sequence[int]) -> None:
    """Let what is said to a terminal that is gone vanish, instead of failing."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)

"""How the program talks beside its results, and how it ends."""

import errno
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from xray_tui.errors import UserError
from xray_tui.words import harmless

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where a disk is full, or a person's share of it."""


def talk(text: str) -> None:
    """Say something that is no result: standard output belongs to those.

    Where nobody hears it any more, or its log has no room, it is lost: what is being done goes on.
    """
    with suppress(OSError):
        print(harmless(text), file=sys.stderr, flush=True)


def print_error(error: UserError) -> None:
    """Say what is wrong and what to do, in two lines or a few."""
    talk(f"error: {error.message}")
    for line in error.hint.splitlines():
        talk(f"  {line}")


def tell_details_at_the_end() -> None:
    """What parts of the program log is said when the process ends: until then a screen may be drawn."""
    import logging
    from logging.handlers import MemoryHandler

    say = logging.StreamHandler(sys.stderr)
    say.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    log = logging.getLogger("xray_tui")
    log.setLevel(logging.DEBUG)
    log.addHandler(MemoryHandler(1000, flushLevel=logging.CRITICAL + 1, target=say))


def end_with(run: Callable[[], int], *, debug: bool) -> NoReturn:
    """Run it and exit with its code; what went wrong becomes two lines on standard error and a code.

    Args:
        debug: show the traceback too.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # whoever started this has closed it
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without unicode shows ? for ★, and goes on
            stream.reconfigure(errors="replace")
    try:
        code = run()
    except UserError as error:
        if debug:
            traceback.print_exc()
        print_error(error)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads; Python would complain while shutting down
        sys.exit(1)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            print_error(UserError(f"{error.filename or 'the output'} cannot be written: {error.strerror}"))
            sys.exit(1)
        if debug:
            raise
        talk(f"this is a bug in xray-tui: {type(error).__name__}: {error}")
        talk("run it again with --debug for the traceback")
        sys.exit(1)
    sys.exit(code)

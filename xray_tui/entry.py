"""The way in. What is asked for most is there at once: the bare dashboard opens without the commands, a fifth
of the time to its first frame, and the first page of help needs nothing at all.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from xray_tui import __version__
from xray_tui.engine import process
from xray_tui.errors import UserError
from xray_tui.talking import end_with

_NO_OPTIONS = {"XRAY_TUI_STATE_DIR", "XRAY_TUI_CONFIG_DIR", "XRAY_TUI_CACHE_DIR"}
"""Of the variables that begin like options, those that are none."""


def main() -> None:
    """What ``xray-tui`` runs."""
    try:
        _run()
    except KeyboardInterrupt:  # while the program is still being read
        sys.exit(128 + signal.SIGINT)


def _run() -> None:
    words = sys.argv[1:]
    if words in (["--help"], ["-h"]):
        end_with(_print_front_page, debug=False)
    if words == ["--version"]:
        end_with(_print_version, debug=False)
    _check_folder()
    if is_bare(words, os.environ):
        process.set_up()
        end_with(partial(open_dashboard, words), debug=False)
    from xray_tui import cli

    cli.main(words)


def _check_folder() -> None:
    """Without a working folder torch ends the process, and names one of its libraries as the cause."""
    try:
        Path.cwd()
    except FileNotFoundError:
        end_with(_say_lost, debug=False)


def _say_lost() -> int:
    raise UserError("the folder you are in is gone", "change to another one")


def _print_version() -> int:
    print(__version__)
    return 0


def _print_front_page() -> int:
    from xray_tui.front_page import FRONT_PAGE  # late: for this alone

    print(FRONT_PAGE, end="")
    return 0


def is_bare(words: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether no more than the dashboard is asked for, perhaps on a folder, with no option from anywhere."""
    if any(name.startswith("XRAY_TUI_") and name not in _NO_OPTIONS for name in environment):
        return False
    # Without a slash it might be the name of a command.
    return not words or (len(words) == 1 and not words[0].startswith("-") and "/" in words[0])


def open_dashboard(words: Sequence[str]) -> int:
    """As the command ``dashboard`` does it.

    Raises:
        UserError: the config file does not fit.
    """
    from xray_tui import config, settings_file
    from xray_tui.tui.app import run_dashboard

    given = {"data.root": words[0]} if words else {}
    settings, origins = config.trace(file=settings_file.existing_user_file(), given=given)
    return run_dashboard(settings=settings, origins=origins)

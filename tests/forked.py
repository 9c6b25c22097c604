"""Processes forked from one that has torch loaded: each is there in an instant, not after seconds."""

import os
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
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

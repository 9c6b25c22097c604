"""xray-tui: fine-tune an image classifier on chest radiographs, in front of your eyes.

For other programs: :func:`configure`, :func:`fit`, :func:`train`, :func:`open_run`, and what they take and
give; the events that runs tell are in :mod:`xray_tui.events`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xray_tui.library import Controls, Model, Run, UserError, configure, fit, open_run, train

__version__ = "0.1.0"

__all__ = ["Controls", "Model", "Run", "UserError", "configure", "fit", "open_run", "train"]


def __getattr__(name: str) -> Any:
    """The library is imported when it is asked for: the commands begin here too, and need none of it."""
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("xray_tui.library"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

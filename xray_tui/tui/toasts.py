"""What a person should not miss, as toasts."""

from collections.abc import Sequence
from typing import Any

from textual.app import App

from xray_tui.events import Event, RunEnded, Warning
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.shown import ShownRun
from xray_tui.words import count, harmless, percent

_RECENT_SECONDS = 60.0
"""What happened longer ago raises no toast: it is read from a journal, not happening."""
_NAMES = 3


def tell(app: App[Any], run: ShownRun, event: Event) -> None:
    """Show the event if it is news."""
    if run.clock() - event.t > _RECENT_SECONDS or event.t <= run.told_until:
        return
    match event:
        case Warning():
            names = [harmless(path) for path in event.paths[:_NAMES]]
            if len(event.paths) > _NAMES:
                key = KeyMap.of(app).shown_key("warnings")
                names.append(f"and {count(len(event.paths) - _NAMES)} more ({key} lists them)")
            words = "\n".join([harmless(event.message), *names])
            app.notify(words, title=harmless(event.kind), severity="warning", markup=False)
        case RunEnded(outcome="done"):
            best = run.record.best_epoch
            words = (
                f"best epoch {best.epoch}: accuracy {percent(best.accuracy)}" if best else "no epoch ended"
            )
            app.notify(words, title="run done", markup=False)


def tell_of_themes(app: App[Any], complaints: Sequence[str]) -> None:
    """One toast about all theme files that are none."""
    if complaints:
        words = "\n".join(harmless(complaint) for complaint in complaints)
        app.notify(words, title="not a theme", severity="warning", markup=False)

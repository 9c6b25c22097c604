"""Holding the display still while the run goes on."""

from xray_tui.events import Event, Progress
from xray_tui.runs.record import light
from xray_tui.tui.sources import Source


class Hold:
    """What has come from each run since the display was held."""

    def __init__(self) -> None:
        self.on = False
        self._kept: dict[Source, list[Event]] = {}

    def keep(self, source: Source) -> None:
        """Set aside what has come, without its arrays: a display may be held for a night."""
        kept = self._kept.setdefault(source, [])
        for event in source.take():
            if isinstance(event, Progress) and kept and isinstance(kept[-1], Progress):
                kept[-1] = event
            else:
                kept.append(light(event))

    def take(self, source: Source) -> list[Event]:
        """All that the display has not seen yet."""
        return [*self._kept.pop(source, ()), *source.take()]

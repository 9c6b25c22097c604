"""The runs on the desk: the live or watched one, and perhaps an older one opened over it."""

import time
from collections.abc import Callable

from xray_tui.runs import state
from xray_tui.runs.directory import RunDirectory
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.sources import FollowSource, Source

_NOT_PLAYED_BACK = {
    "unfreeze": "What is played back cannot be unfrozen.",
    "learning_rate": "What is played back has learned already.",
    "detach": "What is played back has nothing to detach.",
}


class Desk:
    """Which run is seen, and which one the keys speak to.

    Args:
        begin: starts a source's thread, with the app listening.
    """

    def __init__(self, begin: Callable[[Source], None], clock: Callable[[], float] = time.time) -> None:
        self._begin = begin
        self._clock = clock
        self.main: ShownRun | None = None
        self.opened: ShownRun | None = None
        """A run opened from History, seen in place of the main one."""

    @property
    def shown(self) -> ShownRun | None:
        return self.opened or self.main

    @property
    def all(self) -> list[ShownRun]:
        return [run for run in (self.main, self.opened) if run is not None]

    @property
    def steered(self) -> ShownRun | None:
        """The live run that keys speak to: the one that is seen, else the one behind it."""
        return next((run for run in (self.opened, self.main) if run is not None and run.live), None)

    @property
    def behind(self) -> ShownRun | None:
        """The live run that keys speak to while another one is seen."""
        return self.steered if self.steered is not self.shown else None

    @property
    def ours(self) -> ShownRun | None:
        """The run of this process whose thread has not ended."""
        main = self.main
        return main if main is not None and main.ours and not main.source.finished else None

    def why_not_start(self) -> str:
        """Why no run can be started now; empty where one can."""
        if self.ours is None:
            return ""
        if self.ours.record.ended is not None:
            return "The run's report is being written: in a moment."
        return "A run is live already: {stop} stops it."

    def put(self, source: Source) -> None:
        """Make it the main run."""
        if self.main:
            self.main.source.close()
        self.close_opened()
        self.main = ShownRun(source, self._clock)
        if source.directory is not None and source.kind == "live":
            self.main.told_until = self._clock()  # what its journal tells of the past
        self._begin(source)

    def open(self, directory: RunDirectory) -> None:
        """See this run; the main one comes back when it is closed."""
        self.close_opened()
        main = self.main.source.directory if self.main else None
        if main is None or main.path.absolute() != directory.path.absolute():
            source = FollowSource(directory)
            self.opened = ShownRun(source, self._clock)
            self._begin(source)
        elif self.main and self.main.ours and self.main.source.finished and state.read(directory).live:
            self.put(FollowSource(directory))  # another process has gone on with it

    def go_on_watching(self, run: ShownRun) -> None:
        """Another process has taken over what was a run of ours."""
        directory = run.source.directory
        assert directory is not None  # it was there before it could be handed over
        run.hand_over_to(FollowSource(directory))
        self._begin(run.source)

    def close_opened(self) -> None:
        if self.opened:
            self.opened.source.close()
            self.opened = None

    def close(self) -> None:
        for run in self.all:
            run.source.close()

    def why_not_steer(self, control: str) -> str:
        """Why a control makes no sense now; empty where it does."""
        run = self.steered
        if run is None:
            return "No run is live: {start} starts one."
        if run.asked == "stop":
            return "The run is stopping already."
        if run.asked == "detach":
            return "The run is being handed over already."
        if run.source.kind == "replay":
            return _NOT_PLAYED_BACK.get(control, "")
        stage = run.record.stage
        if control == "detach" and not run.ours:
            return "It has a process of its own already: {quit} closes this dashboard, and it goes on."
        if control in ("unfreeze", "learning_rate") and stage is None:
            return "No epoch has begun yet."
        if control == "unfreeze" and stage == "unfrozen":
            return "The whole network learns already."
        if control == "learning_rate" and not run.learns_now:
            return "Nothing learns at the moment."
        return ""

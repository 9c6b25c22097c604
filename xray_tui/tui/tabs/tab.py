"""What the tabs have in common."""

from textual.containers import Container

from xray_tui.tui.panes.lines import KeyLine
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.themes import Palette


class Tab(Container):
    """What is seen while one tab is in front.

    An action of the registry that belongs to the tab is its method ``do_`` and the action's id.
    Where the tab has none, the app does it.
    """

    HELP = ""
    """What is seen here and how to read it, for the help screen."""
    small = False
    """Whether the screen is so small that panes take turns."""
    keeps_up = False
    """Whether it is told what happens in the run while it is out of sight too, and so comes to the front
    ready: what an epoch changes is felt behind a key."""
    _seen: object = None

    def enter(self) -> None:
        """The tab has come to the front."""

    def show(self, run: ShownRun | None) -> None:
        """The run on the desk is another one, or has changed."""

    def is_seen(self, run: ShownRun) -> bool:
        """Whether the tab shows the run as it is, in these colours; else it is taken that it now will.

        Drawing all of a tab is felt behind the key that brings it to the front.
        """
        before, self._seen = self._seen, (run, run.version, Palette.of(self.app))
        return self._seen == before

    def tick(self, run: ShownRun) -> None:
        """Of that run only the progress of the epoch under way has changed, or a checkpoint is newer."""

    def keys_changed(self) -> None:
        """Actions have other keys."""

    def runs_changed(self) -> None:
        """A run of the runs folder has ended."""

    def restyle(self) -> None:
        """The theme is another: texts that were made in the old one's colours are to be made anew."""

    def back(self) -> bool:
        """Escape was pressed: one step out of wherever the person is. Whether there was a step to take."""
        return False

    def next_pane(self, step: int) -> None:
        """On a small screen: bring the next pane into view, or the one before."""

    def open_pane(self, index: int) -> None:
        """On a small screen: bring that pane into view."""

    def renew_keys(self) -> None:
        """Other keys make sense now, without one having been pressed."""
        KeyLine.renew_in(self.app)

    def why_not(self, action: str) -> str:
        """Why an action of this tab makes no sense now; empty where it does."""
        return ""

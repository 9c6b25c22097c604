"""The Train tab: all panes of one run, side by side where there is room, one at a time where not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Center, Middle
from textual.widgets import Static

from xray_tui.runs.advice import Advice, advice
from xray_tui.tui.panes.advice import AdviceLine
from xray_tui.tui.panes.charts import LOSS, QUALITY, CurvePane, View
from xray_tui.tui.panes.clear import Clear, ClearContainer
from xray_tui.tui.panes.confusion import ConfusionPane
from xray_tui.tui.panes.epochs import EpochsPane
from xray_tui.tui.panes.lines import SpotLine
from xray_tui.tui.panes.mistakes import MistakesPane
from xray_tui.tui.panes.opening import OpeningPane
from xray_tui.tui.panes.picture import PictureClass
from xray_tui.tui.panes.rows import RowList
from xray_tui.tui.panes.sized import Sized
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.tabs.tab import Tab
from xray_tui.tui.themes import Palette
from xray_tui.words import harmless

_OF_PANES = ("sort", "reverse", "smoother", "rougher", "raw", "log_axis")
WIDE_COLUMNS, WIDE_ROWS = 120, 30
"""From that on (of the whole terminal) all panes are seen at once."""
_ROOMY_ROWS = 38
"""From that on the two charts stand one above the other."""
_PANES = (
    ("epochs-pane", "epochs"),
    ("charts", "curves"),
    ("confusion", "confusion"),
    ("mistakes-pane", "mistakes"),
)


class PaneLine(SpotLine):
    """On a small screen: which pane is seen."""

    JUMPS = True
    current = 0

    def words(self) -> Text:
        palette, line = Palette.of(self.app), self.start_line()
        for index, (_, title) in enumerate(_PANES):
            style = f"bold {palette.text} underline" if index == self.current else palette.faint
            self.add_spot(line, Text(title, style), f"app.pane({index})")
            line.append("  ")
        return line.append("tab: next", palette.faint) if self.size.width >= 50 else line


class TrainTab(Sized, Tab, Clear):
    """Shows one :class:`ShownRun`."""

    HELP = """\
Everything of one run. {earlier} and {later} show all panes as they were at an epoch, {hold} holds them still
while the run goes on.
A line above them says what the numbers suggest, where they suggest anything: {act} does what it
proposes, {warnings} lists all of it with what it means."""

    keeps_up = True

    def __init__(
        self,
        picture: PictureClass,
        read: Callable[[Path], Image.Image],
        app_why_not: Callable[[str], str],
        **named: Any,
    ) -> None:
        """
        Args:
            app_why_not: why any action makes no sense now; empty where it does.
        """
        super().__init__(**named)
        self._app_why_not = app_why_not
        self._picture = picture
        self._read = read
        self._run: ShownRun | None = None
        self._built = False
        self._view = View()
        self._answered: set[str] = set()
        """Notes that the person has acted on in this run: they have said what they had to say."""
        self.small = False

    def compose(self) -> ComposeResult:
        yield Static(id="trouble")
        yield AdviceLine(id="advice")
        yield PaneLine(id="pane-line")
        with Middle(id="opening"), Center():
            yield OpeningPane()
        with ClearContainer(id="board"):
            yield EpochsPane(id="epochs-pane", classes="pane")
            with ClearContainer(id="charts", classes="pane-group"):
                yield CurvePane(LOSS, id="loss", classes="pane")
                yield CurvePane(QUALITY, id="quality", classes="pane")
            yield ConfusionPane(id="confusion", classes="pane")
            yield MistakesPane(self._picture, self._read, id="mistakes-pane", classes="pane")

    def on_mount(self) -> None:
        self._built = True
        self._lay_out()
        if self._run:
            self.show(self._run)

    def resized(self) -> None:
        self._seen = None
        self._lay_out()
        if self._run:
            self.show(self._run)

    def show(self, run: ShownRun | None) -> None:
        if run is not self._run:
            self._answered.clear()
        self._run = run
        if (
            run is None or not self._built
        ):  # the panes inside come with the mount event, which shows the run again
            return
        begun = bool(run.record.stages)
        self.query_one("#opening").display = not begun
        self.query_one("#board").display = begun
        self.query_one("#pane-line").display = begun and self.small
        self._show_trouble(run, begun)
        self._show_advice()
        if not begun:
            self.query_one(OpeningPane).show(run)
            return
        if self.is_seen(run):
            self.query_one(EpochsPane).tick(run)
            return
        self.query_one(EpochsPane).show(run, sparks=self.small)
        self._show_curves()
        self.query_one(ConfusionPane).show(run)
        self.query_one(MistakesPane).show(run)

    def tick(self, run: ShownRun) -> None:
        if not self._built:
            return
        if run is not self._run or bool(run.record.stages) != bool(self.query_one("#board").display):
            self.show(run)
        elif run.record.stages:
            self.query_one(EpochsPane).tick(run)
        else:
            self.query_one(OpeningPane).show(run)

    # Actions

    def do_sort(self) -> None:
        self.query_one(EpochsPane).sort_by_next()

    def do_reverse(self) -> None:
        self.query_one(EpochsPane).reverse()

    def do_smoother(self) -> None:
        self._look(self._view.smoother(1))

    def do_rougher(self) -> None:
        self._look(self._view.smoother(-1))

    def do_raw(self) -> None:
        self._look(replace(self._view, smoothing=0.0))

    def do_log_axis(self) -> None:
        self._look(replace(self._view, log=not self._view.log))

    def do_act(self) -> None:
        """What the first advice proposes."""
        said = self.advice()
        if said:
            if said[0].severity == "note":
                self._answered.add(said[0].title)
            self.call_later(self.run_action, f"app.perform('{said[0].action}')")
            self._show_advice()

    def why_not(self, action: str) -> str:
        if action == "act":
            said = self.advice()
            return self._app_why_not(said[0].action) if said else "There is no advice to act on."
        if action in _OF_PANES and not (self._run and self._run.record.stages):
            return "Nothing has been trained yet."
        if action == "rougher" and not self._view.smoothing:
            return "The curves are not smoothed."
        return ""

    def advice(self) -> list[Advice]:
        """What the watchers say about the run, less what the person has answered."""
        if self._run is None:
            return []
        return [said for said in advice(self._run.record) if said.title not in self._answered]

    def next_pane(self, step: int) -> None:
        """On a small screen: bring the next pane into view."""
        self.open_pane((self.query_one(PaneLine).current + step) % len(_PANES))

    def open_pane(self, index: int) -> None:
        self.query_one(PaneLine).current = index
        self._lay_out()
        pane = self.query_one(f"#{_PANES[index][0]}")
        rows = pane.query(RowList)
        if rows:
            rows.first().focus()
        else:
            self.screen.set_focus(None)
        self.query_one(PaneLine).renew()

    def _lay_out(self) -> None:
        size = self.app.size
        self.small = size.width < WIDE_COLUMNS or size.height < WIDE_ROWS
        self.set_class(self.small, "-small")
        self.set_class(size.width < 60, "-tiny")
        beside = size.height < _ROOMY_ROWS and size.width >= 70
        self.query_one("#charts").set_class(beside, "-beside")
        current = self.query_one(PaneLine).current
        for index, (name, _) in enumerate(_PANES):
            self.query_one(f"#{name}").display = not self.small or index == current
        begun = bool(self._run and self._run.record.stages)
        self.query_one("#pane-line").display = self.small and begun

    def _look(self, view: View) -> None:
        self._view = view
        self._show_curves()

    def _show_curves(self) -> None:
        if self._run is not None and self._run.record.stages:
            for chart in self.query(CurvePane):
                chart.show(self._run, self._view)

    def _show_advice(self) -> None:
        said = self.advice()
        self.query_one(AdviceLine).show(said, can_act=bool(said) and not self._app_why_not(said[0].action))

    def _show_trouble(self, run: ShownRun, begun: bool) -> None:
        """A failure in the middle of a run stands above its panes."""
        trouble, failure = self.query_one("#trouble", Static), run.failure
        trouble.display = failure is not None and begun
        if failure is not None:
            text = Text.assemble((" failed ", "bold reverse"), f" {harmless(failure.message)}")
            if failure.hint:
                text.append(f"\n {harmless(failure.hint)}")
            trouble.update(text)

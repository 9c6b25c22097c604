"""The Mistakes tab: every validation image that the network gets wrong, to be read like films on a list."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from xray_tui.errors import UserError
from xray_tui.events import EpochEnded
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.predictions import EpochPredictions, Images, KeptPredictions
from xray_tui.tui import image_filter
from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.panes.clear import Clear, ClearContainer
from xray_tui.tui.panes.curves import CurvesPane
from xray_tui.tui.panes.film import Explain, FilmPane
from xray_tui.tui.panes.filter_line import FilterLine
from xray_tui.tui.panes.instead import Instead
from xray_tui.tui.panes.mistake_list import ORDER_OF_COLUMN, ListPane, next_direction
from xray_tui.tui.panes.picture import PictureClass, pixels_of
from xray_tui.tui.panes.rows import RowList
from xray_tui.tui.panes.slider import Slider
from xray_tui.tui.panes.threshold import ThresholdPane
from xray_tui.tui.panes.turns import ALL, BESIDE_COLUMNS, CURVES, PANES, TurnLine, turns_for
from xray_tui.tui.panes.verdict import VerdictPane, rows_wanted
from xray_tui.tui.reading import Reading, in_place_of_mistakes, positive_of
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.tabs.tab import Tab
from xray_tui.tui.worklist import ORDERS, Worklist

WIDE_COLUMNS, WIDE_ROWS = 120, 30
"""From that on (of the whole terminal) all panes are seen at once."""
_LOW = 36
"""Rows of a terminal below which the threshold's pane is lower."""
_THRESHOLD_ROWS = {False: 8, True: 7}
_SETTLE_SECONDS = 0.1

_OF_LIST = ("heat", "curves", "direction", "filter", "sort", "reverse", "lower", "raise_", "reset", "export")


class MistakesTab(Tab, Clear):
    """Shows what one run kept of one epoch.

    Args:
        picture: the widget that shows a radiograph.
        read: decodes one.
        explain: makes what asks the weights of a run with that many classes.
    """

    HELP = """\
The list: every validation image that the epoch gets wrong. {sort} sorts by the next column, {direction}
shows only the missed ones or only the false alarms, {filter} filters: words, p>=0.9, loss>2, wrong>=5,
actual: or said: a class. An image that is right by now stays, with a ✓, until you move on. {earlier} and
{later} go through the epochs.
The radiograph: {heat} lays Grad-CAM over it, where the network saw what speaks for its verdict; the words
below say which epoch's weights were asked. Dim film was not given to the network. Enter shows it large.
The strip: a bar an epoch, as high as the probability of the actual class, red where that lost.
The curves ({curves}, in place of the radiograph), each with its number (AP: average precision, ECE: expected
calibration error) and a 95 % interval from patients drawn anew. ● is the threshold, which a click on a
curve brings there; ◆ is the run's operating point.
The threshold: {lower} and {raise_} or the mouse move it, {reset} resets it. ▲ is where sensitivity and
specificity together are best. It is a view: it changes nothing in the run. {export} writes the list as it
is shown."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", "the one before", show=False),
        Binding("down,j", "step(1)", "the next one", show=False),
        Binding("enter", "open", "large", show=False),
    ]

    def __init__(
        self,
        picture: PictureClass,
        read: Callable[[Path], Image.Image],
        explain: Callable[[RunDirectory, int], Explain],
        **named: Any,
    ) -> None:
        super().__init__(**named)
        self._picture, self._read, self._make_explain = picture, read, explain
        self._run: ShownRun | None = None
        self._built = False
        self._kept: KeptPredictions | None = None
        self._wanted: EpochEnded | None = None
        """The epoch that is read, or has been."""
        self._reading: Reading | None = None
        self._turn = 0
        self._with_curves = False
        """Whether, where there is room for all panes, the curves stand in place of the radiograph."""
        self.small = False

    def compose(self) -> ComposeResult:
        yield Instead(id="mistakes-words")
        yield TurnLine(id="turn-line")
        with ClearContainer(id="mistakes-board"):
            with ClearContainer(id="mistakes-left"):
                yield ListPane(id="list-pane", classes="pane")
                yield VerdictPane(id="verdict", classes="pane")
            yield FilmPane(self._picture, self._read, id="film", classes="pane")
            yield CurvesPane(id="curves", classes="pane")
        yield ThresholdPane(id="threshold", classes="pane")

    def on_mount(self) -> None:
        self._built = True
        self._list, self._film = self.query_one(ListPane), self.query_one(FilmPane)
        self._curves = self.query_one(CurvesPane)
        self._verdict, self._threshold = self.query_one(VerdictPane), self.query_one(ThresholdPane)
        self._lay_out()
        self.show(self._run)

    def on_resize(self) -> None:
        if self._built:
            self._lay_out()

    # What is read

    def enter(self) -> None:
        self._focus()

    def show(self, run: ShownRun | None) -> None:
        self._run = run
        if not self._built:  # the panes inside come with the mount event, which shows the run again
            return
        directory = run.source.directory if run else None
        epoch = run.looked_at if run else None
        if run is None or directory is None or epoch is None:
            self._wanted = self._reading = None
            self._say(*map(KeyMap.of(self.app).fill, in_place_of_mistakes(run)))
            return
        classes, kept = run.record.classes, self._kept
        if kept is None or kept.directory != directory or kept.classes != classes:
            self._kept = KeptPredictions(directory, classes, positive_of(run))
            self._wanted = self._reading = None
            self._list.filter_line.clear()
            self._film.explain_with(self._make_explain(directory, len(classes)))
        if epoch is not self._wanted:
            self._wanted = epoch
            self._read_epoch(epoch)
        elif self._reading is not None and not self.is_seen(run):
            self._show_reading(self._reading)

    def tick(self, run: ShownRun) -> None:
        if self._reading is not None and run is self._run:
            self._film.show(self._reading.case())  # a checkpoint may have been saved: other weights to ask

    @work(exclusive=True, group="epoch")
    async def _read_epoch(self, epoch: EpochEnded) -> None:
        kept, run = self._kept, self._run
        assert kept is not None

        def read() -> tuple[Images, EpochPredictions]:
            return kept.images(), kept.epoch(epoch.epoch)

        try:
            images, found = await asyncio.to_thread(read)
        except UserError as error:
            if epoch is self._wanted and self.app.is_running:
                self._reading = None
                self._say(error.message, error.hint)
            return
        if epoch is not self._wanted or run is None or not self.app.is_running:
            return
        if self._reading is None:
            self._reading = Reading(run, kept, images, found)
        else:
            self._reading.look_at(found)
        self._say("")
        self._show_reading(self._reading)
        self._focus()
        self._learn_fates(self._reading)

    @work(exclusive=True, group="fates")
    async def _learn_fates(self, reading: Reading) -> None:
        """How the images fared in all epochs, lot by lot."""
        for lot in reading.lots():
            learnt = await asyncio.to_thread(reading.kept.learn_fates, lot)
            if reading is not self._reading or not self.app.is_running:
                return
            if learnt:
                reading.learning = True
                reading.count_wrong()
                self._show_list(reading)
        if reading.learning:
            reading.learning = False
            self._show_image(reading)

    @work(exclusive=True, group="pixels")
    async def _measure(self, reading: Reading, path: str, file: Path) -> None:
        await asyncio.sleep(_SETTLE_SECONDS)
        reading.pixels[path] = await asyncio.to_thread(pixels_of, file)
        if reading is self._reading and self.app.is_running:
            self._show_image(reading)

    # What is seen

    def _say(self, words: str, hint: str = "") -> None:
        """Words in place of the panes; none bring those back."""
        self.query_one(Instead).say(words, hint)
        self.set_class(bool(words), "-words")
        self._lay_out()
        self.renew_keys()

    def _show_reading(self, reading: Reading) -> None:
        reading.take_point()
        reading.count_wrong()
        self._show_threshold(reading)
        self._show_list(reading)

    def _show_list(self, reading: Reading) -> None:
        self._list.show(reading.work, reading.known_epochs)
        self._show_image(reading)

    def _show_image(self, reading: Reading) -> None:
        """Radiograph and verdict of the image under the cursor."""
        self._film.show(reading.case())
        self._verdict.show(reading.verdict())
        path, file = reading.path, reading.file
        if path is not None and file is not None and path not in reading.pixels:
            self._measure(reading, path, file)

    def _show_threshold(self, reading: Reading) -> None:
        self._threshold.show(reading.division(), reading.rates(), reading.rule())
        self._show_curves()

    def _show_curves(self) -> None:
        if self._curves.display and self._reading is not None:
            self._curves.show(self._reading)

    def _lay_out(self) -> None:
        size, words = self.app.size, self.has_class("-words")
        self.small = size.width < WIDE_COLUMNS or size.height < WIDE_ROWS
        turns = turns_for(size.width)
        self._turn = min(self._turn, len(turns) - 1)
        seen = turns[self._turn].panes if self.small else CURVES if self._with_curves else ALL
        self.set_class(self.small, "-small")
        narrow = size.width < BESIDE_COLUMNS
        self.set_class(narrow, "-narrow")
        low = narrow or size.height < _LOW
        self.set_class(len(seen) > 1 and "film" in seen, "-beside")
        for name in PANES:
            self.query_one(f"#{name}").display = name in seen and not words
        self.query_one("#mistakes-board").display = not words
        self.query_one("#mistakes-left").display = "list-pane" in seen or "verdict" in seen
        self.query_one("#mistakes-words").display = words
        line = self.query_one(TurnLine)
        line.display = self.small and not words
        line.show(turns, self._turn)
        self._verdict.can_focus = self.small
        # Where it is low, the list keeps half of the room at least, the verdict what it cannot do without.
        half = (self.size.height - _THRESHOLD_ROWS[low]) // 2
        classes = len(self._run.record.classes) if self._run else 0
        self._verdict.styles.height = "1fr" if self.small else rows_wanted(classes, half)
        self._threshold.styles.height = _THRESHOLD_ROWS[low]
        self._show_curves()

    # Moving

    def next_pane(self, step: int) -> None:
        self.open_pane((self._turn + step) % len(turns_for(self.app.size.width)))

    def open_pane(self, index: int) -> None:
        self._turn = index
        self._lay_out()
        self._focus(anew=True)

    def _focus(self, *, anew: bool = False) -> None:
        """Give the keys to the list, or to what is seen in its place; to another pane only where asked."""
        if self._reading is None or not self.display or not (anew or self.screen.focused is None):
            return
        first = turns_for(self.app.size.width)[self._turn].panes[0] if self.small else "list-pane"
        (self._list.rows if first == "list-pane" else self.query_one(f"#{first}")).focus()

    def action_step(self, step: int) -> None:
        """The next radiograph of the list, or the one before, whatever pane has the keys."""
        if self._reading is not None:
            self._list.rows.action_move(step)

    def action_open(self) -> None:
        self._film.open_large(self.action_step)

    @on(FilmPane.Opened)
    @on(RowList.Chosen, "#worklist")
    def _opened(self, event: FilmPane.Opened | RowList.Chosen) -> None:
        event.stop()
        self.action_open()

    @on(RowList.Moved, "#worklist")
    def _moved(self, event: RowList.Moved) -> None:
        event.stop()
        reading = self._reading
        if reading is not None and event.index < len(reading.work.listed):
            reading.work.looked_at = int(reading.work.listed[event.index])
            self._show_image(reading)

    def back(self) -> bool:
        if self._reading is None or not self._reading.work.filter.words:
            return False
        self._list.filter_line.clear()
        return True

    # Actions

    def why_not(self, action: str) -> str:
        if action not in _OF_LIST:
            return ""
        reading, run = self._reading, self._run
        if reading is None or run is None:
            return "No mistakes are in sight."
        if why := reading.why_not(action):
            return why
        if action == "heat" and not run.record.checkpoints:
            return "No weights are kept yet: Grad-CAM asks those of the best epoch."
        return ""

    def do_heat(self) -> None:
        self._with_curves = False
        self._lay_out()
        self._film.switch_heat()

    def do_curves(self) -> None:  # to them; from them to the next that had no room, and back
        if not self._curves.display:
            self._with_curves = True
            self.open_pane(len(turns_for(self.app.size.width)) - 1 if self.small else self._turn)
        elif not self._curves.next():
            self._with_curves = False
            self.open_pane(0 if self.small else self._turn)

    def _relist(self, change: Callable[[Worklist], None]) -> None:
        """Change the list, and show it."""
        if self._reading is not None:
            change(self._reading.work)
            self._show_list(self._reading)

    def do_direction(self) -> None:
        self._relist(lambda work: work.show_direction(next_direction(work.direction)))

    def do_sort(self) -> None:
        self._relist(lambda work: work.sort(ORDERS[(ORDERS.index(work.order) + 1) % len(ORDERS)]))

    def do_reverse(self) -> None:
        self._relist(lambda work: work.sort(work.order, turned=not work.turned))

    @on(RowList.HeadClicked, "#worklist")
    def _head_clicked(self, event: RowList.HeadClicked) -> None:
        event.stop()
        order = ORDER_OF_COLUMN[event.column]
        if order is not None:
            self._relist(lambda work: work.sort(order, turned=order == work.order and not work.turned))

    def do_filter(self) -> None:
        if not self.query_one("#list-pane").display:
            self.open_pane(0)
        self._list.edit_filter()

    @on(FilterLine.Edited)
    def _filter_edited(self, event: FilterLine.Edited) -> None:
        event.stop()
        try:
            wanted = image_filter.parse(event.words)
        except UserError as error:
            self._list.filter_line.complain(error.message)
            return
        self._list.filter_line.complain("")
        self._relist(lambda work: work.show_filter(wanted))
        self.renew_keys()
        self._focus()

    def do_lower(self) -> None:
        self._move_threshold(self._threshold.slider.stepped(-1))

    def do_raise_(self) -> None:
        self._move_threshold(self._threshold.slider.stepped(1))

    def do_reset(self) -> None:
        if self._reading is not None:
            self._move_threshold(self._reading.work.own)

    @on(Slider.Moved)
    def _slider_moved(self, event: Slider.Moved) -> None:
        event.stop()
        self._move_threshold(event.threshold)

    def _move_threshold(self, threshold: float | None) -> None:
        if self._reading is not None:
            self._reading.move_threshold(threshold)
            self._show_threshold(self._reading)
            self._show_list(self._reading)

    def do_export(self) -> None:
        reading = self._reading
        if reading is not None:
            rows, threshold = list(reading.work.table()), reading.work.threshold
            self._list.write(reading.kept.directory, reading.found.epoch, rows, threshold)

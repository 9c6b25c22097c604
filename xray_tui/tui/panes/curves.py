"""ROC, precision and recall, calibration: of the validation images of one epoch, and of test."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.text import Text
from textual import events, work
from textual.strip import Strip

from xray_tui.drawing.raster import Raster
from xray_tui.errors import UserError
from xray_tui.events import TestEvaluated
from xray_tui.runs.predictions import EpochPredictions, read_test
from xray_tui.tui.curves import At, SplitCurves, nearest_threshold
from xray_tui.tui.panes.curve_drawings import (
    KINDS,
    CurvesShown,
    Kind,
    Split,
    Words,
    drawing,
    heading,
    in_words,
    rates,
)
from xray_tui.tui.panes.dragged import Dragged
from xray_tui.tui.panes.frame import Framed
from xray_tui.tui.panes.sized import Sized
from xray_tui.tui.panes.slider import Slider
from xray_tui.tui.panes.unit_chart import UnitFrame
from xray_tui.tui.reading import Reading
from xray_tui.tui.themes import Palette

_SETTLE_SECONDS = 0.1
"""Running through the epochs measures the one where it stops."""
_KEPT = 16
_GAP = 2
_LEAST_WIDTH, _LEAST_HEIGHT = 30, 10
"""Cells that a chart takes at least, where several are seen."""


class CurvesPane(Sized, Dragged, Framed, can_focus=True):
    """Three charts, or as many as there is room for; a click on one moves the threshold."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._reading: Reading | None = None
        self._seen: CurvesShown | None = None
        self._measuring: EpochPredictions | None = None
        self._measured: OrderedDict[int, tuple[EpochPredictions, SplitCurves]] = OrderedDict()
        """By the identity of what was measured, which is kept alive with it."""
        self._test: tuple[TestEvaluated, SplitCurves | None, str] | None = None
        """What was evaluated, its curves, and why it has none."""
        self._frames: list[tuple[Kind, Box, UnitFrame]] = []
        self._strips: list[Strip] | None = None
        self._first = 0
        """Which chart comes first, where there is no room for all."""

    def show(self, reading: Reading) -> None:
        """Draw the epoch that is read, once it is measured; until then what is drawn stays."""
        if reading is not self._reading:
            self._reading, self._seen = reading, None
        if id(reading.found) in self._measured:
            self._draw_anew()
        elif self._measuring is not reading.found:
            self._measuring = reading.found
            self._measure(reading, reading.found)
        test = reading.run.record.test
        if test is not None and not test.skipped and (self._test is None or self._test[0] is not test):
            self._test = (test, None, "")
            self._measure_test(reading, test)

    def next(self) -> bool:
        """Bring the next chart to the front; ``False`` where each has had its turn, or all are seen."""
        seen = len(_charts(self.size.width, self.size.height))
        further = self._first + seen < len(KINDS)
        self._first = self._first + 1 if further else 0
        self._draw_anew()
        return further

    @work(exclusive=True, group="curves")
    async def _measure(self, reading: Reading, found: EpochPredictions) -> None:
        await asyncio.sleep(_SETTLE_SECONDS)
        images, positive = reading.work.images, reading.work.positive
        curves = await asyncio.to_thread(SplitCurves.of, images, found.probabilities, found.losses, positive)
        self._measured[id(found)] = (found, curves)
        while len(self._measured) > _KEPT:
            self._measured.popitem(last=False)
        if self._reading is reading and reading.found is found and self.app.is_running:
            self._draw_anew()

    @work(group="test")
    async def _measure_test(self, reading: Reading, test: TestEvaluated) -> None:
        def measure() -> SplitCurves:
            kept = read_test(reading.kept.directory, reading.work.classes)
            return SplitCurves.of(kept.images, kept.probabilities, kept.losses, reading.work.positive)

        try:
            known: tuple[SplitCurves | None, str] = (await asyncio.to_thread(measure), "")
        except UserError as error:
            known = (None, f"test: {error.message}")
        if self._test is not None and self._test[0] is test and self.app.is_running:
            self._test = (test, *known)
            self._draw_anew()

    # Drawing

    def resized(self) -> None:
        self._draw_anew()

    def notify_style_update(self) -> None:
        """The colours may have changed."""
        super().notify_style_update()
        self._strips = None

    def _draw_anew(self) -> None:
        self._strips = None
        self._seen = self._shown() or self._seen
        self._tell(Palette.of(self.app))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        if self._strips is None:
            self._strips = self._draw()
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width, self.rich_style)

    def _shown(self) -> CurvesShown | None:
        reading = self._reading
        measured = self._measured.get(id(reading.found)) if reading else None
        if reading is None or measured is None:
            return None
        work, found, curves = reading.work, *measured
        threshold = 0.5 if work.threshold is None else work.threshold
        record = reading.run.record
        chosen, point = record.point, None
        if chosen is not None and chosen.epoch == found.epoch:
            precision = curves.precision_at(chosen.sensitivity, chosen.specificity)
            point = At(chosen.sensitivity, chosen.specificity, precision)
        splits = [Split("validation", "val", f"epoch {found.epoch}", curves, point)]
        note = ""
        if self._test is not None and self._test[0] is record.test:
            test, of_test, note = self._test
            if of_test is not None:
                calibrated = ", calibrated" if chosen is not None and chosen.temperature else ""
                at = At.of(test.confusion, work.positive)
                splits.append(Split("test", "test", f"epoch {test.epoch}{calibrated}", of_test, at))
        return CurvesShown(
            splits=splits,
            threshold=threshold,
            at=At.of(work.rates.confusion, work.positive),
            positive=work.classes[work.positive],
            caution=", chosen on these images" if record.selected_on_test else "",
            note=note,
        )

    def _tell(self, palette: Palette) -> None:
        """Title and subtitle."""
        shown, (width, height) = self._seen, self.size
        about = f" · {shown.splits[0].origin}{shown.caution}" if shown else ""
        self.inscribe(Text.assemble("curves", (about, palette.muted)))
        words = Text("in brackets 95 % intervals: patients drawn anew", palette.faint)
        if shown is not None and _words(width, height) is None:  # no room for them beside the charts
            words = Text.assemble(("● ", palette.primary), *rates(shown.at, palette, width))
        self.inscribe(subtitle=words)

    def _draw(self) -> list[Strip]:
        width, height = self.size
        palette, shown, raster = Palette.of(self.app), self._seen, Raster(width, height)
        self._frames = []
        if shown is None:
            raster.write(0, 0, "measuring …"[:width], palette.muted)
        else:
            for kind, box in zip(KINDS[self._first :], _charts(width, height), strict=False):
                lines = heading(kind, shown, palette, box.width)
                _write(raster, box, lines)
                below = Box(box.left, box.top + len(lines), box.width, max(0, box.height - len(lines)))
                frame = UnitFrame(Raster(below.width, below.height), drawing(kind, shown, palette))
                frame.draw(palette)
                raster.paste(frame.raster, below.left, below.top)
                self._frames.append((kind, below, frame))
            rest = _words(width, height)
            if rest is not None:
                _write(raster, rest, in_words(shown, palette, rest.width))
        return [Strip(row, width) for row in raster.rows(self.rich_style)]

    def go_to(self, event: events.MouseEvent) -> None:
        """The threshold whose place on the curve of validation is next to the mouse."""
        shown, at = self._seen, event.get_content_offset_capture(self)
        if shown is None:
            return
        curves = shown.splits[0].curves
        for kind, box, frame in self._frames:
            if at.x in box.columns and at.y in box.rows:
                x, y = frame.place_at(at.x - box.left, at.y - box.top)
                curve = curves.roc if kind == "roc" else curves.precision_recall
                if kind == "calibration":
                    self.post_message(Slider.Moved(round(x, 2)))
                elif curve is not None:
                    self.post_message(Slider.Moved(nearest_threshold(curve, x, y)))


class Box(NamedTuple):
    """A rectangle of cells."""

    left: int
    top: int
    width: int
    height: int

    @property
    def columns(self) -> range:
        return range(self.left, self.left + self.width)

    @property
    def rows(self) -> range:
        return range(self.top, self.top + self.height)


def _write(raster: Raster, box: Box, lines: Sequence[Words]) -> None:
    """Words from the top of a box; a piece of a line that does not fit is left out, with all behind it."""
    for line, row in zip(lines, box.rows, strict=False):
        x = box.left
        for piece, colour in line:
            room, shown = box.left + box.width - x, piece
            if len(piece) > room:
                if x > box.left:
                    break
                shown = f"{piece[: room - 1]}…"
            raster.write(x, row, shown, colour)
            x += len(shown)


def _charts(width: int, height: int) -> list[Box]:
    """Where the charts stand: two by two, or as many as have room side by side."""
    across = max(1, min(len(KINDS), (width + _GAP) // (_LEAST_WIDTH + _GAP)))
    if across >= 2 and height >= 2 * _LEAST_HEIGHT + 1:
        cells = (width - _GAP) // 2
        above, below = (height - 1) // 2, height - 1 - (height - 1) // 2
        return [
            Box(0, 0, cells, above),
            Box(cells + _GAP, 0, width - cells - _GAP, above),
            Box(0, above + 1, cells, below),
        ]
    cells = (width - _GAP * (across - 1)) // across
    return [Box(number * (cells + _GAP), 0, cells, height) for number in range(across)]


def _words(width: int, height: int) -> Box | None:
    """Where words stand: in the quarter that the charts leave."""
    boxes = _charts(width, height)
    if len(boxes) < len(KINDS) or boxes[2].top == 0:
        return None
    return Box(boxes[1].left, boxes[2].top, boxes[1].width, boxes[2].height)

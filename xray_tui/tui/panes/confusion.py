"""Which class was taken for which."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from xray_tui.tui.panes.frame import Framed
from xray_tui.tui.panes.printed import Printed
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.text import fit, short_names, shorten
from xray_tui.tui.themes import Palette
from xray_tui.words import count, harmless, number, percent, probability

NO_NUMBERS = "Probabilities of this epoch are no numbers"
"""Where it has no rates."""
_PRECISION = "precision"
_LABEL, _NARROW, _WIDE = 12, 9, 17
"""Cells of a class's name, and the least and most that a number's box takes beside another matrix."""
_LEAST_LABEL, _LEAST_PITCH, _NAMED_PITCH = 3, 3, 6
"""The least cells of a class's name and from column to column, and those from which columns are named in
full."""


class ConfusionPane(Framed, Printed, can_focus=False):
    """Counts with row percentages, shaded; after the end test stands beside validation."""

    HELP = (
        "Rows are what an image is, columns what the network said; percentages are of the row. Right ones "
        "lie on the diagonal. Sensitivity is the share of positive images found, specificity the share of "
        "the others left alone."
    )

    def on_mount(self) -> None:
        self._run: ShownRun | None = None
        self.border_title = "confusion"

    def show(self, run: ShownRun) -> None:
        self._run = run
        epoch = run.looked_at
        title = "confusion" if epoch is None else f"confusion · validation, epoch {epoch.epoch}"
        point, test = run.record.point, run.record.test
        if epoch and test is not None and test.epoch is not None and self._beside_test(run):
            title += f" · test, epoch {test.epoch}"
        subtitle = "rows: actual, columns: predicted"
        if point is not None and point.threshold is not None and self._beside_test(run):
            subtitle = f"validation: the likeliest class, test: p ≥ {probability(point.threshold)}"
        self.inscribe(title, subtitle if epoch and self.size.width > 44 else "")
        self.renew()

    def resized(self) -> None:
        if self._run:
            self.show(self._run)

    def words(self) -> Text:
        run, palette = self._run, Palette.of(self.app)
        epoch = run.looked_at if run else None
        if run is None or epoch is None or not epoch.confusion:
            return Text("The first epoch has not ended yet.", palette.faint)
        if not any(map(any, epoch.confusion)):
            return Text(f"{NO_NUMBERS}: nothing can be counted.", palette.faint)
        size, classes = self.size, run.record.classes
        test = run.record.test
        grids = [("", epoch.confusion)]
        if test is not None and self._beside_test(run):
            grids = [("validation", epoch.confusion), ("test", test.confusion)]
        width = (size.width - 3 * (len(grids) - 1)) // len(grids)
        blocks = [matrix(title, table, classes, width, size.height - 2, palette) for title, table in grids]
        lines = [_beside(row, width) for row in zip(*blocks, strict=True)]
        lines += [Text(), self._rates(run, palette)]
        return Text("\n").join(lines[: size.height] if len(lines) > size.height else lines)

    def _beside_test(self, run: ShownRun) -> bool:
        """Whether test is there and has room."""
        test, least = run.record.test, _least_width(run.record.classes)
        return test is not None and any(map(any, test.confusion)) and 2 * least + 3 <= self.size.width

    def _rates(self, run: ShownRun, palette: Palette) -> Text:
        epoch = run.looked_at
        assert epoch is not None
        line = Text(no_wrap=True)
        for name, shown in (
            ("acc", percent(epoch.accuracy)),
            ("AUC", number(epoch.auc)),
            ("sens", percent(epoch.sensitivity)),
            ("spec", percent(epoch.specificity)),
        ):
            line.append(f"{name} ", palette.muted).append(f"{shown}  ", palette.text)
        line.rstrip()
        return line


def matrix(
    title: str,
    table: Sequence[Sequence[int]],
    classes: Sequence[str],
    width: int,
    height: int,
    palette: Palette,
) -> list[Text]:
    """The lines of one matrix, each at most ``width`` cells; where there is room, precision below it."""
    names = heads = [harmless(name) for name in classes]
    columns, widest = max(1, len(names)), max(map(cell_len, [*names, title]))
    label = min(_LABEL, widest, max(_LEAST_LABEL, width - 1 - _LEAST_PITCH * columns))
    pitch = max(_LEAST_PITCH, (width - label - 1) // columns)
    gap = " " * (pitch > _LEAST_PITCH)
    box = min(_WIDE, pitch - len(gap))
    if pitch < _NAMED_PITCH:
        heads = short_names(classes)
    rows, paired = len(table), box >= 6
    head = fit(Text(title, f"bold {palette.text}"), label + 1)
    for place, name in enumerate(heads):
        colour = palette.text if place % 2 and not gap else palette.muted
        head.append_text(_centred(shorten(name, box), box, colour)).append(gap)
    lines = [head]
    for actual, row in enumerate(table):
        total = sum(row)
        start = fit(Text(shorten(names[actual], label), palette.muted), label + 1)
        blank = Text(" " * (label + 1))
        upper, lower, pad = start, blank.copy(), blank.copy()
        for predicted, images in enumerate(row):
            share = images / total if total else None
            stripe = bool(predicted % 2 and not gap)
            style = _shade(share or 0.0, predicted == actual, palette, stripe=stripe)
            upper.append_text(_centred(_count_in(images, box), box, f"bold {style}")).append(gap)
            lower.append_text(_centred(percent(share, 0), box, style)).append(gap)
            pad.append(" " * box, style).append(gap)
        if paired and height >= 1 + 5 * rows:
            lines += [pad, upper, lower, pad.copy(), blank]
        elif paired and height >= 1 + 3 * rows:
            lines += [upper, lower, blank]
        elif paired and height >= 1 + 2 * rows:
            lines += [upper, lower]
        else:
            lines.append(upper)
    if paired and label >= len(_PRECISION) and height > len(lines) > 1 + 2 * rows:
        lines.append(_precision(table, label, box, palette))
    return lines


def _precision(table: Sequence[Sequence[int]], label: int, box: int, palette: Palette) -> Text:
    """Of the images called a class, the part that is of that class; below its column."""
    line = fit(Text(_PRECISION, palette.faint), label + 1)
    for place in range(len(table)):
        called = sum(row[place] for row in table)
        share = table[place][place] / called if called else None
        line.append_text(_centred(percent(share, 0), box, palette.muted)).append(" ")
    return line


def _shade(share: float, right: bool, palette: Palette, *, stripe: bool) -> str:
    least = 0.18 if stripe else 0.10  # where numbers touch, columns are told apart by their grounds
    return palette.ground(palette.success if right else palette.error, least + 0.45 * share)


def _count_in(images: int, cells: int) -> str:
    """A count in so many cells, rounded where it has no room: ``25k``."""
    forms = (count(images), str(images), f"{images / 1e3:.0f}k", f"{images / 1e6:.1f}M".removeprefix("0"))
    return next((form for form in forms if len(form) <= cells), f"{images / 1e6:.0f}M")


def _centred(words: str, cells: int, style: str) -> Text:
    text = Text(words, style)
    text.align("center", cells)
    return text


def _beside(parts: Sequence[Text], width: int) -> Text:
    line = Text(no_wrap=True)
    for index, part in enumerate(parts):
        if index:
            line.append("   ")
        line.append_text(fit(part, width))
    return line


def _least_width(classes: Sequence[str]) -> int:
    return _LABEL + 1 + (_NARROW + 1) * len(classes)

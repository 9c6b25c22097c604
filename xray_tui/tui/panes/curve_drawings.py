"""What the curves of an epoch look like as charts, and what is said of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from xray_tui.tui.curves import WANTED, At, SplitCurves
from xray_tui.tui.panes.unit_chart import Path, Spot, UnitDrawing
from xray_tui.tui.themes import Palette
from xray_tui.words import count, harmless, number, percent

_LONG = 46
"""Cells from which on words are not shortened."""

Words = Sequence[tuple[str, str]]
"""Pieces of a line, each with its colour."""
Kind = Literal["roc", "precision", "calibration"]
KINDS: tuple[Kind, ...] = ("roc", "precision", "calibration")

_AXES: dict[Kind, tuple[str, str, str]] = {
    "roc": ("ROC", "sensitivity", "1 − specificity"),
    "precision": ("precision–recall", "precision", "sensitivity"),
    "calibration": ("calibration", "observed", "predicted"),
}
"""Title, and the names of the upright and of the level axis."""
_NUMBERS: dict[Kind, tuple[str, str]] = {
    "roc": ("AUC", "auc"),
    "precision": ("AP", "average_precision"),
    "calibration": ("ECE", "calibration_error"),
}
"""What is written of a curve, and its field in the metrics; ECE is the expected calibration error."""


class Split(NamedTuple):
    """One of the splits that are drawn."""

    name: str
    short: str
    origin: str
    """Which weights it was predicted with, in words."""
    curves: SplitCurves
    point: At | None
    """Where the run's operating point lies on its curves."""


@dataclass(frozen=True)
class CurvesShown:
    splits: Sequence[Split]
    """Validation first."""
    threshold: float
    """Of the slider."""
    at: At
    """Where that is on validation's curves."""
    positive: str
    """Name of the class."""
    caution: str = ""
    """What makes the numbers of validation better than they are."""
    note: str = ""
    """Why test is not among the splits; empty where there is nothing to say."""


def heading(kind: Kind, shown: CurvesShown, palette: Palette, columns: int) -> list[Words]:
    """What stands above one of the charts, that many columns wide: its title, and a line a split."""
    title, y_name, _ = _AXES[kind]
    label, field = _NUMBERS[kind]
    estimates = [_estimate(split.curves, field, palette) for split in shown.splits]
    room = columns - len(f"━ {label}   ") - max(sum(len(piece) for piece, _ in words) for words in estimates)
    long, short = ([getattr(split, name) for split in shown.splits] for name in ("name", "short"))
    names = long if max(map(len, long)) <= room else short
    lines: list[Words] = [[(title, palette.text), (f"  {y_name} ↑", palette.muted)]]
    for name, words, colour in zip(names, estimates, _colours(palette), strict=False):
        start = f"{name.ljust(max(map(len, names)))}  {label} "
        lines.append([("━ ", colour), (start, palette.muted), *words])
    return lines


def drawing(kind: Kind, shown: CurvesShown, palette: Palette) -> UnitDrawing:
    """One of the charts."""
    paths, spots = [], []
    for split, colour in zip(shown.splits, _colours(palette), strict=False):
        path = _path(split, kind, colour)
        paths += [path] if path else []
        spots += _spot(split.point, kind, "◆", colour)
    validation = shown.splits[0].curves
    spots = [*_spot(validation.best, kind, "▲", palette.best), *spots]
    spots += _spot(shown.at, kind, "●", palette.primary)
    if kind == "precision":
        chance = validation.prevalence or 0.0
        return UnitDrawing(_AXES[kind][2], paths, spots, ((0.0, chance), (1.0, chance)))
    upright = shown.threshold if kind == "calibration" else None
    return UnitDrawing(_AXES[kind][2], paths, spots, ((0.0, 0.0), (1.0, 1.0)), upright)


def in_words(shown: CurvesShown, palette: Palette, columns: int) -> list[Words]:
    """What the charts do not say, a line each; the last ones can be spared."""
    signs = [("●", "threshold", palette.primary, shown.at, "")]
    if shown.splits[0].curves.best is not None:
        signs.append(("▲", "best", palette.best, shown.splits[0].curves.best, ""))
    chosen = "operating point" if columns >= _LONG else "the run's"
    for split, colour in zip(shown.splits, _colours(palette), strict=False):
        if split.point is not None:
            signs.append(("◆", chosen, colour, split.point, f"  {split.short}"))
    names = dict.fromkeys((sign, name) for sign, name, *_ in signs)
    lines: list[Words] = [
        [(f"{'  ' if at else ''}{sign} {name}", palette.muted) for at, (sign, name) in enumerate(names)],
        *(
            [(f"{sign} ", colour), *rates(at, palette, columns - 2), (of, palette.muted)]
            for sign, _, colour, at, of in signs
        ),
    ]
    for split, colour in zip(shown.splits, _colours(palette), strict=False):
        curves = split.curves
        share = f"{percent(curves.prevalence)} {harmless(shown.positive)}"
        lines += [
            [],
            [("━ ", colour), (split.name, palette.text), (f", {split.origin}", palette.muted)],
            [(f"{count(curves.images)} images, {share}", palette.muted)],
            _at(curves.sensitivity_at, "sensitivity", "specificity", palette, columns),
            _at(curves.specificity_at, "specificity", "sensitivity", palette, columns),
            [("Brier ", palette.muted), *_estimate(curves, "brier", palette)],
        ]
    return [*lines, [], [(shown.note, palette.faint)]] if shown.note else lines


def rates(at: At, palette: Palette, columns: int) -> Words:
    """``sensitivity 83.1 %  specificity 90.2 %``."""
    parts = ((at.sensitivity, "sensitivity"), (at.specificity, "specificity"))
    long = columns >= _LONG
    words: list[tuple[str, str]] = []
    for value, name in parts:
        words += [
            (f"{'  ' if words else ''}{name if long else name[:4]} ", palette.muted),
            (percent(value), palette.text),
        ]
    return words


def _colours(palette: Palette) -> tuple[str, str]:
    """Of validation and of test."""
    return palette.validation, palette.auc


def _path(split: Split, kind: Kind, colour: str) -> Path | None:
    curves, letter = split.curves, split.short[0]
    if kind == "calibration":
        found = curves.reliability
        if found is None:
            return None
        return Path(found.predicted, found.observed, colour, letter, dotted=True)
    curve = curves.roc if kind == "roc" else curves.precision_recall
    return None if curve is None else Path(curve.x, curve.y, colour, letter, steps=kind == "precision")


def _spot(at: At | None, kind: Kind, character: str, colour: str) -> list[Spot]:
    if at is None or at.sensitivity is None or kind == "calibration":
        return []
    if kind == "roc":
        return [] if at.specificity is None else [Spot(1 - at.specificity, at.sensitivity, character, colour)]
    return [] if at.precision is None else [Spot(at.sensitivity, at.precision, character, colour)]


def _estimate(curves: SplitCurves, field: str, palette: Palette) -> Words:
    """The number and, in brackets, its interval."""
    value: float | None = getattr(curves.found, field)
    words = [(number(value), palette.text)]
    if value is not None and field in curves.intervals:
        low, high = curves.intervals[field]
        words.append((f" ({number(low)}–{number(high)})", palette.muted))
    return words


def _at(value: float | None, name: str, other: str, palette: Palette, columns: int) -> Words:
    """``sensitivity 83.1 % where specificity is 95 %``."""
    long = columns >= _LONG
    names = (name, other) if long else (name[:4], other[:4])
    return [
        (f"{names[0]} ", palette.muted),
        (percent(value), palette.text),
        (f" at {percent(WANTED, 0)} {names[1]}", palette.muted),
    ]

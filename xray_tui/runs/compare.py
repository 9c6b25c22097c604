"""Runs beside each other: what was set differently, what came of it, and whether that is more than chance.

In words a run is its letter: A is the first of ``Comparison.runs``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec

from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.events import EpochEnded
from xray_tui.runs import about, state
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.follow import read
from xray_tui.runs.markdown import code, plain, table
from xray_tui.runs.record import RunRecord
from xray_tui.settings_file import leaves
from xray_tui.words import ABSENT, SELECTED_ON_TEST, number, percent, positive_of

_SURE = 0.05
"""A smaller p is called more than chance."""
_RATES = (
    ("accuracy", "accuracy"),
    ("auc", "AUC"),
    ("sensitivity", "sensitivity"),
    ("specificity", "specificity"),
)
_PRIVATE = ("run.name", "run.runs_dir", "data.root")
"""Settings that say where a run is kept; the data folder is compared by its own name."""


@dataclass(frozen=True)
class Predictions:
    """What a run's best epoch said of each validation image."""

    right: dict[tuple[str, str], bool]
    """Whether it was right, by path and actual class."""
    patients: int


@dataclass(frozen=True)
class ComparedRun:
    directory: RunDirectory
    name: str
    record: RunRecord
    best: EpochEnded | None
    """The best epoch: its rates are what is compared."""
    images: int
    """Validation images."""
    intervals: dict[str, tuple[float, float] | None]
    """95 % intervals of ``accuracy``, ``sensitivity``, ``specificity`` (Wilson's) and ``auc`` (DeLong's)."""
    live: bool = False
    predictions: Predictions | None = field(default=None, repr=False)
    missing: str = ""
    """Why there are no predictions."""

    @property
    def settings(self) -> dict[str, Any]:
        return self.record.started.settings if self.record.started else {}


@dataclass(frozen=True)
class Difference:
    path: str
    """Of the setting, dotted."""
    values: list[str]
    """In words, a run each."""
    description: str


@dataclass(frozen=True)
class PairedTest:
    first: int
    """Numbers of the two runs in ``Comparison.runs``."""
    second: int
    only_first_right: int
    """Images that the first gets right and the second wrong."""
    only_second_right: int
    p: float | None
    """McNemar's, exact; ``None`` where no image parts the two."""
    words: str


@dataclass(frozen=True)
class Comparison:
    runs: list[ComparedRun]
    differences: list[Difference]
    """Settings that are not the same in all runs."""
    tests: list[PairedTest]
    """Of each pair of runs that was validated on the same images."""
    notes: list[str]
    """Why a pair has no test, and what else to keep in mind."""


def letter(number: int) -> str:
    """The short name of a run in a comparison: A to Z, then AA."""
    return (letter(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)


def compare(directories: Sequence[RunDirectory]) -> Comparison:
    """Put runs beside each other, each at its best epoch.

    Takes about a second where scipy was not imported yet.

    Raises:
        UserError: fewer than two runs, one run twice, or a journal that cannot be read.
    """
    if len(directories) < 2:
        raise UserError("a comparison wants two runs or more", "such as `xray-tui runs compare RUN RUN`")
    paths = [directory.path.resolve() for directory in directories]
    for directory, path in zip(directories, paths, strict=True):
        if paths.count(path) > 1:
            raise UserError(f"{directory.name} is named twice", "name each run once")
    runs = [_compared(directory) for directory in directories]
    tests, notes = _tests(runs)
    return Comparison(runs, _differences(runs), tests, notes + _caveats(runs, len(tests)))


def _compared(directory: RunDirectory) -> ComparedRun:
    from xray_tui import metrics  # numpy and, within, scipy: only for whoever compares

    live = state.read(directory).live
    record = RunRecord.of(read(directory))
    best, started = record.best_epoch, record.started
    intervals: dict[str, tuple[float, float] | None] = dict.fromkeys(rate for rate, _ in _RATES)
    predictions, missing = None, "it has no best epoch" + (" yet" if live else "")
    if best and started:
        positive = started.classes.index(record.positive)
        for name, (successes, total) in metrics.proportions(best.confusion, positive).items():
            intervals[name] = metrics.interval(successes, total)
        try:
            predictions, intervals["auc"] = _read_predictions(
                directory, started.classes, best.epoch, positive
            )
        except UserError as error:
            missing = error.message[:1].lower() + error.message[1:].rstrip(".")
    return ComparedRun(
        directory=directory,
        name=about.called(directory, started.settings if started else {}),
        record=record,
        best=best,
        images=sum(map(sum, best.confusion)) if best else 0,
        intervals=intervals,
        live=live,
        predictions=predictions,
        missing="" if predictions else missing,
    )


def _read_predictions(
    directory: RunDirectory, classes: list[str], epoch: int, positive: int
) -> tuple[Predictions, tuple[float, float] | None]:
    """What the epoch predicted, and the interval of its AUC."""
    from xray_tui import metrics
    from xray_tui.runs.predictions import KeptPredictions

    kept = KeptPredictions(directory, classes)
    images, found = kept.images(), kept.epoch(epoch)
    right = found.probabilities.argmax(1) == images.actual
    keys = zip(images.paths, (classes[actual] for actual in images.actual), strict=True)
    predictions = Predictions(dict(zip(keys, right.tolist(), strict=True)), len(set(images.patients)))
    return predictions, metrics.auc_interval(found.probabilities[:, positive], images.actual == positive)


def _differences(runs: list[ComparedRun]) -> list[Difference]:
    trees = [dict(leaves(run.settings)) for run in runs]
    found = []
    for path in dict.fromkeys(path for tree in trees for path in tree):
        values = [_in_words(path, tree.get(path)) for tree in trees]
        if path not in _PRIVATE[:2] and len(set(values)) > 1:
            found.append(Difference(path, values, _described(path)))
    return found


def _in_words(path: str, value: Any) -> str:
    if value is None or value == "":
        return ABSENT
    if path == "data.root":
        return Path(value).name
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _described(path: str) -> str:
    try:
        return config.describe(path)
    except KeyError:  # a setting of another version
        return ""


def _tests(runs: list[ComparedRun]) -> tuple[list[PairedTest], list[str]]:
    """McNemar's test of each pair, and why a pair has none."""
    tests = []
    notes = [f"{letter(at)} has no paired test: {run.missing}." for at, run in enumerate(runs) if run.missing]
    for (first, one), (second, other) in combinations(enumerate(runs), 2):
        if one.predictions is None or other.predictions is None:
            continue
        a, b = one.predictions.right, other.predictions.right
        if a.keys() == b.keys():
            tests.append(_paired(first, second, a, b))
        else:
            why = _why_unpaired(one, other, len(a.keys() & b.keys()))
            notes.append(f"{letter(first)} and {letter(second)} have no paired test: {why}.")
    return tests, notes


def _why_unpaired(one: ComparedRun, other: ComparedRun, common: int) -> str:
    """
    Args:
        common: images that both runs name alike.
    """
    hide = [bool(run.settings.get("data", {}).get("hash_names")) for run in (one, other)]
    if hide[0] != hide[1]:
        return "one hides its file names, and whether the images are the same cannot be told"
    if hide[0] and not common:  # as where they were hidden with two keys
        return "both hide their file names, and whether the images are the same cannot be told"
    return f"they were validated on different images ({one.images} and {other.images}, {common} in common)"


def _paired(
    first: int, second: int, one: dict[tuple[str, str], bool], other: dict[tuple[str, str], bool]
) -> PairedTest:
    from xray_tui import metrics

    only_first = sum(right and not other[image] for image, right in one.items())
    only_second = sum(right and not one[image] for image, right in other.items())
    p = metrics.mcnemar(only_first, only_second)
    a, b = letter(first), letter(second)
    if p is None:
        words = f"{a} and {b} are right on the same images: nothing parts them."
        return PairedTest(first, second, only_first, only_second, None, words)
    better = a if only_first > only_second else b
    verdict = (
        f"{better} is better, and chance alone would rarely do that (McNemar, {_p(p)})."
        if p < _SURE
        else f"the difference may well be chance (McNemar, {_p(p)})."
    )
    images = "1 image" if only_first == 1 else f"{only_first} images"
    words = (
        f"{a} is right on {images} that {b} gets wrong, {b} on {only_second} that {a} gets wrong: {verdict}"
    )
    return PairedTest(first, second, only_first, only_second, p, words)


def _p(p: float) -> str:
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def _caveats(runs: list[ComparedRun], tests: int) -> list[str]:
    """What to keep in mind about the numbers."""
    notes = []
    for at, run in enumerate(runs):
        if run.live:
            notes.append(f"{letter(at)} is still running: this is its best epoch so far.")
    points = [f"{letter(at)} ({found})" for at, run in enumerate(runs) if (found := _own_point(run))]
    if points:
        notes.append(
            "Rates and tests are of the likeliest class, uncalibrated; the operating point of "
            f"{' and of '.join(points)} is left out."
        )
    positives = {run.record.positive for run in runs if run.best}
    if len(positives) > 1:
        notes.append(
            f"Sensitivity and specificity speak of different classes: {' and '.join(sorted(positives))}."
        )
    roots = {run.settings.get("data", {}).get("root") for run in runs if run.predictions}
    if tests and len(roots) > 1:
        notes.append(
            "The data folders are not the same: images of one name and class are taken for one image."
        )
    if tests > 1:
        notes.append(
            f"{tests} pairs were tested: of so many, one is easily below 0.05 by chance. "
            f"Below {_SURE / tests:.3f} it would be as rare as that in a single test."
        )
    kept = [run.predictions for run in runs if run.predictions]
    if any(found.patients < len(found.right) for found in kept):
        notes.append(
            "Some patients have several images. Intervals and tests take each image for another patient, "
            "so they are somewhat too sure."
        )
    recipe = [
        letter(at) for at, run in enumerate(runs) if run.settings.get("data", {}).get("split") == "recipe"
    ]
    if any(run.best for run in runs):
        folder = f" ({', '.join(recipe)}: {SELECTED_ON_TEST}, as published)" if recipe else ""
        notes.append(f"Each best epoch was chosen on these same images{folder}: the numbers are optimistic.")
    return notes


def _own_point(run: ComparedRun) -> str:
    """What a run calls by, where that is not the likeliest class as the network gave it."""
    point = run.record.point
    if point is None or not run.best:
        return ""
    words = [point.rule] if point.threshold is not None else []
    return ", ".join([*words, "calibrated"] if point.temperature is not None else words)


def to_markdown(comparison: Comparison) -> str:
    """The comparison as a person would send it to a colleague."""
    runs = comparison.runs
    letters = [letter(at) for at in range(len(runs))]
    lines = [f"# {', '.join(plain(run.name) for run in runs[:-1])} and {plain(runs[-1].name)}", ""]
    for name, run in zip(letters, runs, strict=True):
        folder = f", {code(run.directory.name)}" if run.name != run.directory.name else ""
        lines.append(f"* {name}: {plain(run.name)}{folder}")
    bests = [run.best for run in runs]
    rows = [
        ("best epoch", [str(best.epoch) if best else ABSENT for best in bests]),
        ("stage", [best.stage if best else ABSENT for best in bests]),
        ("images", [str(run.images) for run in runs]),
        ("positive", [plain(_positive(run)) for run in runs]),
        ("loss", [number(best.validation_loss if best else None, 4) for best in bests]),
        *((title, [_rate(run, rate) for run in runs]) for rate, title in _RATES),
    ]
    lines += ["", "## Validation at the best epoch", ""]
    lines += table(["", *letters], [[title, *cells] for title, cells in rows])
    lines += ["In brackets 95 % intervals: Wilson's; of AUC, DeLong's.", ""]
    lines += ["## Settings that differ", ""]
    if comparison.differences:
        lines += table(
            ["setting", *letters, ""],
            [
                [code(each.path), *map(plain, each.values), each.description]
                for each in comparison.differences
            ],
        )
    else:
        lines += ["None.", ""]
    if comparison.tests:
        lines += ["## Is the difference more than chance?", ""]
        lines += [f"* {test.words}" for test in comparison.tests] + [""]
    if comparison.notes:
        lines += ["## To keep in mind", "", *(f"* {plain(note)}" for note in comparison.notes), ""]
    return "\n".join(lines)


def to_tree(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain values, numbers exact."""
    return {
        "runs": [
            {
                "run": run.directory.name,
                "directory": str(run.directory.path),
                "name": run.name,
                "best_epoch": run.best.epoch if run.best else None,
                "images": run.images,
                "loss": run.best.validation_loss if run.best else None,
                **{rate: getattr(run.best, rate) if run.best else None for rate, _ in _RATES},
                "intervals": run.intervals,
            }
            for run in comparison.runs
        ],
        "differences": msgspec.to_builtins(comparison.differences),
        "tests": msgspec.to_builtins(comparison.tests),
        "notes": comparison.notes,
    }


def _positive(run: ComparedRun) -> str:
    classes = run.record.classes
    return positive_of(run.record.positive, classes) if classes else ABSENT


def _rate(run: ComparedRun, rate: str) -> str:
    value: float | None = getattr(run.best, rate) if run.best else None
    interval = run.intervals[rate]
    if rate == "auc":
        return number(value, 4) + (f" ({interval[0]:.4f} to {interval[1]:.4f})" if interval else "")
    return percent(value) + (f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})" if interval else "")

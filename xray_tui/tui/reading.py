"""The mistakes of one run as they are read: the list, and what the panes beside it show."""

import math
from collections.abc import Iterator
from pathlib import Path

from xray_tui.events import OperatingPoint
from xray_tui.runs.predictions import EpochPredictions, Images, KeptPredictions
from xray_tui.tui.panes.film import Case
from xray_tui.tui.panes.rates import RatesShown
from xray_tui.tui.panes.slider import Division
from xray_tui.tui.panes.threshold import Rule
from xray_tui.tui.panes.verdict import Verdict
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.worklist import Worklist
from xray_tui.words import count, harmless, probability

_MOST_EPOCHS = 400
"""Of longer runs so many epochs, evenly spread, tell how an image fared."""
_AT_ONCE = 16
"""Epochs read between two looks at the screen."""

_ENDS = {"lower": 0.0, "raise_": 1.0}
"""Thresholds from which these actions lead nowhere."""


class Reading:
    """
    Args:
        found: the epoch to begin with.
    """

    def __init__(self, run: ShownRun, kept: KeptPredictions, images: Images, found: EpochPredictions) -> None:
        self.run, self.kept = run, kept
        own = own_threshold(run.record.point, len(kept.classes))
        self.work = Worklist(images, kept.classes, positive_of(run), own)
        self.pixels: dict[str, tuple[int, int] | None] = {}
        """Width and height of the files measured so far; ``None`` of one that cannot be."""
        self.known_epochs = 0
        """Of how many epochs it is known what was wrong in them."""
        self.learning = False
        """Whether more of them are being read."""
        self.look_at(found)

    def look_at(self, found: EpochPredictions) -> None:
        """Another epoch."""
        self.found = found
        self.work.look_at(found)
        positive = self.work.images.actual == self.work.positive
        scores = found.probabilities[:, self.work.positive]
        self._scores = (scores[~positive], scores[positive])

    def take_point(self) -> None:
        """The operating point is chosen at a run's end, when one may have been reading for long."""
        self.work.take_own(own_threshold(self.run.record.point, len(self.kept.classes)))

    def epochs(self) -> list[int]:
        """The epochs that tell how an image fared: all that have ended, or a number of them evenly spread."""
        ended = [epoch.epoch for epoch in self.run.record.epochs]
        if len(ended) <= _MOST_EPOCHS:
            return ended
        last = len(ended) - 1
        places = {round(place * last / (_MOST_EPOCHS - 1)) for place in range(_MOST_EPOCHS)}
        return [ended[place] for place in sorted(places)]

    def lots(self) -> Iterator[list[int]]:
        """Those epochs in lots, to be learnt one after the other."""
        numbers = self.epochs()
        for start in range(0, len(numbers), _AT_ONCE):
            yield numbers[start : start + _AT_ONCE]

    def move_threshold(self, threshold: float | None) -> None:
        """Call the positive class from another probability on, in all epochs."""
        self.work.move_threshold(threshold)
        self.count_wrong()

    def count_wrong(self) -> None:
        """Take over what has been learnt of the epochs."""
        wrong, self.known_epochs = self.kept.times_wrong(self.epochs(), self.work.threshold)
        self.work.count_wrong(wrong)

    @property
    def path(self) -> str | None:
        """Of the radiograph that is looked at, relative to the data folder."""
        image = self.work.looked_at
        return None if image is None else self.work.images.paths[image]

    @property
    def file(self) -> Path | None:
        path, root = self.path, self.run.data_root
        return None if path is None or root is None else root / path

    def case(self) -> Case | None:
        if self.path is None:
            return None
        saved = tuple(checkpoint.t for checkpoint in self.run.record.checkpoints.values())
        return Case(self.path, self.file, self.found.epoch, saved, self.work.classes)

    def verdict(self) -> Verdict | None:
        work, image, path = self.work, self.work.looked_at, self.path
        if image is None or path is None:
            return None
        record, numbers = self.run.record, self.epochs()
        some = len(numbers) < len(record.epochs)
        return Verdict(
            path=path,
            patient=work.images.patients[image],
            classes=work.classes,
            actual=int(work.images.actual[image]),
            predicted=int(work.predicted[image]),
            probabilities=self.found.probabilities[image].tolist(),
            loss=float(self.found.losses[image]),
            fates=self.kept.fates(image, numbers, work.threshold),
            note="…" if self.learning else f"(of {count(len(record.epochs))})" if some else "",
            pixels=self.pixels.get(path),
            boundary=record.boundary,
            best=record.best.epoch if record.best else None,
            epoch=self.found.epoch,
        )

    def division(self) -> Division:
        work = self.work
        rest = work.classes[1 - work.positive] if len(work.classes) == 2 else "the rest"
        names = (rest, work.classes[work.positive])
        return Division(work.threshold, names, self._scores, work.best_threshold)

    def rates(self) -> RatesShown:
        work = self.work
        return RatesShown(work.rates, work.own_rates, work.classes, work.positive)

    def rule(self) -> Rule:
        work = self.work
        since = "from p ≥ 0.50" if len(work.classes) == 2 else "where it is the likeliest"
        if work.threshold is not None:
            since = f"from p ≥ {probability(work.threshold)}"
        positive = harmless(work.classes[work.positive])
        return Rule(positive, since, self._own_rule(), moved=work.threshold != work.own)

    def _own_rule(self) -> str:
        point, own = self.run.record.point, self.work.own
        if point is None or point.threshold is None:
            two = len(self.work.classes) == 2
            return "own numbers are at 0.5" if two else "own numbers take the likeliest class"
        if own is None:
            return "operating point is of calibrated probabilities, which these are not"
        if point.temperature is None:
            return f"operating point is {probability(own)}"
        return f"operating point is {probability(point.threshold)}, calibrated: {probability(own)} here"

    def why_not(self, action: str) -> str:
        """Why an action makes no sense on it; empty where it does."""
        if action == "heat" and self.path is None:
            return "No radiograph is in sight."
        if action == "export" and not self.work.listed_mistakes.size:
            return "No mistake is listed: there is nothing to write."
        if action in _ENDS and self.work.threshold == _ENDS[action]:
            return "The threshold is at its end."
        if action == "reset" and self.work.threshold == self.work.own:
            return "The threshold is where the run has it."
        return ""


def own_threshold(point: OperatingPoint | None, classes: int) -> float | None:
    """The threshold of an operating point for probabilities that are not calibrated, as those of epochs.

    ``None`` where there is none, and with more than two classes where it is of calibrated ones: then no one
    threshold is the same.
    """
    if point is None or point.threshold is None or point.temperature is None:
        return point.threshold if point else None
    if classes > 2:
        return None
    if not 0 < point.threshold < 1:
        return point.threshold
    logit = point.temperature * math.log(point.threshold / (1 - point.threshold))
    # A little less: the image that it was taken from is called, however the powers are rounded.
    return (1 - 1e-5) / (1 + math.exp(-max(-700.0, logit)))


def positive_of(run: ShownRun) -> int:
    """The class that the run calls positive; the last by name where it does not say."""
    started = run.record.started
    name = started.settings.get("data", {}).get("positive") if started else None
    classes = run.record.classes
    return classes.index(name) if name in classes else len(classes) - 1


def in_place_of_mistakes(run: ShownRun | None) -> tuple[str, str]:
    """What to say where there is nothing to read, and what to do about it."""
    if run is None:
        return (
            "Every validation image that the network gets wrong stands here, the worst first: "
            "its radiograph, where the network looked in it (Grad-CAM), and how it fared over all epochs. "
            "A threshold to try out moves them all.",
            "{train} and then {start} starts a run; {history} lists the earlier ones.",
        )
    if run.looked_at is not None:
        return (
            "This run kept no predictions.",
            "The worst mistakes of its journal stand on the Train tab: {train}.",
        )
    if run.live:
        return "Images that the network gets wrong appear here when the first epoch has ended.", ""
    return "No epoch of this run has ended: there are no mistakes to read.", ""

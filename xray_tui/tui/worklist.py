"""The mistakes of one epoch as a person wants to see them: threshold, direction, filter, order."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xray_tui import metrics
from xray_tui.metrics import Rates
from xray_tui.runs.predictions import EpochPredictions, Images
from xray_tui.tui.image_filter import EVERYTHING, Facts, ImageFilter

Direction = Literal["all", "missed", "alarms"]
"""All mistakes, only false negatives, only false positives."""
Order = Literal["loss", "confidence", "name", "wrong"]

Listed = tuple[str, str, str, float, float, str]
"""A mistake: path, actual class, predicted class, its probability, loss, patient."""

DIRECTIONS: tuple[Direction, ...] = ("all", "missed", "alarms")
ORDERS: tuple[Order, ...] = ("loss", "confidence", "name", "wrong")
_RISING: tuple[Order, ...] = ("name",)
"""What begins with its least; of everything else the most stands first."""


class Worklist:
    """Numbers only; whoever changes something reads the fields again.

    The image that is looked at stays where it is when epoch or threshold change, and stays in the list
    even if it is right now: it is what the person compares.

    Args:
        classes: by name.
        positive: the class that the threshold is of.
        own: the run's own threshold; ``None`` where it calls the likeliest class.
    """

    def __init__(
        self, images: Images, classes: Sequence[str], positive: int, own: float | None = None
    ) -> None:
        self.images = images
        self.classes = list(classes)
        self.positive = positive
        self.own = own
        self.threshold = own
        """``None`` calls the likeliest class."""
        self.direction: Direction = "all"
        self.filter: ImageFilter = EVERYTHING
        self.order: Order = "loss"
        self.turned = False
        """Sorted the other way round."""
        self.looked_at: int | None = None
        """The number of the image under the cursor."""
        self.found: EpochPredictions | None = None
        self.predicted: NDArray[np.int64] = np.zeros(0, np.int64)
        """At the threshold, (N,), as :func:`metrics.predicted_at` has it."""
        self.listed: NDArray[np.int64] = np.zeros(0, np.int64)
        """Image numbers, in the order of the list."""
        self.rates = Rates(None, None, None, [])
        """At the threshold."""
        self.own_rates = self.rates
        """Of the run's own rule."""
        self.best_threshold: float | None = None
        """Youden's."""
        self.mistakes = 0
        """At the threshold, whatever direction and filter."""
        self.uncalled = 0
        """Images whose probabilities are no numbers: they are neither right nor wrong."""
        self._names = [PurePosixPath(path).name.lower() for path in images.paths]
        self._rank = np.empty(len(images), np.int64)
        self._rank[np.argsort(np.array(self._names, np.str_), kind="stable")] = np.arange(len(images))
        self._wrong = np.zeros(len(images), np.int64)

    def look_at(self, found: EpochPredictions) -> None:
        """Another epoch."""
        self.found = found
        self.own_rates = self._rate(metrics.predicted_at(found.probabilities, self.positive, self.own))
        scores, actual = found.probabilities[:, self.positive], self.images.actual
        self.best_threshold = metrics.youden(scores, actual == self.positive)
        self.move_threshold(self.threshold)

    def move_threshold(self, threshold: float | None) -> None:
        """Call the positive class from another probability on."""
        self.threshold = threshold
        if self.found is not None:
            self.predicted = metrics.predicted_at(self.found.probabilities, self.positive, threshold)
            self.rates = self.own_rates if threshold == self.own else self._rate(self.predicted)
            self._list(keep=True)

    def take_own(self, own: float | None) -> None:
        """The run has chosen another threshold; the list goes along, unless a person has moved its own."""
        if own == self.own or self.found is None:
            return
        if self.threshold == self.own:
            self.threshold = own
        self.own = own
        self.look_at(self.found)

    def show_direction(self, direction: Direction) -> None:
        self.direction = direction
        self._list()

    def show_filter(self, wanted: ImageFilter) -> None:
        self.filter = wanted
        self._list()

    def sort(self, order: Order, *, turned: bool = False) -> None:
        self.order, self.turned = order, turned
        self._list(keep=True)

    def count_wrong(self, wrong: NDArray[np.int64]) -> None:
        """In how many epochs each image was wrong, (N,)."""
        self._wrong = wrong
        if self.order == "wrong" or "wrong" in self.filter.words:
            self._list(keep=True)

    @property
    def falling(self) -> bool:
        """Whether the list goes from most to least."""
        return (self.order not in _RISING) != self.turned

    @property
    def place(self) -> int | None:
        """Where the image that is looked at stands in the list."""
        if self.looked_at is None:
            return None
        places = np.flatnonzero(self.listed == self.looked_at)
        return int(places[0]) if places.size else None

    @property
    def listed_mistakes(self) -> NDArray[np.int64]:
        """The list without an image that is right."""
        wrong = self.predicted[self.listed] != self.images.actual[self.listed]
        mistakes: NDArray[np.int64] = self.listed[wrong]
        return mistakes

    def probability(self, image: int) -> float:
        """Of the predicted class."""
        assert self.found is not None
        return float(self.found.probabilities[image, self.predicted[image]])

    def times_wrong(self, image: int) -> int:
        return int(self._wrong[image])

    def table(self) -> Iterator[Listed]:
        """The listed mistakes."""
        assert self.found is not None
        for image in self.listed_mistakes.tolist():
            yield (
                self.images.paths[image],
                self.classes[self.images.actual[image]],
                self.classes[self.predicted[image]],
                self.probability(image),
                float(self.found.losses[image]),
                self.images.patients[image],
            )

    def _rate(self, predicted: NDArray[np.int64]) -> Rates:
        return metrics.rate(predicted, self.images.actual, self.positive, len(self.classes))

    def _list(self, *, keep: bool = False) -> None:
        """Anew: what is wrong, of that what is wanted, in order.

        Args:
            keep: the image that is looked at stays in the list if the filter lets it.
        """
        if self.found is None:
            return
        actual, predicted = self.images.actual, self.predicted
        called = predicted != metrics.UNCALLED
        self.uncalled = int((~called).sum())
        wrong = called & (predicted != actual)
        self.mistakes = int(wrong.sum())
        if self.direction == "missed":
            wrong &= actual == self.positive
        elif self.direction == "alarms":
            wrong &= predicted == self.positive
        if keep and self.looked_at is not None:
            wrong[self.looked_at] = called[self.looked_at]
        chosen = np.flatnonzero(wrong)
        if self.filter.words:
            chosen = chosen[self.filter.matches(self._facts(chosen))]
        self.listed = chosen[self._sorted(chosen)]
        if self.place is None:
            self.looked_at = int(self.listed[0]) if self.listed.size else None

    def _facts(self, chosen: NDArray[np.int64]) -> Facts:
        assert self.found is not None
        said = self.predicted[chosen]
        return Facts(
            names=[self._names[image] for image in chosen],
            classes=[name.lower() for name in self.classes],
            actual=self.images.actual[chosen],
            said=said,
            numbers={
                # Rounded, for a float32 of 0.9 is less than 0.9.
                "p": self.found.probabilities[chosen, said].astype(np.float64).round(6),
                "loss": self.found.losses[chosen].astype(np.float64),
                "wrong": self._wrong[chosen].astype(np.float64),
            },
        )

    def _sorted(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """The order of some images; equal ones stand by name."""
        assert self.found is not None
        keys: dict[Order, NDArray[np.float64]] = {
            # A loss that is not a number counts as the worst.
            "loss": np.nan_to_num(self.found.losses[chosen].astype(np.float64), nan=np.inf),
            "confidence": self.found.probabilities[chosen, self.predicted[chosen]].astype(np.float64),
            "name": self._rank[chosen].astype(np.float64),
            "wrong": self._wrong[chosen].astype(np.float64),
        }
        key = keys[self.order]
        order: NDArray[np.int64] = np.lexsort((self._rank[chosen], -key if self.falling else key))
        return order

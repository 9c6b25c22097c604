"""The filter of the Mistakes tab: which images a person wants to see, in a line of words."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xray_tui.errors import UserError

EXAMPLES = ("person12", "p>=0.9", "loss>2", "wrong>=5", "said:normal", "!virus", "a | b")

Mask = NDArray[np.bool_]

_TERM = re.compile(r'(?P<no>!?)(?:(?P<field>\w+)(?P<sign>>=|<=|>|<|=|:))?(?P<value>"[^"]*"|[^\s|]*)')
_SIGNS: dict[str, Callable[[NDArray[np.float64], float], Mask]] = {
    ">=": np.greater_equal,
    "<=": np.less_equal,
    ">": np.greater,
    "<": np.less,
    "=": np.equal,
}
_NUMBERS = ("p", "loss", "wrong")
_CLASSES = ("actual", "said")


@dataclass(frozen=True)
class Facts:
    """What the filter asks about N images."""

    names: Sequence[str]
    """File names in lower case."""
    classes: Sequence[str]
    """In lower case."""
    actual: NDArray[np.int64]
    """Class numbers, (N,)"""
    said: NDArray[np.int64]
    """The predicted classes, likewise."""
    numbers: Mapping[str, NDArray[np.float64]]
    """``p`` of the predicted class, ``loss``, and ``wrong``: epochs in which the image was. (N,) each."""


_Test = Callable[[Facts], Mask]


@dataclass(frozen=True)
class ImageFilter:
    """Words that all must hold; ``|`` between two lots of them takes either."""

    words: str
    _either: Sequence[Sequence[_Test]]

    def matches(self, facts: Facts) -> Mask:
        """Which of the images match, (N,)."""
        size = len(facts.names)
        if not self._either:
            return np.ones(size, np.bool_)
        found = np.zeros(size, np.bool_)
        for every in self._either:
            lot = np.ones(size, np.bool_)
            for test in every:
                lot &= test(facts)
            found |= lot
        return found


EVERYTHING = ImageFilter("", ())


def parse(words: str) -> ImageFilter:
    """The filter that some words mean; no words mean every image.

    Words are found in the file name or in the name of the actual or the predicted class, whatever their
    case. ``p``, ``loss`` and ``wrong`` compare, ``actual:`` and ``said:`` name a class, ``!`` turns a
    word round.

    Raises:
        UserError: a comparison is not one; says which.
    """
    lots = [_terms(part) for part in words.split("|")]
    return ImageFilter(words.strip(), [lot for lot in lots if lot])


def _terms(words: str) -> list[_Test]:
    tests, at = [], 0
    while at < len(words):
        if words[at].isspace():
            at += 1
            continue
        match = _TERM.match(words, at)
        assert match is not None  # every part of it may be empty
        test = _test(match[0], match["field"], match["sign"], match["value"].strip('"').lower())
        if test is not None:
            tests.append(_not(test) if match["no"] else test)
        at = match.end()
    return tests


def _test(term: str, field: str | None, sign: str | None, value: str) -> _Test | None:
    """What a term asks; ``None`` while nothing has been typed to ask for."""
    if field is None or sign is None:
        return _word(value) if value else None
    field = field.lower()
    if sign == ":":
        if field not in _CLASSES:
            raise UserError(f"{field}: is not known; actual: and said: name a class")
        return _class(field, value) if value else None
    if field not in _NUMBERS:
        raise UserError(f"{term}: only p, loss and wrong compare")
    if not value:
        return None
    try:
        number = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    except ValueError:
        raise UserError(f"{term}: {value} is not a number") from None
    compare = _SIGNS[sign]
    return lambda facts: compare(facts.numbers[field], number)


def _word(word: str) -> _Test:
    def test(facts: Facts) -> Mask:
        of_class = np.array([word in name for name in facts.classes], np.bool_)
        in_name = np.fromiter((word in name for name in facts.names), np.bool_, len(facts.names))
        return in_name | of_class[facts.actual] | of_class[facts.said]

    return test


def _class(field: str, word: str) -> _Test:
    def test(facts: Facts) -> Mask:
        of_class = np.array([word in name for name in facts.classes], np.bool_)
        return of_class[facts.actual if field == "actual" else facts.said]

    return test


def _not(test: _Test) -> _Test:
    return lambda facts: ~test(facts)

"""The run filter: which runs a person wants to see, in a line of words.

    acc>=88% cfg.backbone:resnet name:"night run" stage:unfrozen has:note

Words side by side must all hold, ``|`` is or (and binds less), ``!`` is not, parentheses group. A bare word
is looked for in what a run is called. What the fields are and how each compares: see ``runs/fields.py``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from xray_tui.errors import UserError
from xray_tui.runs.fields import FIELDS as FIELDS
from xray_tui.runs.fields import Test, comparison, contains
from xray_tui.runs.index import Summary

_DEEPEST = 20
"""Parentheses within parentheses; more is no filter of a person."""

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_BARE = r'[^\s"()|]'
_TOKEN = re.compile(
    rf"(?P<space>\s+)"
    rf"|(?P<mark>[()|!])"
    # A field is a name right before an operator; cfg.frozen-epochs is one too.
    rf"|(?P<field>[^\W\d][\w.-]*)(?P<operator>>=|<=|!=|[:=<>])(?P<value>{_QUOTED}|{_BARE}+)?"
    rf"|(?P<word>{_QUOTED}|{_BARE}+)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Filter:
    text: str
    _test: Test

    def matches(self, summary: Summary) -> bool:
        return self._test(summary)


def parse(text: str) -> Filter:
    """The filter that a text means; an empty text means every run.

    Raises:
        UserError: the text means nothing; says what and where.
    """
    return Filter(text, _Parser(text).whole())


@dataclass(frozen=True)
class _Token:
    at: int
    mark: str = ""
    test: Test | None = None


class _Parser:
    """Recursive descent; only parentheses recurse."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next = 0
        self._length = len(text)

    def whole(self) -> Test:
        if not self._tokens:
            return lambda _: True
        test = self._any(0)
        if self._next < len(self._tokens):
            raise _wrong(self._tokens[self._next].at, "this ) closes nothing", 'quote it to look for it: ")"')
        return test

    def _any(self, depth: int) -> Test:
        """Alternatives, to the end or to a closing parenthesis."""
        found = [self._all(depth)]
        while self._mark == "|":
            self._next += 1
            found.append(self._all(depth))
        return found[0] if len(found) == 1 else _either(found)

    def _all(self, depth: int) -> Test:
        """Words side by side."""
        found = []
        while self._next < len(self._tokens) and self._mark not in ("|", ")"):
            found.append(self._one(depth))
        if not found:
            at = self._tokens[self._next].at if self._next < len(self._tokens) else self._length
            raise _wrong(at, "a word is missing", "| and ( ) want something to look for")
        return found[0] if len(found) == 1 else _both(found)

    def _one(self, depth: int) -> Test:
        turned = False
        token = self._tokens[self._next]
        while self._mark == "!":
            turned = not turned
            self._next += 1
        if self._next == len(self._tokens) or self._mark in ("|", ")"):
            raise _wrong(token.at, "a word is missing after !", "such as !status:failed")
        token = self._tokens[self._next]
        self._next += 1
        if token.test is not None:
            test = token.test
        elif depth == _DEEPEST:
            raise _wrong(token.at, f"more than {_DEEPEST} parentheses within each other")
        else:
            test = self._any(depth + 1)
            if self._mark != ")":
                raise _wrong(token.at, "this ( is never closed", 'quote it to look for it: "("')
            self._next += 1
        return _not(test) if turned else test

    @property
    def _mark(self) -> str:
        return self._tokens[self._next].mark if self._next < len(self._tokens) else ""


def _tokens(text: str) -> list[_Token]:
    found = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:  # nothing but a quotation mark that opens and never closes is no token
            raise _wrong(at, "this quotation mark is never closed", 'a " within quotes is written \\"')
        try:
            if match["mark"]:
                found.append(_Token(at, match["mark"]))
            elif match["field"]:
                value = match["value"]
                test = comparison(match["field"], match["operator"], None if value is None else _plain(value))
                found.append(_Token(at, test=test))
            elif match["word"]:
                found.append(_Token(at, test=_word(_plain(match["word"]))))
        except UserError as error:
            raise _wrong(at, error.message, error.hint) from None
        at = match.end()
    return found


def _plain(word: str) -> str:
    """What stands in the quotes, or the word as it is."""
    return re.sub(r"\\(.)", r"\1", word[1:-1], flags=re.DOTALL) if word.startswith('"') else word


def _word(word: str) -> Test:
    def test(summary: Summary) -> bool:
        places = (summary.name, summary.note, summary.backbone, summary.status, summary.directory.name)
        return any(contains(place, word) for place in places)

    return test


def _either(tests: list[Test]) -> Test:
    return lambda summary: any(test(summary) for test in tests)


def _both(tests: list[Test]) -> Test:
    return lambda summary: all(test(summary) for test in tests)


def _not(test: Callable[[Summary], bool]) -> Test:
    return lambda summary: not test(summary)


def _wrong(at: int, message: str, hint: str = "") -> UserError:
    return UserError(f"filter, character {at + 1}: {message}", hint)

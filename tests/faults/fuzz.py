"""Fuzzing of every parser: ``python -m tests.faults.fuzz --seconds 60 [target ...]``.

Valid inputs are damaged, and others are made from the words of a grammar, by hypothesis, which also finds
the smallest input that still does it. What the parsers may do about one stands in ``fuzz_targets.py``.
Prints a table; exits with 1 where anything failed, with the smallest input in a file for the corpus.
"""

import argparse
import contextlib
import hashlib
import io
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, Phase

from tests.faults.fuzz_targets import Target, check_told, targets

CORPUS = Path(__file__).parent / "corpus"
_ROUND = 150
_SLOW_SECONDS = 10.0
"""For one input, on a busy machine."""
_MOST_FAILURES = 3
"""Of one target, after which it is left."""


@dataclass
class Outcome:
    tried: int = 0
    refused: int = 0
    """Inputs of which the parser said, in words, that they are none."""
    seconds: float = 0.0
    failures: dict[str, bytes] = field(default_factory=dict)
    """The smallest input by what it does."""


def attempt(target: Target, content: bytes, folder: Path) -> bool:
    """Give an input to a parser. Whether it was taken; raises where anything else comes of it."""
    said = io.StringIO()
    begun = time.perf_counter()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            target.read(content, folder)
            taken = True
        except target.allowed as error:
            check_told(error)
            taken = False
    seconds = time.perf_counter() - begun
    assert not said.getvalue(), f"it said {said.getvalue()[:200]!r}"
    assert seconds < _SLOW_SECONDS, f"it took {seconds:.0f} seconds"
    return taken


def fuzz(target: Target, seconds: float, *, rounds: int | None = None, examples: int = _ROUND) -> Outcome:
    """Give inputs to a parser, until the time is over or so many rounds are done; each is another seed."""
    outcome, begun, number = Outcome(), time.perf_counter(), 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        while len(outcome.failures) < _MOST_FAILURES:
            passed = time.perf_counter() - begun
            if passed >= seconds or (rounds is not None and number >= rounds):
                break
            _round(target, folder, outcome, number, examples, begun + seconds)
            number += 1
    outcome.seconds = time.perf_counter() - begun
    return outcome


def _round(
    target: Target, folder: Path, outcome: Outcome, number: int, examples: int, deadline: float
) -> None:
    last: list[bytes] = []

    @hypothesis.seed(number)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=False,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
    )
    @hypothesis.given(target.inputs)
    def test(content: bytes) -> None:
        if time.perf_counter() > deadline and not last:
            return
        outcome.tried += 1
        try:
            outcome.refused += not attempt(target, content, folder)
        except BaseException:
            last[:] = [content]
            raise

    try:
        test()
    except Exception as error:
        kind = _kind(error)
        if kind in outcome.failures:
            outcome.failures[kind] = min(outcome.failures[kind], last[0], key=len)
        else:
            outcome.failures[kind] = last[0]


def _kind(error: BaseException) -> str:
    """What went wrong, and where in the program."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "xray_tui" in frame.filename] or list(frames)
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
    return f"{type(error).__name__} at {place}: {str(error).splitlines()[0][:100] if str(error) else ''}"


def main(words: Iterable[str]) -> int:
    known = targets()
    parser = argparse.ArgumentParser(description="Fuzz the parsers.")
    parser.add_argument("target", nargs="*", help=f"which (default: all): {', '.join(known)}")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--out", type=Path, default=CORPUS, help="where inputs that fail are put")
    given = parser.parse_args(list(words))
    if unknown := [name for name in given.target if name not in known]:
        parser.error(f"no target {unknown[0]}")
    failed = False
    print(f"{'target':<12} {'inputs':>8} {'refused':>8} {'seconds':>8} {'failures':>9}")
    for name in given.target or known:
        outcome = fuzz(known[name], given.seconds)
        counts = f"{outcome.tried:>8,} {outcome.refused:>8,} {outcome.seconds:>8.0f}"
        print(f"{name:<12} {counts} {len(outcome.failures):>9}", flush=True)
        for kind, content in outcome.failures.items():
            failed = True
            file = given.out / name / hashlib.blake2b(content, digest_size=6).hexdigest()
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            print(f"    {kind}\n    {file}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

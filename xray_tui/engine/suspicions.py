"""What a person should know before trusting a run's numbers, as warnings: told once, where it is known."""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import replace

from xray_tui.data import findings, leakage
from xray_tui.data.findings import Finding, Survey
from xray_tui.data.pixels import Pixels
from xray_tui.data.splits import Roles
from xray_tui.engine.plan import Plan
from xray_tui.events import Warning

_KINDS = {"patients": "leakage", "shift": "prior_shift"}
"""The others are copies."""
_MOST_GROUPS = 1000
_WELL = {"normal", "healthy", "negative", "nofinding", "nofindings"}
"""What a class without the finding is called, in letters alone."""


def at_start(plan: Plan, train: Pixels, validation: Pixels) -> Iterator[Warning]:
    """Of train and validation; of test no more than how many images its classes have."""
    yield from _of_positive(plan)
    without_test = replace(plan.roles, train=train.files, validation=validation.files, test=[])
    yield from _told(leakage.between(_survey(plan, without_test), train, validation))
    yield from _told(findings.shift(_survey(plan, plan.roles), {}))


def at_end(plan: Plan, held: tuple[Pixels, Pixels] | None, test: Pixels) -> Iterator[Warning]:
    """Of test, which has been unsealed; the rest has been told.

    Args:
        held: train and validation; ``None`` where their pixels are not at hand: no copies are looked for.
    """
    roles, train, others = plan.roles, None, [test]
    if held is not None:
        train, validation = held
        roles, others = replace(roles, train=train.files, validation=validation.files), [validation, test]
    survey = _survey(plan, replace(roles, test=test.files))
    yield from _told(leakage.between(survey, train, *others, of=test))


def _of_positive(plan: Plan) -> Iterator[Warning]:
    classes, positive = plan.listing.classes, plan.settings.data.positive
    if not plan.positive_was_named and "".join(filter(str.isalpha, positive)).casefold() in _WELL:
        yield Warning(
            kind="positive",
            message=f"The positive class is {positive}, the last by name: sensitivity says how many of these "
            f"are found. Use --positive to name another class, such as --positive {shlex.quote(classes[0])}.",
        )


def _survey(plan: Plan, roles: Roles) -> Survey:
    return Survey(plan.listing, roles, plan.settings, plan.names)


def _told(found: Iterable[Finding]) -> Iterator[Warning]:
    for finding in found:
        kind = _KINDS.get(finding.kind, "duplicates")
        # A patient's files are many, copies are few.
        named = [g.name if kind == "leakage" else " = ".join(g.files) for g in finding.groups[:_MOST_GROUPS]]
        yield Warning(kind=kind, message=f"{finding.title}. {finding.means}", paths=named)

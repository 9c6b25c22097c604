"""What a person should know before trusting a run's numbers, as warnings: told once, where it is known."""

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


def at_start(plan: Plan, train: Pixels, validation: Pixels) -> Iterator[Warning]:
    """Of train and validation; of test no more than how many images its classes have."""
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


def _survey(plan: Plan, roles: Roles) -> Survey:
    return Survey(plan.listing, roles, plan.settings, plan.names)


def _told(found: Iterable[Finding]) -> Iterator[Warning]:
    for finding in found:
        kind = _KINDS.get(finding.kind, "duplicates")
        # A patient's files are many, copies are few.
        named = [g.name if kind == "leakage" else " = ".join(g.files) for g in finding.groups[:_MOST_GROUPS]]
        yield Warning(kind=kind, message=f"{finding.title}. {finding.means}", paths=named)

"""What a study has found, for a person, a program, and the next run."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.files import replace_bytes
from xray_tui.settings import Settings
from xray_tui.sweep.space import Metric
from xray_tui.sweep.study import Study, Tried, TriedState
from xray_tui.words import number

_ITS_OWN = ("run", "hardware")
"""Sections that say nothing of what was found."""


@dataclass(frozen=True)
class Findings:
    study: str
    metric: Metric
    tried: list[Tried]
    """In the order in which they were begun."""
    ranked: list[Tried]
    """Those that finished, the best first."""
    importance: dict[str, float] | str
    """By setting, the largest first; or why there is none."""
    selected_on_test: bool
    """The folder test validates, as published."""
    configuration: Path | None
    """The best one as a file for ``train --config``; ``None`` where none finished."""

    @property
    def best(self) -> Tried | None:
        return self.ranked[0] if self.ranked else None

    def count(self, state: TriedState) -> int:
        return sum(one.state == state for one in self.tried)

    @property
    def counts(self) -> str:
        """How many configurations were tried, in words."""
        tried = f"{len(self.tried)} {'configuration' if len(self.tried) == 1 else 'configurations'} tried"
        states: list[tuple[TriedState, str]] = [
            ("finished", "finished"),
            ("pruned", "pruned"),
            ("failed", "failed"),
            ("running", "under way"),
        ]
        parts = [f"{count} {words}" for state, words in states if (count := self.count(state))]
        return f"{tried}: {', '.join(parts)}" if parts else tried

    def to_tree(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "study": self.study,
            "metric": self.metric.name,
            "direction": self.metric.direction,
            "tried": len(self.tried),
            **{state: self.count(state) for state in ("finished", "pruned", "failed", "running")},
            "selected_on_test": self.selected_on_test,
            "best": asdict(self.best) if self.best else None,
            "trials": [asdict(one) for one in self.tried],
            "importance": None if isinstance(self.importance, str) else self.importance,
            "configuration": str(self.configuration) if self.configuration else None,
        }


def sum_up(study: Study, settings: Settings) -> Findings:
    """What the study has come to; writes the best configuration beside it.

    Args:
        settings: what the person asked for: a run with the best configuration looks at test if that says so.

    Raises:
        UserError: the study cannot be read, or the configuration not be written.
    """
    tried = study.tried()
    ranked = study.ranked(tried)
    file = study.database.with_suffix(".toml") if ranked else None
    on_test = study.settings.data.split == "recipe"
    found = Findings(study.name, study.metric, tried, ranked, study.importance(), on_test, file)
    if file is not None:
        try:
            replace_bytes(file, to_toml(found, study.settings, settings).encode())
        except OSError as error:
            raise UserError(f"cannot write {file}: {error.strerror}") from None
    return found


def to_toml(found: Findings, common: Settings, asked: Settings) -> str:
    """The best configuration, with where it comes from as a comment.

    Args:
        common: what the trials had in common.
        asked: gives back what only trials are denied.
    """
    best = found.best
    assert best is not None
    changes = {**best.params, "evaluation.unseal": asked.evaluation.unseal}
    tree = config.to_tree(config.replace(common, changes))
    kept = {name: value for name, value in tree.items() if name not in _ITS_OWN}
    comment = (
        f"# Trial {best.number} of the study {found.study}, the best of {len(found.tried)} tried: "
        f"validation {found.metric.words} {number(best.value, 4)}.\n# Its run: {best.run}\n\n"
    )
    return comment + msgspec.toml.encode(kept).decode()

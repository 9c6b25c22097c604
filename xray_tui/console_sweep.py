"""A sweep without a screen: progress on standard error, its findings on standard output."""

from collections.abc import Mapping

from rich.table import Table

from xray_tui import events
from xray_tui.console import Bar, warning_line
from xray_tui.events import PRUNER, Event, Warning
from xray_tui.printing import results_console
from xray_tui.sweep.findings import Findings
from xray_tui.sweep.space import Metric, Value
from xray_tui.sweep.study import Tried
from xray_tui.words import ABSENT, SELECTED_ON_TEST, duration, harmless, number

_SHOWN = 5
"""Trials beside each other: more do not fit a terminal of 80 columns."""


_TRIALS_A_SETTING = 5
"""With fewer, much importance goes to noise. Measured with one setting that explains half of the variance and
eight without effect, mean of six: these were given 63 % of it after 11 trials, 36 % after 20, 24 % after 45.
"""


class SweepReporter:
    """Told of a sweep as it goes on.

    Args:
        trials: that there are to be.
    """

    def __init__(self, metric: Metric, trials: int) -> None:
        self._metric = metric
        self._trials = trials
        self._trial = 0
        self._bar = Bar()

    def __enter__(self) -> "SweepReporter":
        self._bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.__exit__()

    def began(self, trial: int, params: Mapping[str, Value], *, resumed: bool) -> None:
        self._trial = trial
        chosen = ", ".join(f"{_short(path)} {shown(value)}" for path, value in params.items())
        how = "gone on with" if resumed else f"{trial + 1} of {self._trials}"
        self._bar.say(f"trial {trial} ({how}): {chosen}")

    def took(self, event: Event) -> None:
        match event:
            case events.Progress():
                self._bar.show(event, f"trial {self._trial}, ")
            case Warning():
                self._bar.print(warning_line(event))

    def ended(self, tried: Tried, best: Tried | None, seconds: float | None) -> None:
        metric = self._metric.words
        match tried.state:
            case "finished":
                came = f"{metric} {number(tried.value, 4)} in epoch {tried.epoch}"
            case "pruned":
                came = f"pruned: {tried.why.removeprefix(f'stopped by {PRUNER}: ')}"
            case _:
                came = f"{tried.state}: {tried.why}"
        so_far = f"; best so far trial {best.number} with {number(best.value, 4)}" if best else ""
        self._bar.say(f"trial {tried.number}: {came}, after {duration(seconds)}{so_far}")


def print_findings(found: Findings) -> None:
    """The best trials beside each other, what mattered, how many were tried, where the best one is kept."""
    out = results_console(markup=False)
    if found.ranked:
        out.print(_best_table(found))
        if found.selected_on_test:
            out.print(f"{SELECTED_ON_TEST}: validation is the folder test, as published")
        out.print()
        if isinstance(found.importance, str):
            out.print(f"importance of the settings: {found.importance}")
        else:
            out.print(_importance_table(found.importance, found.metric))
            finished = len(found.ranked)
            if finished < _TRIALS_A_SETTING * len(found.importance):
                out.print(f"of {finished} finished trials: some of this is chance")
        out.print()
    print(found.counts)
    if found.best and found.configuration:
        print(
            f"trial {found.best.number} is the best of {len(found.tried)} on the very images that chose it: "
            "others will rate it lower"
        )
        print(f"best configuration: {harmless(str(found.configuration))}")


def _best_table(found: Findings) -> Table:
    best = found.ranked[:_SHOWN]
    table = Table("", *(f"trial {one.number}" for one in best), box=None, pad_edge=False)
    table.add_row(f"validation {found.metric.words}", *(number(one.value, 4) for one in best))
    table.add_row("best epoch", *(str(one.epoch) for one in best))
    for path in found.ranked[0].params:
        cells = [shown(one.params[path]) if path in one.params else ABSENT for one in best]
        table.add_row(_short(path), *map(harmless, cells))
    return table


def _importance_table(importance: Mapping[str, float], metric: Metric) -> Table:
    table = Table("setting", f"part of the variance of {metric.words}", box=None, pad_edge=False)
    for path, part in importance.items():
        table.add_row(_short(path), f"{100 * part:.0f} %")
    return table


def shown(value: Value) -> str:
    """A setting's value, to three digits."""
    return (
        f"{value:.3g}"
        if isinstance(value, float)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )


def _short(path: str) -> str:
    return path.removeprefix("training.")

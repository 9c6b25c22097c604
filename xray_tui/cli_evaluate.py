"""``xray-tui evaluate``: a run on test."""

import signal
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from xray_tui.cli_headless import signals
from xray_tui.cli_options import RUNS, RunsDir
from xray_tui.errors import UserError
from xray_tui.talking import talk

if TYPE_CHECKING:
    from xray_tui.runs.directory import RunDirectory

EPILOGUE = """Examples:
  xray-tui evaluate                   the newest run
  xray-tui evaluate 20261124 --json | jq .intervals.auc
  xray-tui evaluate 20261124 --operating-point sensitivity:0.95

A run that has evaluated test already kept what it predicted: that is read, and
test is not looked at again. Else test is unsealed, which is counted.
"""


def evaluate(
    run: str | None = None,
    /,
    *,
    operating_point: Annotated[
        str,
        Parameter(
            help="rule to choose the operating point anew, on validation: likeliest, youden, "
            "sensitivity:X or specificity:X (default: as the run chose it)"
        ),
    ] = "",
    json: Annotated[bool, Parameter(negative=())] = False,
    runs_dir: RunsDir = RUNS,
) -> int:
    """A run's metrics on test, with 95 % intervals.

    Args:
        run: what the run is called, its folder, or how that begins (default: the newest).
        json: as one JSON object, rates as fractions.
    """
    from xray_tui import config, console_evaluation
    from xray_tui.runs.evaluated import evaluated, has_kept_test
    from xray_tui.runs.follow import read
    from xray_tui.runs.index import find
    from xray_tui.runs.record import RunRecord

    if operating_point:
        config.load({"evaluation.operating_point": operating_point})  # what is wrong is told before all else
    directory = find(runs_dir, run)
    record = RunRecord.of(read(directory))
    if not has_kept_test(directory, record):
        if code := _unseal(directory):
            return code
        record = RunRecord.of(read(directory))
        if record.test is None or record.test.skipped:
            why = record.test.skipped if record.test else "nothing says why"
            raise UserError(f"{directory.name} cannot be evaluated: {why}")
    found = evaluated(directory, record, operating_point)
    if json:
        console_evaluation.print_json(found)
    else:
        console_evaluation.print_evaluated(found)
    return 0


def _unseal(directory: "RunDirectory") -> int:
    """Evaluate test, for the first time.

    Returns:
        The exit code: 0 unless it was interrupted.
    """
    from xray_tui.console import ConsoleReporter
    from xray_tui.engine.controls import Controls, Stop
    from xray_tui.evaluating import evaluate_test

    controls = Controls()
    with signals(controls, has_terminal=False) as caught, ConsoleReporter() as reporter:
        try:
            evaluate_test(directory, reporter, controls)
        except Stop as stop:
            talk(f"stopped by {stop}: test was not evaluated")
            return 128 + (caught[0] if caught else signal.SIGINT)
    return 0

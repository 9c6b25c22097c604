"""``xray-tui evaluate``: a run on test, or on another data set."""

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import Parameter

from xray_tui.cli_headless import signals
from xray_tui.cli_options import RUNS, RunsDir, option
from xray_tui.errors import UserError
from xray_tui.talking import talk

if TYPE_CHECKING:
    from xray_tui.engine.controls import Controls
    from xray_tui.events import Emit

_T = TypeVar("_T")
EPILOGUE = """Examples:
  xray-tui evaluate                   the newest run
  xray-tui evaluate 20261124 --json | jq .intervals.auc
  xray-tui evaluate 20261124 --operating-point sensitivity:0.95
  xray-tui evaluate 20261124 ~/other_hospital    one folder a class, or test/ of
                                                 a data folder

A run that has evaluated test already kept what it predicted: that is read, and
test is not looked at again. Else test is unsealed, which is counted.
"""


def evaluate(
    run: str | None = None,
    data: Path | None = None,
    /,
    *,
    operating_point: Annotated[
        str,
        Parameter(
            help="rule to choose the operating point anew, on validation: likeliest, youden, "
            "sensitivity:X or specificity:X (default: as the run chose it)",
            show_default=False,
        ),
    ] = "",
    columns: Annotated[str, option("data.columns")] = "",
    device: Annotated[
        str,
        Parameter(
            help="auto, cpu, cuda[:N] or mps (default: on test the run's own; on other data auto)",
            show_default=False,
        ),
    ] = "",
    json: Annotated[bool, Parameter(negative=())] = False,
    runs_dir: RunsDir = RUNS,
) -> int:
    """A run's metrics on test, or on another data set, with 95 % intervals.

    Args:
        run: what the run is called, its folder, or how that begins (default: the newest).
        data: folder with one folder a class, of the run's names, or a CSV file of labels.
        json: as one JSON object, rates as fractions.
    """
    from xray_tui import config, console_evaluation
    from xray_tui.runs.evaluated import evaluated, has_kept_test
    from xray_tui.runs.follow import read
    from xray_tui.runs.index import find
    from xray_tui.runs.record import RunRecord

    asked = {"evaluation.operating_point": operating_point, "hardware.device": device}
    config.load({path: value for path, value in asked.items() if value})  # told before all else
    directory = find(runs_dir, run)
    record, elsewhere = RunRecord.of(read(directory)), None
    if data is not None:
        from xray_tui.evaluating import evaluate_elsewhere

        ask = partial(evaluate_elsewhere, directory, data, columns=columns, device=device or "auto")
        elsewhere, code = _see_through(ask)
        if elsewhere is None:
            return code
    elif not has_kept_test(directory, record):
        from xray_tui.evaluating import evaluate_test

        _, code = _see_through(partial(evaluate_test, directory, device=device))
        if code:
            return code
        record = RunRecord.of(read(directory))
        if record.test is None or record.test.skipped:
            why = record.test.skipped if record.test else "nothing says why"
            raise UserError(f"{directory.name} cannot be evaluated: {why}")
    found = evaluated(directory, record, operating_point, elsewhere)
    if json:
        console_evaluation.print_json(found)
    else:
        console_evaluation.print_evaluated(found)
    return 0


def _see_through(evaluate: "Callable[[Emit, Controls], _T]") -> tuple[_T | None, int]:
    """Evaluate, with progress, until it is done or a signal asks for an end.

    Returns:
        What came of it, and the exit code.
    """
    from xray_tui.console import ConsoleReporter
    from xray_tui.engine.controls import Controls, Stop

    controls = Controls()
    with signals(controls, has_terminal=False) as caught, ConsoleReporter() as reporter:
        try:
            return evaluate(reporter, controls), 0
        except Stop as stop:
            talk(f"stopped by {stop}: nothing was evaluated")
            return None, 128 + (caught[0] if caught else signal.SIGINT)

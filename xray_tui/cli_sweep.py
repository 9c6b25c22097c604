"""``xray-tui sweep``: settings searched, each trial a run."""

import signal
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from xray_tui.cli_headless import signals
from xray_tui.cli_options import NO_OPTIONS, RunOptions
from xray_tui.engine import process
from xray_tui.errors import UserError
from xray_tui.sweep.choosing import PrunerName, SamplerName
from xray_tui.sweep.space import MetricName, read
from xray_tui.talking import talk

EXAMPLES = """Examples:
  xray-tui sweep ~/chest_xray --trials 30 --backbone efficientnet_lite0
  xray-tui sweep ~/chest_xray --show-space > my.toml    the space, to be changed
  xray-tui sweep ~/chest_xray --config my.toml --study rates --timeout-minutes 120
  xray-tui train ~/chest_xray --config runs/.sweeps/rates.toml    the best one

What is searched stands in the config file:
  [sweep]
  metric = "auc"
  [sweep.space]
  training.frozen.learning_rate = { range = [1e-4, 1e-2], log = true }
  training.loss.balance = ["none", "weights"]

The same command goes on with the study, where it was interrupted or with more
--trials; started twice, two processes share the trials. Trials never look at
test, and validate on patients held out of train, unless you choose otherwise.
They are judged by the likeliest class, uncalibrated: an operating point and a
temperature are not searched.
"""

Flag = Parameter(negative=())


def sweep(
    data: Path | None = None,
    /,
    *,
    trials: int = 20,
    timeout_minutes: float | None = None,
    study: str | None = None,
    metric: MetricName | None = None,
    sampler: SamplerName = "tpe",
    pruner: PrunerName = "median",
    show_space: Annotated[bool, Flag] = False,
    json: Annotated[bool, Flag] = False,
    options: RunOptions = NO_OPTIONS,
) -> int:
    """Search settings: many runs, judged on validation; end with the best ones and what mattered.

    Args:
        data: folder with train/, test/ and perhaps val/, or a CSV file of labels, or MedMNIST's .npz.
        trials: configurations to try, those that the study has already included.
        timeout_minutes: after which no new trial begins.
        study: name of the study, kept in .sweeps/ of the runs folder (default: --name, else sweep).
        metric: what is judged by, at the best epoch of validation (default: the config file's, else auc).
        sampler: how settings are chosen: from what came of others (tpe), or at random.
        pruner: when a trial that falls behind is stopped.
        show_space: print what would be searched, ready for a config file, and do nothing.
        json: print one object instead of tables.
    """
    loaded = options.trace({"data.root": str(data)} if data else {})
    space = read(options.file, loaded.settings, metric)
    if show_space:
        print(space.to_toml(), end="")
        return 0
    process.be_alone("a sweep")
    if trials < 1:
        raise UserError(f"--trials {trials}: nothing to try", "1 or more")
    if timeout_minutes is not None and not timeout_minutes > 0:
        raise UserError(f"--timeout-minutes {timeout_minutes}: no time at all", "more than 0")

    from xray_tui.console_sweep import SweepReporter, print_findings
    from xray_tui.json_text import json_text
    from xray_tui.sweep.findings import sum_up
    from xray_tui.sweep.study import Study
    from xray_tui.sweep.trials import Sweep, settle

    settings = loaded.settings
    common = settle(loaded, searches_seed="training.seed" in space.dimensions)
    runs = Path(settings.run.runs_dir).expanduser()
    name = study or settings.run.name or "sweep"
    kept = Study(runs, name, space, common.settings, sampler=sampler, pruner=pruner)
    talk(f"study {name}: {len(space.dimensions)} settings, by validation {space.metric.words}")
    for note in common.notes:
        talk(note)
    with SweepReporter(space.metric, trials) as reporter:
        going = Sweep(kept, reporter)
        with signals(going, has_terminal=True, goes_on=True) as caught:
            why = going.run(trials, timeout_minutes and 60 * timeout_minutes)
    found = sum_up(kept, settings)
    kept.close()
    if json:
        print(json_text(found.to_tree()))
    else:
        print_findings(found)
    if why == "stopped":
        talk("the same command goes on exactly here")
        return 128 + (caught[0] if caught else signal.SIGINT)
    if why == "time":
        talk(f"no trial begins after {timeout_minutes:g} minutes")
    return 0 if found.ranked else 1

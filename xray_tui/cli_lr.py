"""``xray-tui lr-find``: which learning rates to try."""

import shlex
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from xray_tui import config
from xray_tui.cli_options import NO_OPTIONS, Ascii, RunOptions
from xray_tui.engine import process
from xray_tui.errors import UserError
from xray_tui.events import Stage
from xray_tui.settings import Settings
from xray_tui.talking import talk

EPILOGUE = """Examples:
  xray-tui lr-find ~/chest_xray --stage frozen
  xray-tui lr-find ~/chest_xray --stage unfrozen --run 20261124
  xray-tui lr-find ~/chest_xray --from 1e-5 --to 0.1 --batches 200
  xray-tui lr-find ~/chest_xray --json | jq .stages.frozen.suggestions

One batch is trained at each rate, from far too low to far too high. Rates worth
training with lie where the loss falls: in the valley (two thirds down the longest
one, the first to try), where it is steepest, a tenth of where it is lowest. A
test tells what a stage learns fast with at first, not what it ends best with.
The options are those of `train`, schedules aside. No run is made, no weight kept.
"""


def lr_find(
    data: Path,
    /,
    *,
    stage: Literal["frozen", "unfrozen", "both"] = "both",
    lowest: Annotated[float, Parameter(name="--from")] = 1e-7,
    highest: Annotated[float, Parameter(name="--to")] = 1.0,
    batches: int = 100,
    run: str | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
    ascii_only: Ascii = None,
    options: RunOptions = NO_OPTIONS,
) -> int:
    """Try learning rates, a batch each; draw the loss over them and suggest some.

    Args:
        data: as train takes it: a folder, a CSV file of labels or MedMNIST's .npz; only train is read.
        stage: whose learning rate (both: of the stages that have epochs); unfrozen begins with a head that
            has learned nothing, or with --run.
        lowest: the first learning rate.
        highest: the last one; a test ends before it where the loss has risen to 4 times its best.
        batches: how many rates are tried between them.
        run: the unfrozen stage begins with this run's best weights.
        json: print rates, losses and suggestions as one JSON object.
    """
    process.be_alone("lr-find")
    from xray_tui.console import ConsoleReporter  # late: rich
    from xray_tui.console_lr import print_curves, print_json
    from xray_tui.drawing.ascii import wants_ascii
    from xray_tui.engine.lr_find import RateFinder, check  # late: torch

    check(lowest, highest, batches)
    settings = options.settings(**{"data.root": str(data)})
    stages = _stages(stage, settings)
    trained = _weights_of(run, stages, settings) if run is not None else None
    try:
        with ConsoleReporter() as reporter, RateFinder(settings, reporter, trained) as finder:
            plan, training = finder.plan, finder.plan.settings.training
            talk(f"{plan.backbone.name} ({plan.backbone.source}) on {plan.hardware.words}")
            talk(f"{finder.images} train images, {training.batch_size} a batch")
            if (times := finder.epochs(batches)) > 1:
                talk(f"{batches} batches go through them {times} times: later ones have been seen before")
            if "unfrozen" in stages and trained is None and settings.training.frozen.epochs:
                talk("the unfrozen stage begins with a head that has learned nothing: --run RUN has one")
            curves = [finder.test(each, lowest, highest, batches) for each in stages]
    except KeyboardInterrupt:
        talk("stopped; nothing was kept")
        raise
    if json:
        about = {
            "backbone": plan.backbone.name,
            "weights": plan.backbone.source,
            "device": plan.hardware.words,
            "images": finder.images,
            "batch_size": training.batch_size,
            "seed": training.seed,
        }
        print_json(curves, about)
    else:
        as_set = {"frozen": training.frozen.learning_rate, "unfrozen": training.unfrozen.learning_rate}
        print_curves(curves, as_set, ascii_only=wants_ascii() if ascii_only is None else ascii_only)
    return 0


def _stages(wanted: Literal["frozen", "unfrozen", "both"], settings: Settings) -> list[Stage]:
    training = settings.training
    has: dict[Stage, int] = {"frozen": training.frozen.epochs, "unfrozen": training.unfrozen.epochs}
    stages: list[Stage] = [wanted] if wanted != "both" else [stage for stage in has if has[stage]]
    if not stages:
        raise UserError("both stages have 0 epochs: nothing to test", "name one with --stage")
    return stages


def _weights_of(run: str, stages: list[Stage], settings: Settings) -> Path:
    """The checkpoints of a run whose model is that of the settings."""
    from xray_tui.runs.index import find

    if "unfrozen" not in stages:
        raise UserError("--run: the frozen stage begins with a new head", "use --stage unfrozen, or no --run")
    directory = find(Path(settings.run.runs_dir).expanduser(), run)
    kept = config.load_kept(directory.config).model
    if (kept.backbone, kept.hidden) != (settings.model.backbone, settings.model.hidden):
        raise UserError(
            f"{directory.name} is a {kept.backbone} with a head of {kept.hidden}",
            f"its own settings: --config {shlex.quote(str(directory.config))}",
        )
    return directory.checkpoints

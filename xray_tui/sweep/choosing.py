"""How optuna is to choose settings, and whom to prune. Imports it late: it is an extra, and half a second."""

from typing import TYPE_CHECKING, Literal

from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.settings import Settings
from xray_tui.sweep.space import Choices, Dimension, Range, Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

SamplerName = Literal["tpe", "random"]
PrunerName = Literal["median", "none", "hyperband"]

_UNPRUNED_TRIALS = 5
"""Before any is measured by the median of the others."""


def prepare() -> None:
    """Load optuna, and keep it quiet.

    Raises:
        UserError: it is not installed.
    """
    try:
        import optuna  # an extra, and half a second
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise UserError(
            "a sweep needs optuna, which is not installed", "pip install 'xray-tui[sweep]'"
        ) from None
    optuna.logging.disable_default_handler()  # it would write across the progress
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def sampler(name: SamplerName, seed: int) -> "BaseSampler":
    """What draws the settings of a trial."""
    from optuna import samplers

    return samplers.RandomSampler(seed) if name == "random" else samplers.TPESampler(seed=seed)


def distribution(dimension: Dimension) -> "BaseDistribution":
    """What a setting is drawn from."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match dimension:
        case Choices(values):
            return CategoricalDistribution(values)
        case Range(int() as low, int() as high, log, step):
            return IntDistribution(low, high, log, int(step or 1))
        case Range(low, high, log, step):
            return FloatDistribution(low, high, log, step)


def pruner(name: PrunerName, space: Space, settings: Settings) -> "BasePruner":
    """When a trial is stopped."""
    from optuna import pruners

    if name == "none":
        return pruners.NopPruner()
    if name == "median":
        # One epoch alone says little.
        return pruners.MedianPruner(n_startup_trials=_UNPRUNED_TRIALS, n_warmup_steps=2)
    return pruners.HyperbandPruner(max_resource=max(1, most_epochs(space, settings)))


def most_epochs(space: Space, settings: Settings) -> int:
    """Of a trial, both stages together."""
    most = 0
    for stage in ("frozen", "unfrozen"):
        path = f"training.{stage}.epochs"
        match space.dimensions.get(path):
            case None:
                most += config.get(settings, path)
            case Choices(values):
                most += int(max(values))
            case Range(high=high):
                most += int(high)
    return most

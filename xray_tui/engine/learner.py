"""What learns in a stage, and how: optimiser, loss, the learning rate over the stage, the average."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from torch import nn
from torch.optim import Adam, AdamW, Optimizer

from xray_tui.engine.average import Average
from xray_tui.engine.objective import Objective
from xray_tui.engine.plan import Plan
from xray_tui.events import Stage
from xray_tui.models.classifier import Classifier
from xray_tui.settings import OptimizerSettings

_DIVIDED_AT_FIRST, _DIVIDED_AT_LAST = 25.0, 25.0e4
"""What a one-cycle schedule begins and ends with, as parts of its highest rate: Smith and Topin (2018),
with the numbers of fastai and of torch's own OneCycleLR."""


@dataclass
class Learner:
    optimizer: Optimizer
    """Each group of its parameters has a ``factor``, of the stage's learning rate."""
    objective: Objective
    learning_rate: float
    """The highest of the schedule; a person may change it."""
    settings: OptimizerSettings
    average: Average | None = None
    """``None`` where the weights count as they are."""

    @classmethod
    def of(cls, plan: Plan, stage: Stage, learning_rate: float | None = None) -> "Learner":
        """At the beginning of a stage, the plan's model frozen or unfrozen as that wants.

        Args:
            learning_rate: other than the settings' one.
        """
        training, model, unfrozen = plan.settings.training, plan.model, stage == "unfrozen"
        chosen = learning_rate or (training.unfrozen if unfrozen else training.frozen).learning_rate
        labels = Counter(file.label for file in plan.roles.train)
        return cls(
            optimizer_of(model, chosen, training.optimizer),
            Objective(
                training.loss,
                [labels[label] for label in range(len(plan.listing.classes))],
                plan.hardware.device,
                training.seed,
                mixes=unfrozen,
            ),
            chosen,
            training.optimizer,
            Average(model, training.averaging) if unfrozen and training.averaging.kind != "none" else None,
        )

    def counting(self) -> AbstractContextManager[None]:
        """Within, the model has the weights that count."""
        return self.average.applied() if self.average and self.average.taken else nullcontext()

    def training(self) -> AbstractContextManager[None]:
        """Within, the model has the weights that are trained, also amid :meth:`counting`."""
        return self.average.withdrawn() if self.average else nullcontext()

    @property
    def rate_now(self) -> float:
        """Of a group whose factor is 1."""
        group = self.optimizer.param_groups[0]
        return float(group["lr"] / group["factor"])

    def follow(self) -> None:
        """After a batch."""
        if self.average:
            self.average.follow()

    def pace(self, done: float) -> None:
        """Set the learning rates.

        Args:
            done: part of the stage that has been trained.
        """
        rate = self.learning_rate * scheduled(self.settings, done)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]


def scheduled(settings: OptimizerSettings, done: float) -> float:
    """The learning rate where a part of the stage is done, as a part of its highest.

    ``cosine`` rises in a line, then falls as half a cosine to nothing (Loshchilov and Hutter 2017);
    ``one_cycle`` rises and falls as half cosines. It depends on nothing else, so a resumed run needs not
    remember it.
    """
    if settings.schedule == "constant":
        return 1.0
    first = last = 0.0
    if settings.schedule == "one_cycle":
        first, last = 1 / _DIVIDED_AT_FIRST, 1 / _DIVIDED_AT_LAST
    if done < settings.warm_up:
        rising = done / settings.warm_up
        if settings.schedule == "one_cycle":
            rising = (1 - math.cos(math.pi * rising)) / 2
            return first + (1 - first) * rising
        return max(rising, _RISES_FROM)
    left = 1 - settings.warm_up
    falling = min(1.0, (done - settings.warm_up) / left) if left else 1.0
    return last + (1 - last) * (1 + math.cos(math.pi * falling)) / 2


_RISES_FROM = 0.01
"""Of the highest rate: with a rate of 0 a first batch would be lost."""


def optimizer_of(model: Classifier, learning_rate: float, settings: OptimizerSettings) -> Adam:
    """Fresh, of what learns now; all parameters are updated in one pass, or none (see `guard`).

    Biases and norms do not decay: that would only pull the layer's scale about.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter, factor in _factors(model, settings):
        decay = settings.weight_decay if settings.name == "adamw" and parameter.ndim > 1 else 0.0
        groups.setdefault((factor, decay), []).append(parameter)
    kind = AdamW if settings.name == "adamw" else Adam
    return kind(
        [
            {"params": parameters, "lr": learning_rate * factor, "factor": factor, "weight_decay": decay}
            for (factor, decay), parameters in groups.items()
        ],
        fused=True,
    )


def _factors(model: Classifier, settings: OptimizerSettings) -> Iterator[tuple[nn.Parameter, float]]:
    """What learns, and its learning rate as a multiple of the stage's: lower layers, which know what all
    images have in common, move less (Howard and Ruder 2018)."""
    below_top = {id(p): depth for depth, layer in enumerate(reversed(model.layers())) for p in layer}
    for parameter in model.trainable_parameters():
        depth = below_top.get(id(parameter))
        if model.frozen:
            yield parameter, 1.0
        else:
            yield parameter, settings.head_factor if depth is None else settings.group_factor**depth

"""What one process makes of given weights, and of an epoch of steps, to be held beside what several make."""

from typing import Any

import pytest
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD

from xray_tui.data.augmentation import Normalisation
from xray_tui.engine import epoch, plan
from xray_tui.engine.batches import Batches
from xray_tui.engine.features import Features
from xray_tui.engine.objective import Objective
from xray_tui.engine.passes import Passes
from xray_tui.engine.reading import Reader
from xray_tui.engine.reporting import Reporter
from xray_tui.engine.times import Times
from xray_tui.engine.world import World
from xray_tui.files import at_once
from xray_tui.settings import LossSettings, Settings


def _stay_in_eval_mode(module: nn.Module) -> None:
    pytest.MonkeyPatch().setattr(module, "train", lambda mode=True: module)  # the module ends with its caller


def steps_and_verdicts(world: World, settings: Settings, *, batchnorm_learns: bool = False) -> dict[str, Any]:
    """Features and verdicts of the weights it begins with; then an epoch of plain gradient descent.

    Args:
        settings: without dropout.
        batchnorm_learns: in that epoch; else it is as in evaluation.
    """
    made = plan.make(settings, lambda event: None, world=world)
    reporter = Reporter(lambda event: None, world.controls())
    images, validation = Reader(made, reporter).train_and_validation()
    device = made.hardware.device
    normalisation = Normalisation(made.backbone.mean, made.backbone.std, device)
    batches = Batches(settings.training, normalisation, device, 1, Times(), world)
    model, step = made.model, reporter.steps("train", len(images))
    model.freeze()
    passes = Passes(made, reporter, lambda event: None, Times(), at_once)
    hidden_while_frozen = passes.hidden(validation, "frozen").numpy()
    features = Features(model, batches, made.hardware, None, Times(), world)
    found: dict[str, Any] = {
        "view": features.view(images, 1, lambda: step).float().cpu().numpy(),
        "features": features.validation(validation, step).float().cpu().numpy(),
        "hidden while frozen": hidden_while_frozen,
    }
    model.unfreeze()
    found["hidden"] = passes.hidden(validation, "unfrozen").numpy()
    passes.close()
    verdicts = epoch.predict(
        model, model, batches.plain(validation), made.hardware, step=step, times=Times(), world=world
    )
    found |= {"probabilities": verdicts.probabilities, "losses": verdicts.losses, "actual": verdicts.actual}
    if not batchnorm_learns:
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                _stay_in_eval_mode(module)
    so_far = epoch.TrainPass.begin(device)
    seen: list[int] = []
    epoch.train_epoch(
        model,
        model,
        batches.train(images, 0),
        SGD(model.trainable_parameters(), lr=0.05, fused=True),
        Objective(LossSettings(), [1, 1], device, 0, mixes=False),
        made.hardware,
        seed=0,
        epoch=0,
        so_far=so_far,
        step=seen.append,
        times=Times(),
        world=world,
    )
    batches.close()
    found |= {"loss": so_far.mean_loss, "seen": seen}
    found["parameters"] = {name: value.cpu().numpy() for name, value in model.state_dict().items()}
    return found

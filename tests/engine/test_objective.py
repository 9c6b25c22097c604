import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from xray_tui.engine.objective import Objective
from xray_tui.settings import LossSettings

CPU = torch.device("cpu")
LOGITS = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.5, 0.5]]).log_softmax(1)
LABELS = torch.tensor([0, 0, 1])


def objective(counts: tuple[int, ...] = (10, 30), mixes: bool = True, **settings: Any) -> Objective:
    return Objective(LossSettings(**settings), counts, CPU, seed=0, mixes=mixes)


def loss(made: Objective, reduction: str = "mean") -> float:
    _, targets = made.targets(torch.zeros(3, 1), LABELS, 0, 0)
    return made(LOGITS, targets, reduction).item()


def test_the_recipes_is_the_negative_log_likelihood() -> None:
    assert loss(objective()) == F.nll_loss(LOGITS, LABELS).item()


def test_a_rare_class_weighs_more_and_the_mean_weight_is_one() -> None:
    """10 and 30 images: weights 2 and 2/3, so that both classes weigh 20."""
    losses = -LOGITS[range(3), LABELS]
    wanted = (2 * losses[0] + 2 * losses[1] + 2 / 3 * losses[2]).item()
    assert loss(objective(balance="weights"), "sum") == pytest.approx(wanted)
    assert loss(objective(balance="weights")) == pytest.approx(wanted / 3)


def test_smoothing_by_hand() -> None:
    """0.1 of the target is spread over two classes: 0.95 and 0.05."""
    of_own = -LOGITS[range(3), LABELS]
    of_other = -LOGITS[range(3), 1 - LABELS]
    assert loss(objective(label_smoothing=0.1)) == pytest.approx(
        (0.95 * of_own + 0.05 * of_other).mean().item()
    )


def test_smoothing_and_weights_are_torchs_cross_entropy() -> None:
    wanted = F.cross_entropy(
        LOGITS, LABELS, torch.tensor([2.0, 2 / 3]), label_smoothing=0.1, reduction="sum"
    ).item()
    assert loss(objective(balance="weights", label_smoothing=0.1), "sum") == pytest.approx(wanted)


def test_mixup_blends_images_and_targets_alike() -> None:
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 6, 6)
    mixed, targets = objective(mixup=1.0).targets(images, torch.tensor([0, 1, 1, 0]), epoch=2, batch=5)
    part = targets[0, 0].item() - 0  # of image 0, whose neighbour (3) has the same class
    assert part == pytest.approx(1.0)
    kept = targets[1, 1].item()  # of image 1 (class 1) with image 0 (class 0)
    assert 0 < kept < 1
    assert mixed[1, 0, 0, 0].item() == pytest.approx(kept * 1 + (1 - kept) * 0)
    assert mixed[2, 0, 0, 0].item() == pytest.approx(kept * 2 + (1 - kept) * 1)
    assert torch.allclose(targets.sum(1), torch.ones(4))


def test_cutmix_replaces_a_rectangle_as_large_as_the_targets_say() -> None:
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 32, 32)
    sizes = []
    for batch in range(40):
        mixed, targets = objective(cutmix=1.0).targets(images, torch.tensor([0, 1, 0, 1]), 0, batch)
        foreign = (mixed[1] == 0).float().mean().item()
        assert targets[1, 0].item() == pytest.approx(foreign, abs=1e-6)
        rows, columns = np.nonzero((mixed[1, 0] == 0).numpy())
        if len(rows):
            assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        sizes.append(foreign)
    assert 0 < np.mean(sizes) < 1
    assert len(set(sizes)) > 20
    assert torch.equal(images[1], torch.ones(1, 32, 32))  # what was given is as it was


def test_what_is_mixed_repeats_for_its_seed_epoch_and_batch_alone() -> None:
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def mixed(epoch: int, batch: int) -> torch.Tensor:
        return objective(mixup=0.4, cutmix=1.0).targets(images, torch.tensor([0, 1, 0, 1]), epoch, batch)[0]

    assert torch.equal(mixed(1, 2), mixed(1, 2))
    assert not torch.equal(mixed(1, 2), mixed(1, 3))
    assert not torch.equal(mixed(1, 2), mixed(2, 2))


def test_with_features_of_a_frozen_body_nothing_is_mixed() -> None:
    features = torch.rand(3, 5)
    inputs, targets = objective(mixes=False, mixup=1.0).targets(features, LABELS, 0, 0)
    assert inputs is features
    assert targets is LABELS


def test_a_class_without_images_does_not_divide_by_nothing() -> None:
    assert math.isfinite(loss(objective(counts=(0, 3), balance="weights")))

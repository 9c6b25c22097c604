from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import AdamW

from xray_tui.engine.average import Average
from xray_tui.engine.learner import optimizer_of, scheduled
from xray_tui.models.backbones import load_backbone
from xray_tui.models.classifier import Classifier
from xray_tui.settings import AveragingSettings, OptimizerSettings, Schedule


@pytest.fixture
def model() -> Classifier:
    return Classifier(load_backbone("shufflenet_v2_x0_5", "none", seed=0), 2, hidden=4)


def test_a_constant_rate_is_the_rate() -> None:
    assert {scheduled(OptimizerSettings(), part / 10) for part in range(11)} == {1.0}


def test_one_cycle_by_hand() -> None:
    settings = OptimizerSettings(schedule="one_cycle", warm_up=0.2)
    assert scheduled(settings, 0.0) == pytest.approx(1 / 25)
    assert scheduled(settings, 0.1) == pytest.approx((1 + 1 / 25) / 2)
    assert scheduled(settings, 0.2) == pytest.approx(1.0)
    assert scheduled(settings, 0.6) == pytest.approx(0.5, abs=1e-4)
    assert scheduled(settings, 1.0) == pytest.approx(1 / 250_000)


def test_one_cycle_is_torchs() -> None:
    """With the hundred steps of a stage: torch's last step is our end of the stage."""
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0, momentum=0.9)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=100, pct_start=0.3)
    ours = OptimizerSettings(schedule="one_cycle", warm_up=29 / 99)
    for step in range(100):
        assert scheduled(ours, step / 99) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-6)
        optimizer.step()
        if step < 99:
            theirs.step()


def test_cosine_rises_in_a_line_and_falls_to_nothing() -> None:
    settings = OptimizerSettings(schedule="cosine", warm_up=0.5)
    assert scheduled(settings, 0.25) == pytest.approx(0.5)
    assert scheduled(settings, 0.75) == pytest.approx(0.5)
    assert scheduled(settings, 1.0) == pytest.approx(0.0)


@given(st.sampled_from(["cosine", "one_cycle"]), st.floats(0, 1), st.floats(0, 1))
def test_a_schedule_stays_between_nothing_and_its_highest(
    kind: Schedule, warm_up: float, done: float
) -> None:
    assert 0 <= scheduled(OptimizerSettings(schedule=kind, warm_up=warm_up), done) <= 1


@given(st.sampled_from(["cosine", "one_cycle"]), st.floats(0, 0.9))
def test_a_schedule_falls_after_the_warm_up(kind: Schedule, warm_up: float) -> None:
    settings = OptimizerSettings(schedule=kind, warm_up=warm_up)
    rates = [scheduled(settings, warm_up + (1 - warm_up) * step / 20) for step in range(21)]
    assert all(one >= other for one, other in pairwise(rates))


def test_the_recipes_optimiser_has_one_group(model: Classifier) -> None:
    (group,) = optimizer_of(model, 1e-3, OptimizerSettings()).param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in model.trainable_parameters()]
    assert group["lr"] == 1e-3


def test_biases_and_norms_do_not_decay(model: Classifier) -> None:
    optimizer = optimizer_of(model, 1e-3, OptimizerSettings(name="adamw", weight_decay=0.02))
    assert isinstance(optimizer, AdamW)
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert decays[id(parameter)] == (0.02 if parameter.ndim > 1 else 0.0), name
    assert decays[id(model.head[3].weight)] == 0.02
    assert decays[id(model.head[1].weight)] == 0.0


def test_lower_groups_learn_less_and_the_head_more(model: Classifier) -> None:
    optimizer = optimizer_of(model, 1e-4, OptimizerSettings(head_factor=10, group_factor=0.5))
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[id(model.head[3].weight)] == pytest.approx(1e-3)
    of_layers = [{rates[id(p)] for p in layer} for layer in model.layers()]
    assert all(len(found) == 1 for found in of_layers)
    from_top = [found.pop() for found in reversed(of_layers)]
    assert from_top == pytest.approx([1e-4 * 0.5**depth for depth in range(len(from_top))])
    assert len(from_top) > 4


def test_while_frozen_the_head_has_the_stages_rate(model: Classifier) -> None:
    model.freeze()
    (group,) = optimizer_of(model, 1e-3, OptimizerSettings(head_factor=10, group_factor=0.5)).param_groups
    assert group["lr"] == 1e-3


def line() -> nn.Linear:
    made = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        made.weight.fill_(0.0)
    return made


def put(made: nn.Linear, value: float) -> None:
    with torch.no_grad():
        made.weight.fill_(value)


def test_ema_by_hand() -> None:
    """The decay is warmed up: 1/10, then 2/11, until it is the settings' one."""
    made = line()
    average = Average(made, AveragingSettings(kind="ema", decay=0.15))
    put(made, 1.0)
    average.follow()
    assert average.tensors["weight"].item() == pytest.approx(0.9)
    put(made, 2.0)
    average.follow()
    assert average.tensors["weight"].item() == pytest.approx(0.15 * 0.9 + 0.85 * 2.0)
    with average.applied():
        assert made.weight.item() == average.tensors["weight"].item()
    assert made.weight.item() == 2.0


def test_swa_is_the_mean_over_the_later_epochs_and_counts_none_twice() -> None:
    made = line()
    average = Average(made, AveragingSettings(kind="swa", start=0.5))
    for epoch, value in enumerate([1.0, 2.0, 3.0, 5.0]):
        put(made, value)
        average.follow()
        again = [average.end_epoch(epoch, 4) for _ in range(2)]  # as where a run is resumed in between
        assert again == [epoch >= 2] * 2
    assert average.taken == 2
    assert average.tensors["weight"].item() == 4.0


def test_an_average_is_of_what_learns(model: Classifier) -> None:
    model.unfreeze(from_group="conv5")
    names = set(Average(model, AveragingSettings(kind="ema")).tensors)
    assert "head.3.weight" in names
    assert "head.1.running_mean" in names
    assert any(name.startswith("body.conv5") for name in names)
    assert not any(name.startswith("body.stage") for name in names)

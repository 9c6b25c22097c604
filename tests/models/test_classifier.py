import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from xray_tui.errors import UserError
from xray_tui.models.backbones import load_backbone
from xray_tui.models.classifier import Classifier, ConcatPool, make_head
from xray_tui.models.seeded import SeededDropout, reseed


@pytest.fixture
def model() -> Classifier:
    return Classifier(load_backbone("shufflenet_v2_x0_5", "none"), 3, hidden=16)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(2))


def statistics(module: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


def train_steps(model: Classifier, images: Tensor, steps: int = 3) -> None:
    optimiser = torch.optim.Adam(model.trainable_parameters(), lr=1e-3)
    labels = torch.tensor([0, 1, 2, 0])
    for step in range(steps):
        reseed(model, 0, 0, step)
        optimiser.zero_grad()
        nn.functional.nll_loss(model(images), labels).backward()
        optimiser.step()


def test_concat_pool_by_hand() -> None:
    feature_map = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[0.0, 0.0], [-4.0, 0.0]]]])
    assert ConcatPool()(feature_map).tolist() == [[6.0, 0.0, 3.0, -1.0]]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [(torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64, torch.float64)],
)
def test_concat_pool_gives_float32_at_least(given: torch.dtype, wanted: torch.dtype) -> None:
    assert ConcatPool()(torch.ones(2, 3, 4, 4, dtype=given)).dtype == wanted


def test_the_head_is_the_recipes() -> None:
    head = make_head(2048, 2)
    assert [type(layer) for layer in head] == [
        nn.Flatten,
        nn.BatchNorm1d,
        nn.Dropout,
        nn.Linear,
        nn.ReLU,
        nn.BatchNorm1d,
        nn.Dropout,
        nn.Linear,
        nn.LogSoftmax,
    ]
    assert head[1].num_features == 4096
    assert (head[3].in_features, head[3].out_features) == (4096, 512)
    assert head[5].num_features == 512
    assert (head[7].in_features, head[7].out_features) == (512, 2)
    assert head[2].p == head[6].p == 0.5
    assert head[8].dim == 1


def test_the_classifiers_dropouts_are_seeded(model: Classifier) -> None:
    assert [type(model.head[number]) for number in (2, 6)] == [SeededDropout, SeededDropout]


def test_shapes_and_dtypes(model: Classifier, images: Tensor) -> None:
    assert model.feature_map(images).shape == (4, 1024, 2, 2)
    assert model.pool(model.feature_map(images)).shape == (4, 2048)
    with torch.autocast("cpu", torch.bfloat16):
        assert model.feature_map(images).dtype == torch.bfloat16
        log_probabilities = model(images)
    assert log_probabilities.shape == (4, 3)
    assert log_probabilities.dtype == torch.float32
    torch.testing.assert_close(log_probabilities.exp().sum(1), torch.ones(4))


def test_what_learns_goes_on_from_what_is_fixed(model: Classifier, images: Tensor) -> None:
    whole = model(images)
    model.freeze()
    assert torch.equal(model(images), model.learned(model.fixed(images)))
    model.unfreeze()
    assert model.fixed(images) is images
    assert torch.equal(whole, model.learned(images))


def test_upper_groups_learn_alone(model: Classifier, images: Tensor) -> None:
    whole = model(images)
    model.unfreeze(from_group="stage4")
    model.train()
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {name.split(".")[1] for name in trainable if name.startswith("body")} == {"stage4", "conv5"}
    statistics = model.body.stage3[0].branch2[1].running_mean.clone()
    fixed = model.fixed(images)
    assert not fixed.requires_grad
    model.learned(fixed).sum().backward()
    assert torch.equal(statistics, model.body.stage3[0].branch2[1].running_mean)
    model.eval()
    torch.testing.assert_close(model.learned(model.fixed(images)), model(images))
    model.unfreeze()
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert whole.shape == model(images).shape


def test_an_unknown_group_is_told_with_those_there_are(model: Classifier) -> None:
    with pytest.raises(UserError, match="no such group") as told:
        model.unfreeze(from_group="layer4")
    assert "stage4" in told.value.hint


def test_the_head_follows_the_seed_and_leaves_the_process_alone() -> None:
    backbone = load_backbone("shufflenet_v2_x0_5", "none")
    before = torch.get_rng_state()
    first, again, other = (Classifier(backbone, 2, hidden=8, seed=seed).head[3].weight for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def train_nothing(_: Classifier) -> None:
    pass


def train_model(model: Classifier) -> None:
    model.train()


def train_body(model: Classifier) -> None:
    model.body.train()


def train_a_layer(model: Classifier) -> None:
    next(module for module in model.body.modules() if isinstance(module, nn.BatchNorm2d)).train()


@pytest.mark.parametrize("folded", [True, False], ids=["folded", "as on a GPU"])
@pytest.mark.parametrize("someone", [train_nothing, train_model, train_body, train_a_layer])
def test_frozen_batchnorm_does_not_move(
    model: Classifier,
    images: Tensor,
    someone: Callable[[Classifier], None],
    folded: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not folded:
        monkeypatch.setattr("xray_tui.models.classifier.fold_batchnorm", lambda body, image: body)
    model.freeze()
    model.train()
    before = copy.deepcopy(model.body.state_dict())
    head_before = statistics(model.head)
    someone(model)
    train_steps(model, images)
    after = model.body.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert any(not torch.equal(tensor, head_before[name]) for name, tensor in statistics(model.head).items())
    assert model.head.training
    assert not any(module.training for module in model.body.modules())


def test_train_undoes_what_someone_did_to_the_body(model: Classifier) -> None:
    model.freeze()
    model.body.train()
    model.train()
    assert not any(module.training for module in model.body.modules())


def test_only_the_head_gets_gradients_while_frozen(model: Classifier, images: Tensor) -> None:
    model.freeze()
    model.train()
    model(images).sum().backward()
    with_gradient = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert with_gradient == {name for name, _ in model.named_parameters() if name.startswith("head.")}
    assert {id(p) for p in model.trainable_parameters()} == {id(p) for p in model.head.parameters()}


def test_unfreezing_lets_everything_learn(model: Classifier, images: Tensor) -> None:
    model.freeze()
    model.train()
    model.unfreeze()
    before = statistics(model.body)
    weights_before = [parameter.detach().clone() for parameter in model.body.parameters()]
    train_steps(model, images, steps=1)
    moved = [n for n, buffer in statistics(model.body).items() if not torch.equal(buffer, before[n])]
    assert len([name for name in moved if name.endswith("running_mean")]) == 56
    assert all(
        not torch.equal(old, new) for old, new in zip(weights_before, model.body.parameters(), strict=True)
    )


def test_unfreezing_keeps_the_mode(model: Classifier) -> None:
    model.freeze()
    model.eval()
    model.unfreeze()
    assert not model.body.training


def test_counts(model: Classifier) -> None:
    whole = sum(parameter.numel() for parameter in model.parameters())
    head = sum(parameter.numel() for parameter in model.head.parameters())
    assert model.parameter_counts() == (whole, whole)
    model.freeze()
    assert model.parameter_counts() == (head, whole)


def test_grad_cam_can_start_at_the_feature_map_of_a_frozen_body(model: Classifier, images: Tensor) -> None:
    model.freeze()
    feature_map = model.feature_map(images).requires_grad_()
    model.classify(model.pool(feature_map))[:, 0].sum().backward()
    assert feature_map.grad is not None
    assert feature_map.grad.abs().sum() > 0


def test_a_step_repeats_after_reseeding(model: Classifier, images: Tensor) -> None:
    model.freeze()
    model.train()
    found = []
    for _ in range(2):
        reseed(model, 4, 1, 7)
        found.append(model(images).detach())
        torch.rand(3)  # someone else draws
    assert torch.equal(*found)


def test_kept_statistics_stay_while_scale_and_shift_learn() -> None:
    model = Classifier(load_backbone("shufflenet_v2_x0_5", "none"), 2, hidden=16)
    model.unfreeze(keep_statistics=True)
    model.train()
    before = {name: tensor.clone() for name, tensor in model.body.state_dict().items()}
    optimizer = torch.optim.SGD(model.trainable_parameters(), lr=0.1)
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        optimizer.zero_grad()
        model(images).square().sum().backward()
        optimizer.step()
    after = model.body.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if "running_" in name)
    learned = [name for name in before if name.endswith("weight")]
    assert any(not torch.equal(after[name], before[name]) for name in learned)


def test_full_batches_of_a_frozen_part_are_compiled(
    model: Classifier, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[nn.Module] = []

    def compile_(module: nn.Module, **_: object) -> nn.Module:
        compiled.append(module)
        return module

    monkeypatch.setattr(torch, "compile", compile_)
    model.compile_batch = 4
    names = list(model.state_dict())
    model(images)
    model.freeze()
    model.fixed(images[:3])
    model.compile_batch = 0
    model.fixed(images[:0])
    model.compile_batch = 4
    assert not compiled  # what learns is not, nor a batch of another size
    for _ in range(2):
        model.fixed(images)
    assert len(compiled) == 1
    with torch.no_grad():
        next(model.body.parameters()).add_(0.1)
    model.fixed(images)
    assert len(compiled) == 2
    assert list(model.state_dict()) == names  # a checkpoint has no second copy

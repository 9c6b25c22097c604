import copy

import pytest
import torch
from torch import Tensor, nn

from xray_tui.models.backbones import load_backbone
from xray_tui.models.classifier import Classifier
from xray_tui.models.folding import fold_batchnorm


def move_statistics(body: nn.Module) -> None:
    """Fresh BatchNorms are nearly the identity: give them something to do."""
    generator = torch.Generator().manual_seed(3)
    for module in body.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                assert tensor is not None
                tensor.data.add_(torch.rand(tensor.shape, generator=generator) * 0.3)


def batchnorms(body: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in body.modules())


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))


# DenseNet puts most BatchNorms before the convolution: those after a concatenation must stay.
@pytest.mark.parametrize(
    ("name", "left"),
    [("efficientnet_lite0", 0), ("resnet18", 0), ("shufflenet_v2_x0_5", 0), ("densenet121", 62)],
)
@torch.no_grad()
def test_a_folded_body_computes_the_same(name: str, left: int, images: Tensor) -> None:
    body = load_backbone(name, "none").body
    move_statistics(body)
    before = copy.deepcopy(body.state_dict())
    folded = fold_batchnorm(body)
    wanted = body(images)
    assert batchnorms(folded) == left
    torch.testing.assert_close(folded(images), wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))
    assert all(torch.equal(tensor, before[name]) for name, tensor in body.state_dict().items())


def test_where_nothing_can_be_folded_nothing_is_copied() -> None:
    body = load_backbone("squeezenet1_1", "none").body
    assert fold_batchnorm(body) is body


def test_a_body_that_folds_wrongly_is_left_as_it_is() -> None:
    class UsedTwice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)
            self.bn = nn.BatchNorm2d(4)

        def forward(self, images: Tensor) -> Tensor:
            convolved = self.conv(images)
            return self.bn(convolved) + convolved

    body = UsedTwice()
    move_statistics(body)
    body.eval()
    assert fold_batchnorm(body) is body


@pytest.fixture
def frozen() -> Classifier:
    model = Classifier(load_backbone("shufflenet_v2_x0_5", "none"), 2, hidden=8)
    move_statistics(model.body)
    model.freeze()
    return model


def test_a_frozen_classifier_runs_the_folded_body(frozen: Classifier, images: Tensor) -> None:
    called = []
    frozen.body.register_forward_hook(lambda *_: called.append(True))
    with torch.inference_mode():
        in_validation = frozen.feature_map(images)
    in_training = frozen.train().feature_map(images)
    assert torch.equal(in_validation, in_training)
    assert not frozen.body[0][0].weight.requires_grad
    frozen(images).sum().backward()
    with torch.no_grad():
        torch.testing.assert_close(in_training, frozen.body(images), rtol=1e-4, atol=1e-4)


def test_what_is_saved_is_the_body_itself(frozen: Classifier, images: Tensor) -> None:
    names = list(frozen.state_dict())
    frozen(images)
    assert list(frozen.state_dict()) == names
    assert {name.split(".")[0] for name in names} == {"body", "head"}


def test_weights_loaded_while_frozen_count(frozen: Classifier, images: Tensor) -> None:
    before = frozen.feature_map(images)
    other = load_backbone("shufflenet_v2_x0_5", "none", seed=9).body
    frozen.body.load_state_dict(other.state_dict())
    after = frozen.feature_map(images)
    assert not torch.allclose(before, after)
    with torch.no_grad():
        torch.testing.assert_close(after, other(images), rtol=1e-4, atol=1e-4)


def test_unfreezing_lets_go_of_the_folded_body(frozen: Classifier, images: Tensor) -> None:
    frozen(images)
    frozen.unfreeze()
    assert torch.equal(frozen.feature_map(images), frozen.body(images))


def test_folding_under_autocast_is_done_in_float32(frozen: Classifier, images: Tensor) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert frozen.feature_map(images).dtype == torch.bfloat16
    assert frozen._folded is not None
    assert batchnorms(frozen._folded[1]) == 0

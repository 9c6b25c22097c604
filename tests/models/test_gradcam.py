import pytest
import torch
from torch import Tensor, nn

from xray_tui.models.backbones import Backbone, load_backbone
from xray_tui.models.classifier import Classifier
from xray_tui.models.gradcam import grad_cam


def by_hand() -> Classifier:
    """A network whose two feature channels are the image's first two; channel 0 speaks for class 1.

    Scores are (0, maximum of channel 0 + 3 · mean of channel 0 - mean of channel 1).
    """
    body = nn.Conv2d(3, 2, 1, bias=False)
    model = Classifier(Backbone("by hand", body, 2, (0.0,) * 3, (1.0,) * 3, "by hand"), 2, hidden=1)
    with torch.no_grad():
        body.weight.zero_()
        body.weight[0, 0] = body.weight[1, 1] = 1.0
        for layer in model.head:
            if isinstance(layer, nn.BatchNorm1d):
                layer.running_var.fill_(1 - layer.eps)  # the layer then changes nothing
        first, second = (layer for layer in model.head if isinstance(layer, nn.Linear))
        first.weight.copy_(torch.tensor([[1.0, 0.0, 3.0, -1.0]]))  # maxima first, then means
        first.bias.fill_(10.0)  # above the ReLU's knee
        second.weight.copy_(torch.tensor([[0.0], [1.0]]))
        second.bias.zero_()
    return model


IMAGE = torch.tensor([[[[4.0, 1.0], [0.0, 2.0]], [[0.0, 8.0], [1.0, 0.0]], [[5.0, 5.0], [5.0, 5.0]]]])


def test_by_hand() -> None:
    found = grad_cam(by_hand(), IMAGE)
    # The gradient of a mean over 4 pixels is a quarter each, of a maximum 1 at its pixel: averaged over the
    # pixels, channel 0 weighs (1 + 3) / 4 and channel 1 weighs -1 / 4.
    raw = 1.0 * IMAGE[0, 0] - 0.25 * IMAGE[0, 1]
    assert found.heat.numpy() == pytest.approx((raw.relu() / raw.max()).numpy(), abs=1e-6)
    assert found.target == 1
    assert found.heat.shape == (2, 2)


def test_where_nothing_speaks_for_the_class_the_map_is_zero() -> None:
    assert grad_cam(by_hand(), IMAGE, target=0).heat.eq(0).all()


def test_of_another_class() -> None:
    model = by_hand()
    with torch.no_grad():
        model.head[7].weight.copy_(torch.tensor([[-1.0], [1.0]]))
    raw = -1.0 * IMAGE[0, 0] + 0.25 * IMAGE[0, 1]
    found = grad_cam(model, IMAGE, target=0)
    assert found.target == 0
    assert found.heat.numpy() == pytest.approx((raw.relu() / raw.max()).numpy(), abs=1e-6)


def test_the_hidden_layer_by_hand() -> None:
    model = by_hand()
    with torch.no_grad():
        assert model.hidden(model.fixed(IMAGE)).tolist() == [[pytest.approx(4 + 3 * 1.75 - 2.25 + 10)]]


@pytest.fixture
def image() -> Tensor:
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "densenet121", "squeezenet1_1", "efficientnet_lite0"])
@pytest.mark.parametrize("frozen", [False, True])
def test_any_body_frozen_or_not(name: str, frozen: bool, image: Tensor) -> None:
    """With activations in place, and with a body whose BatchNorms are folded."""
    model = Classifier(load_backbone(name, "none"), 3, hidden=16)
    if frozen:
        model.freeze()
    found = grad_cam(model, image)
    with torch.no_grad():
        assert found.probabilities.numpy() == pytest.approx(model(image)[0].exp().numpy(), abs=1e-5)
        assert found.heat.shape == model.feature_map(image).shape[2:]
    assert found.target == int(found.probabilities.argmax())
    assert found.heat.dtype == torch.float32
    assert found.heat.min() >= 0
    assert found.heat.max() in (0.0, 1.0)
    assert not found.heat.requires_grad


def test_it_leaves_nothing_behind(image: Tensor) -> None:
    model = Classifier(load_backbone("shufflenet_v2_x0_5", "none"), 2, hidden=16)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random, enabled = torch.get_rng_state(), torch.is_grad_enabled()
    with torch.no_grad():
        assert not grad_cam(model, image).heat.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.is_grad_enabled() == enabled


def test_a_model_that_trains_is_refused(image: Tensor) -> None:
    model = Classifier(load_backbone("shufflenet_v2_x0_5", "none"), 2, hidden=16)
    with pytest.raises(ValueError, match="eval mode"):
        grad_cam(model.train(), image)

import copy

import pytest
import torch
from torch import Tensor, nn

from xray_tui.models.backbones import load_backbone
from xray_tui.models.convolutions import QuickConv2d, replace_convolutions

CASES = {
    "pointwise": nn.Conv2d(24, 16, 1, bias=False),
    "pointwise, strided": nn.Conv2d(24, 16, 1, stride=2),
    "3 x 3": nn.Conv2d(16, 24, 3, padding=1),
    "3 x 3, strided, dilated": nn.Conv2d(16, 24, 3, stride=2, padding=2, dilation=2),
    "1 x 3": nn.Conv2d(16, 24, (1, 3), padding=(0, 1)),
    "depthwise": nn.Conv2d(16, 16, 5, stride=2, padding=2, groups=16, bias=False),
}


def gradients(layer: nn.Module, images: Tensor, dtype: torch.dtype | None) -> list[Tensor]:
    """Of the images and of the parameters, with what came out; under autocast to ``dtype``."""
    images = images.clone().requires_grad_()
    with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
        made = layer(images)
    layer.zero_grad()
    pull = torch.rand(made.shape, generator=torch.Generator().manual_seed(1)) - 0.5
    (made.float() * pull).sum().backward()
    return [made.detach().float(), images.grad, *(parameter.grad.clone() for parameter in layer.parameters())]


@pytest.mark.parametrize("layer", CASES.values(), ids=CASES)
def test_gradients_are_those_of_the_plain_convolution(layer: nn.Conv2d) -> None:
    quick = QuickConv2d.of(copy.deepcopy(layer))
    images = torch.rand(4, layer.in_channels, 13, 12, generator=torch.Generator().manual_seed(0)) - 0.5
    images = images.contiguous(memory_format=torch.channels_last)
    for mine, plain in zip(gradients(quick, images, None), gradients(layer, images, None), strict=True):
        assert torch.equal(mine, plain)  # without autocast nothing is another
    exact = gradients(layer, images, None)
    mine, plain = gradients(quick, images, torch.bfloat16), gradients(layer, images, torch.bfloat16)
    assert torch.equal(mine[0], plain[0])
    for one, other, wanted in zip(mine, plain, exact, strict=True):
        assert one.dtype == wanted.dtype
        scale = wanted.abs().max()
        assert (one - wanted).abs().max() <= 1.1 * (other - wanted).abs().max() + 4e-3 * scale


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18", "mobilenet_v3_small", "densenet121"])
def test_a_body_keeps_its_names_and_what_it_computes(name: str) -> None:
    body = load_backbone(name, "none").body
    names = list(body.state_dict())
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    before = body(images)
    replace_convolutions(body)
    assert list(body.state_dict()) == names
    assert torch.equal(body(images), before)
    assert any(isinstance(module, QuickConv2d) for module in body.modules())


@pytest.mark.parametrize("padding", [0, "valid"])
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_a_pointwise_stride_over_few_channels_has_a_gradient(
    dtype: torch.dtype | None, padding: int | str
) -> None:
    """Torch's own is wrong for channels_last images, or ends the process; for others it is right."""
    layer = nn.Conv2d(3, 16, 1, stride=2, padding=padding)
    images = torch.rand(4, 3, 13, 12, generator=torch.Generator().manual_seed(0)) - 0.5
    wanted = gradients(layer, images, None)
    replaced = nn.Sequential(copy.deepcopy(layer)).to(memory_format=torch.channels_last)
    replace_convolutions(replaced)
    found = gradients(replaced, images.contiguous(memory_format=torch.channels_last), dtype)
    for mine, right in zip(found, wanted, strict=True):
        assert torch.allclose(mine, right, atol=2e-2 * right.abs().max() if dtype else 1e-5)


def test_what_does_not_gain_stays() -> None:
    kept = nn.Sequential(nn.Conv2d(3, 64, 7), nn.Conv2d(64, 64, 3, groups=4), nn.Conv2d(16, 16, 5))
    replace_convolutions(kept)
    assert not any(isinstance(module, QuickConv2d) for module in kept)

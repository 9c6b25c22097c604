import hashlib
import io
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from xray_tui.errors import UserError
from xray_tui.models import weights as weights_module
from xray_tui.models.backbones import Backbone, load_backbone
from xray_tui.models.classifier import Classifier
from xray_tui.models.weights import fit, is_whole, read_published, read_weights

NAME = "shufflenet_v2_x0_5"


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    """A state dict as torchvision would publish it: body and `fc`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        return torchvision.models.get_model(NAME, weights=None).state_dict()


def assert_loaded(backbone: Backbone, published: dict[str, Tensor]) -> None:
    for name, tensor in backbone.body.state_dict().items():
        assert torch.equal(tensor, published[name]), name


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "args": "none"},
        lambda state: {"module." + key: tensor for key, tensor in state.items()},
        lambda state: {"state_dict": {"module._orig_mod." + key: tensor for key, tensor in state.items()}},
        lambda state: {k: t for k, t in state.items() if not k.endswith("num_batches_tracked")},
    ],
    ids=["plain", "state_dict", "model", "module.", "nested and prefixed", "before PyTorch 0.4.1"],
)
def test_a_torchvision_file_loads(wrap: Any, published: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(wrap(published), path)
    backbone = load_backbone(NAME, str(path))
    assert_loaded(backbone, published)
    assert backbone.source == f"file {path}"


def test_a_safetensors_file_loads(published: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(published, path)
    assert_loaded(load_backbone(NAME, str(path)), published)


def test_our_own_best_loads_into_a_body(tmp_path: Path) -> None:
    model = Classifier(load_backbone(NAME, "none", seed=5), 2)
    path = tmp_path / "best.safetensors"
    save_file(model.state_dict(), path)
    assert_loaded(load_backbone(NAME, str(path)), model.body.state_dict())


def test_densenets_published_names_load(tmp_path: Path) -> None:
    """Its files say norm.1 where the code says norm1."""
    model = torchvision.models.densenet121(weights=None)
    old = {}
    for key, tensor in model.state_dict().items():
        for part in ("norm", "conv"):
            for number in "12":
                if ".denselayer" in key:
                    key = key.replace(f".{part}{number}.", f".{part}.{number}.")
        old[key] = tensor
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    path = tmp_path / "densenet.pth"
    torch.save(old, path)
    assert_loaded(load_backbone("densenet121", str(path)), model.state_dict())


def test_a_file_that_does_not_fit_is_told_by_its_names(published: dict[str, Tensor]) -> None:
    body = load_backbone(NAME, "none").body
    before = {name: tensor.clone() for name, tensor in body.state_dict().items()}
    wrong = {key: tensor for key, tensor in published.items() if not key.startswith("conv5")}
    wrong["conv1.0.weight"] = wrong["conv1.0.weight"][:, :1]
    wrong["layer9.weight"] = torch.zeros(1)
    with pytest.raises(UserError) as caught:
        fit(body, wrong, name=NAME, origin="some.pth")
    message = caught.value.message
    assert "some.pth does not fit shufflenet_v2_x0_5" in message
    assert "5 missing (conv5.0.weight, conv5.1.weight, conv5.1.bias, …)" in message
    assert "1 unexpected (layer9.weight)" in message
    assert "1 of another shape (conv1.0.weight)" in message
    assert all(torch.equal(tensor, before[name]) for name, tensor in body.state_dict().items())


class _Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("sprung"),))


def test_a_pickled_object_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1.weight": _Trap()}, "trap.pth")
    with pytest.raises(UserError, match="refused"):
        read_weights(Path("trap.pth"))
    assert not Path("sprung").exists()


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no weights file .*gone\.pth"):
        load_backbone(NAME, str(tmp_path / "gone.pth"))


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors"])
def test_a_cut_file_is_told(name: str, published: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / name
    if path.suffix == ".pth":
        torch.save(published, path)
    else:
        save_file(published, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=name):
        read_weights(path)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": {}}])
def test_a_file_without_weights_is_told(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "empty.pth")
    with pytest.raises(UserError, match="holds no state_dict"):
        read_weights(tmp_path / "empty.pth")


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch hub cache, and no network."""

    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", unreachable)
    return tmp_path / "checkpoints"


def test_a_failed_download_names_the_file_and_the_ways_out(checkpoints: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_backbone("resnet50")
    message, hint = caught.value.message, caught.value.hint
    assert "resnet50-0676ba61.pth" in message
    assert str(checkpoints) in message
    assert "no route to host" in message
    assert "\n" not in message
    assert len(hint.splitlines()) == 3
    for way_out in ("Put it there", "--weights FILE", "--backbone efficientnet_lite0", "--weights none"):
        assert way_out in hint
    assert list(checkpoints.iterdir()) == []


def test_a_damaged_cached_file_is_named(checkpoints: Path) -> None:
    checkpoints.mkdir()
    path = checkpoints / "resnet50-0676ba61.pth"
    path.write_bytes(b"half a file")
    with pytest.raises(UserError) as caught:
        load_backbone("resnet50")
    assert f"{path} is damaged" in caught.value.message
    assert "Delete it" in caught.value.hint


class _Published:
    """Stands for a member of torchvision's WeightsEnum."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get_state_dict(self, **arguments: Any) -> Any:
        return torch.hub.load_state_dict_from_url(self.url, **arguments)


def serve(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    class Response(io.BytesIO):
        def info(self) -> Any:
            return type("Headers", (), {"get_all": lambda self, _: [str(len(content))]})()

    monkeypatch.setattr(torch.hub, "urlopen", lambda _: Response(content))


def test_a_download_is_checked_kept_and_silent(
    checkpoints: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    buffer = io.BytesIO()
    torch.save({"conv1.weight": torch.ones(2)}, buffer)
    content = buffer.getvalue()
    serve(content, monkeypatch)
    right = hashlib.sha256(content).hexdigest()[:8]

    with pytest.raises(UserError, match="invalid hash"):
        read_published("net", _Published("https://example.org/net-00000000.pth"))
    assert list(checkpoints.iterdir()) == []

    tensors = read_published("net", _Published(f"https://example.org/net-{right}.pth"))
    assert torch.equal(tensors["conv1.weight"], torch.ones(2))
    kept = checkpoints / f"net-{right}.pth"
    assert kept.read_bytes() == content
    assert is_whole(kept)
    kept.write_bytes(content[:-1])
    assert not is_whole(kept)
    assert capfd.readouterr() == ("", "")


def test_published_weights_load_from_the_cache(
    checkpoints: Path, published: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.mkdir()
    member = torchvision.models.get_model_weights(NAME).IMAGENET1K_V1
    torch.save(published, checkpoints / Path(member.url).name)
    backbone = load_backbone(NAME)
    assert_loaded(backbone, published)
    assert backbone.source == "torchvision ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1"
    assert backbone.mean == (0.485, 0.456, 0.406)


def test_head_parts_are_never_part_of_a_body() -> None:
    body = load_backbone("efficientnet_lite0", "none").body
    assert not {name for name, _ in body.named_children()} & weights_module.HEAD_PARTS

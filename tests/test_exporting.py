"""A run's network as a file, asked by programs that know nothing of this one."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from tests.conftest import write_folder, write_image
from tests.trained_runs import finished, tiny_networks
from xray_tui import cli, exporting
from xray_tui.errors import UserError
from xray_tui.exported_card import LOAD_ONNX
from xray_tui.exporting import Exported, export
from xray_tui.runs.directory import RunDirectory
from xray_tui.trained import Trained, judge, load, predict
from xray_tui.words import probability

README = Path(__file__).parents[1] / "README.md"
CLASSES = ["NORMAL", "PNEUMONIA"]


@pytest.fixture(scope="module", autouse=True)
def _tiny() -> Iterator[None]:
    with tiny_networks():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    counts = {"train": {"NORMAL": 9, "PNEUMONIA": 9}, "val": dict.fromkeys(CLASSES, 30)}
    data = write_folder(tmp_path_factory.mktemp("data"), counts | {"test": dict.fromkeys(CLASSES, 8)})
    return finished(data, tmp_path_factory.mktemp("runs"), {"data.split": "folders"})


@pytest.fixture(scope="module")
def trained(run: RunDirectory) -> Trained:
    return load(run, "cpu")


@pytest.fixture(scope="module")
def onnx(run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(run, "onnx", tmp_path_factory.mktemp("mit Umläuten 胸部") / "the model.onnx")


def pixels(count: int) -> torch.Tensor:
    return torch.randint(
        256, (count, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(7)
    )


def session(file: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])


def same_as_the_run(trained: Trained, file: Path) -> None:
    """Probabilities of several batches: with its temperature, and over mirror images where it has them."""
    network = session(file)
    for count in (1, 3, 17):
        images = pixels(count)
        (found,) = network.run(None, {"images": images.numpy()})
        assert found.dtype == np.float32
        wanted = judge(trained, images, torch.zeros(count, dtype=torch.int64)).probabilities
        assert found == pytest.approx(wanted, abs=1e-4)


def test_onnx_says_what_the_run_says(trained: Trained, onnx: Exported) -> None:
    assert trained.temperature is not None
    assert trained.settings.evaluation.tta == "flip"
    same_as_the_run(trained, onnx.file)
    assert onnx.difference is not None
    assert onnx.difference <= 1e-4
    (taken,) = session(onnx.file).get_inputs()
    assert (taken.name, taken.type, taken.shape) == ("images", "tensor(uint8)", ["batch", 1, 32, 32])


@pytest.mark.long
def test_a_real_network_says_what_its_run_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from xray_tui.engine import plan
    from xray_tui.models.backbones import load_backbone

    monkeypatch.setattr(plan, "load_backbone", load_backbone)
    changes = {"model.backbone": "efficientnet_lite0", "model.weights": "auto", "training.image_size": 32}
    run = finished(write_folder(tmp_path / "data"), tmp_path / "runs", changes)
    for form in ("onnx", "pt2"):
        export(run, form, tmp_path / f"lite0.{form}")
    same_as_the_run(load(run, "cpu"), tmp_path / "lite0.onnx")


def test_pt2_says_what_the_run_says(run: RunDirectory, trained: Trained, tmp_path: Path) -> None:
    found = export(run, "pt2", tmp_path / "model.pt2")
    assert found.difference == pytest.approx(0, abs=1e-4)
    extra = {"xray_tui.json": ""}
    network = torch.export.load(str(found.file), extra_files=extra).module()
    for count in (1, 4):
        wanted = judge(trained, pixels(count), torch.zeros(count, dtype=torch.int64)).probabilities
        assert network(pixels(count)).numpy() == pytest.approx(wanted, abs=1e-4)
    assert json.loads(extra["xray_tui.json"]) == exporting.describe(trained)
    assert "torch.export.load" in found.card.read_text()


def test_what_a_program_must_know_is_in_the_file(run: RunDirectory, trained: Trained, onnx: Exported) -> None:
    described = json.loads(session(onnx.file).get_modelmeta().custom_metadata_map["xray_tui"])
    assert described == {
        "run": run.name,
        "xray_tui": exporting.xray_tui.__version__,
        "backbone": trained.backbone.name,
        "epoch": trained.epoch,
        "classes": CLASSES,
        "positive": "PNEUMONIA",
        "rule": "youden",
        "threshold": trained.threshold,
        "temperature": trained.temperature,
        "resize": 57,
        "image_size": 32,
        "mirrored": True,
    }


def test_the_card_tells_what_it_is_and_how_it_did(
    run: RunDirectory, trained: Trained, onnx: Exported
) -> None:
    card = onnx.card.read_text(encoding="utf-8")
    assert onnx.card.name == "the model.onnx.md"
    for told in (
        run.name,
        "no medical device",
        "uint8 (N, 1, 32, 32)",
        "resized to 57 px",
        f"from a probability of {probability(trained.threshold, 6)} on",
        f"divided by {trained.temperature:.4g}",
        "mirrored",
        "validation (60 images)",
        "test (16 images)",
        "95 % interval",
        "Train learns, validation chooses, test is evaluated at the end.",
        "| train | 9 | 9 | 18 |",
        "off by",
    ):
        assert told in card, told
    assert LOAD_ONNX.replace("FILE", "the model.onnx") in card


@pytest.mark.parametrize(
    ("size", "read"),
    # 57 is the short side wanted, and 25 pixels of it are cut off: the middle lies between two pixels.
    [((48, 40), "40 48"), ((38, 51), "51 38"), ((602, 480), "60 76"), ((90, 71), "71 90")],
)
def test_the_snippet_of_the_readme_needs_none_of_this(
    size: tuple[int, int], read: str, trained: Trained, onnx: Exported, tmp_path: Path
) -> None:
    snippet = next(
        code for code in re.findall(r"```python\n(.*?)```", README.read_text(), re.S) if "onnxruntime" in code
    )
    assert snippet == LOAD_ONNX.replace("FILE", "model.onnx")
    shutil.copy(onnx.file, tmp_path / "model.onnx")
    film = write_image(tmp_path / "film.jpeg", size=size, seed=3)
    blocked = "import sys; sys.modules['xray_tui'] = sys.modules['torch'] = None\n"
    code = [sys.executable, "-c", f"{blocked}{snippet}print(*image.size)"]
    said, seen = subprocess.run(
        code, cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert seen == read, "a large JPEG is decoded at an eighth, as in training"
    (wanted,) = predict(trained, [film])
    found = json.loads(said.replace("'", '"'))
    assert list(found) == CLASSES
    assert list(found.values()) == pytest.approx(wanted.probabilities.tolist(), abs=0.002)


def test_nothing_is_replaced_unless_that_is_wanted(run: RunDirectory, tmp_path: Path) -> None:
    file = tmp_path / "model.pt2"
    (tmp_path / "model.pt2.md").write_text("mine")
    with pytest.raises(UserError, match=r"model\.pt2\.md is there already") as caught:
        export(run, "pt2", file)
    assert "--force" in caught.value.hint
    assert [each.name for each in tmp_path.iterdir()] == ["model.pt2.md"]
    export(run, "pt2", file, force=True)
    assert (tmp_path / "model.pt2.md").read_text() != "mine"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["model.pt2", "model.pt2.md"]
    with pytest.raises(UserError, match="there is no folder"):
        export(run, "pt2", tmp_path / "nowhere" / "model.pt2")
    with pytest.raises(UserError, match="not UTF-8"):
        export(run, "pt2", tmp_path / "\udcff.pt2")


def test_what_is_off_is_not_written(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_runner", lambda form, file: lambda images: np.zeros((len(images), 2)))
    with pytest.raises(UserError, match="is off by"):
        export(run, "pt2", tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("reason", "told"),
    [(ValueError("no such operator"), UserError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_what_stops_the_exporter_comes_out_of_its_wrapping(
    reason: BaseException,
    told: type[BaseException],
    run: RunDirectory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("step 2/3 failed") from reason

    monkeypatch.setattr(exporting, "_write_pt2", fail)
    with pytest.raises(told, match=r"no such operator|^$"):
        export(run, "pt2", tmp_path / "model.pt2")
    assert list(tmp_path.iterdir()) == []


def test_extras_that_are_missing(run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = exporting.find_spec
    monkeypatch.setattr(exporting, "find_spec", lambda name: None if name == "onnxscript" else found(name))
    with pytest.raises(UserError) as caught:
        export(run, "onnx", tmp_path / "model.onnx")
    assert "xray-tui[export]" in caught.value.hint


@pytest.mark.long
def test_large_weights_lie_beside(
    run: RunDirectory,
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """And without onnxruntime it is said that nobody checked; the exporters' talk is kept away."""
    monkeypatch.setattr(exporting, "_MOST_BYTES_OF_ONE_FILE", 0)
    found = exporting.find_spec
    monkeypatch.setattr(exporting, "find_spec", lambda name: None if name == "onnxruntime" else found(name))
    file = tmp_path / "model.onnx"
    words = ["export", str(run.path), "--output", str(file)]
    with pytest.raises(SystemExit) as ended:
        cli.app(words)
    assert ended.value.code == 0
    said = capfd.readouterr()
    names = ["model.onnx", "model.onnx.data", "model.onnx.md"]
    assert [line.rpartition("/")[2].split("  ")[0] for line in said.out.splitlines()] == names
    assert said.err == "not checked: onnxruntime is not installed\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == names
    assert "Not checked" in (tmp_path / "model.onnx.md").read_text()
    same_as_the_run(trained, file)


def test_json_tells_what_was_written(
    run: RunDirectory, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        cli.app(["export", str(run.path), "--format", "pt2", "--json"])
    said = capfd.readouterr()
    assert said.err == ""
    told = json.loads(said.out)
    assert (told["file"], told["format"], told["beside"]) == (f"{run.name}.pt2", "pt2", None)
    assert told["bytes"] == (tmp_path / told["file"]).stat().st_size
    assert told["difference"] <= 1e-4

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import write_folder, write_image
from tests.engine.conftest import SMALL, run_recipe
from xray_tui import config, launch
from xray_tui.data.augmentation import plain
from xray_tui.engine import plan
from xray_tui.engine.controls import Controls
from xray_tui.engine.explain import Explainer, seen
from xray_tui.errors import UserError
from xray_tui.models.backbones import Backbone
from xray_tui.runs import follow
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.predictions import KeptPredictions
from xray_tui.runs.record import RunRecord

BARE = "checkpoints/best.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run with three epochs, the radiographs beside it."""
    folder = tmp_path_factory.mktemp("explain")
    data = write_folder(folder / "chest", size=(48, 60))
    settings = config.load(SMALL | {"data.root": str(data), "run.runs_dir": str(folder / "runs")})
    opened: list[RunDirectory] = []
    launch.start(settings, lambda event: None, Controls(), opened=opened.append)
    return opened[0]


@pytest.fixture
def run(whole: RunDirectory, tmp_path: Path) -> RunDirectory:
    """A copy of it that a test may change."""
    return RunDirectory(Path(shutil.copytree(whole.path, tmp_path / "run")))


def explainer(run: RunDirectory) -> Explainer:
    return Explainer(run.config, run.checkpoints, 2)


def radiograph(run: RunDirectory, image: int) -> Path:
    path = KeptPredictions(run, ["NORMAL", "PNEUMONIA"]).images().paths[image]
    return Path(config.load({}, file=run.config).data.root) / path


def best_of(run: RunDirectory) -> int:
    best = RunRecord.of(follow.read(run)).best
    assert best is not None
    return best.epoch


def test_the_copy_says_what_the_run_said(run: RunDirectory) -> None:
    """The same pixels and the same weights: its probabilities are those of the best epoch."""
    best, explain = best_of(run), explainer(run)
    said = KeptPredictions(run, ["NORMAL", "PNEUMONIA"]).epoch(best).probabilities
    for image in range(0, len(said), 5):
        found = explain(radiograph(run, image), best)
        assert found.epoch == best
        assert found.probabilities == pytest.approx(said[image], abs=1e-4)
        assert found.predicted == said[image].argmax()
        assert found.heat.dtype == np.float32
        assert 0 <= found.heat.min() <= found.heat.max() <= 1
        assert found.silent == (found.heat.max() == 0)


def test_of_a_run_that_zooms_and_means_over_mirror_images_too(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "chest", size=(48, 60))
    unfrozen = {"training.unfrozen.learning_rate": 1e-3, "evaluation.tta": "flip", "evaluation.zoom": 1.5}
    run = run_recipe(data, tmp_path / "runs", unfrozen).directory
    said = KeptPredictions(run, ["NORMAL", "PNEUMONIA"]).epoch(best_of(run)).probabilities
    explain = explainer(run)
    for image in range(len(said)):
        found = explain(radiograph(run, image), best_of(run))
        assert found.probabilities == pytest.approx(said[image], abs=1e-4)
        assert found.predicted == said[image].argmax()


def test_the_last_weights_are_asked_about_the_last_epoch(run: RunDirectory) -> None:
    said = KeptPredictions(run, ["NORMAL", "PNEUMONIA"]).epoch(2).probabilities
    found = explainer(run)(radiograph(run, 0), 2)
    assert found.epoch == 2
    assert found.probabilities == pytest.approx(said[0], abs=1e-4)


def test_about_an_epoch_whose_weights_are_gone_the_best_are_asked(run: RunDirectory) -> None:
    other = next(epoch for epoch in range(3) if epoch not in (2, best_of(run)))
    assert explainer(run)(radiograph(run, 0), other).epoch == best_of(run)


def test_without_best_the_last_weights_are_asked(run: RunDirectory) -> None:
    (run.path / BARE).unlink()
    assert explainer(run)(radiograph(run, 0), 0).epoch == 2


def test_without_last_nobody_knows_the_epoch(run: RunDirectory) -> None:
    (run.checkpoints / "last.safetensors").unlink()
    assert explainer(run)(radiograph(run, 0), 0).epoch is None


def test_a_copy_is_kept_until_its_checkpoint_changes(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    load = plan.load_backbone

    def build(name: str, weights: str, *, seed: int, image_size: int) -> Backbone:
        built.append(weights)
        return load(name, weights, seed=seed, image_size=image_size)

    monkeypatch.setattr(plan, "load_backbone", build)
    explain, other = explainer(run), 0 if best_of(run) != 0 else 1
    explain(radiograph(run, 0), other)
    explain(radiograph(run, 1), other)
    assert built == ["none"], "and no published weights are loaded"
    best = run.path / BARE
    os.utime(best, ns=(0, best.stat().st_mtime_ns + 1_000_000))
    explain(radiograph(run, 1), other)
    assert len(built) == 2


def test_without_weights_it_says_so(run: RunDirectory) -> None:
    shutil.rmtree(run.checkpoints)
    with pytest.raises(UserError, match="No weights are kept yet"):
        explainer(run)(radiograph(run, 0), 0)


def test_damaged_weights_and_other_ones_are_told(run: RunDirectory) -> None:
    (run.checkpoints / "last.safetensors").unlink()
    (run.path / BARE).write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match="cannot be read"):
        explainer(run)(radiograph(run, 0), 0)


def test_weights_of_another_network_are_told(run: RunDirectory) -> None:
    with pytest.raises(UserError, match="does not fit the run's settings"):
        Explainer(run.config, run.checkpoints, 3)(radiograph(run, 0), 0)


def test_a_broken_radiograph_is_told(run: RunDirectory, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    with pytest.raises(UserError, match=r"broken\.png cannot be read"):
        explainer(run)(broken, 0)


def test_explaining_moves_no_generator(run: RunDirectory) -> None:
    before = torch.get_rng_state()
    explainer(run)(radiograph(run, 0), 0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ((300, 300), (22 / 300, 22 / 300, 278 / 300, 278 / 300)),
        ((150, 600), (0.5 - 64 / 600, 11 / 150, 0.5 + 64 / 600, 139 / 150)),
        ((600, 150), (11 / 150, 0.5 - 64 / 600, 139 / 150, 0.5 + 64 / 600)),
    ],
)
def test_what_part_the_network_sees(shape: tuple[int, int], box: tuple[float, ...]) -> None:
    assert seen(shape, 300, 256) == pytest.approx(box)


def test_the_seen_part_is_where_the_crop_comes_from(tmp_path: Path) -> None:
    """White there and black around gives a crop that is white up to its edges."""
    path = write_image(tmp_path / "film.png", size=(200, 320))
    left, top, right, bottom = seen((200, 320), 150, 128)
    pixels = np.zeros((200, 320), np.uint8)
    pixels[round(top * 200) : round(bottom * 200), round(left * 320) : round(right * 320)] = 255
    Image.fromarray(pixels).save(path)
    cropped = plain(torch.from_numpy(np.array(Image.open(path)))[None], 150, 128)
    assert cropped[0, 2:-2, 2:-2].min() == 255
    assert cropped.float().mean() > 250


def test_the_dashboard_asks_the_same(run: RunDirectory) -> None:
    from xray_tui.tui.parts import make_explainer  # the screen is not needed for the tests above

    best = best_of(run)
    asked, found = explainer(run)(radiograph(run, 0), best), make_explainer(run, 2)(radiograph(run, 0), best)
    assert (found.epoch, found.predicted, found.box) == (asked.epoch, asked.predicted, asked.box)
    assert found.heat == pytest.approx(asked.heat)

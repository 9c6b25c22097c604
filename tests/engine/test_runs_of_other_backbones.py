"""Runs of a network for grey images, and of one of timm's: what sits between the pixels and the body."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.conftest import write_folder
from tests.engine.conftest import run_recipe
from xray_tui.engine import plan
from xray_tui.engine.explain import Explainer
from xray_tui.events import EpochEnded
from xray_tui.models.backbones import Backbone
from xray_tui.runs.directory import RunDirectory


def grey_backbone(name: str, weights: str, *, seed: int, image_size: int) -> Backbone:
    """For images of one channel, and of the range that torchxrayvision's take."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        body = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3))
    return Backbone(name, body.eval(), 8, (0.5,), (1 / 2048,), weights)


def explained(directory: RunDirectory, radiograph: Path) -> np.ndarray:
    return Explainer(directory.config, directory.checkpoints, 2)(radiograph, None).heat


def test_a_network_for_grey_images_runs_both_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "load_backbone", grey_backbone)
    data = write_folder(tmp_path / "data")
    changes = {"evaluation.tta": "flip", "training.unfreeze_from": "2", "training.frozen.epochs": 1}
    run = run_recipe(data, tmp_path / "runs", changes)
    assert run.ended is not None
    assert run.ended.outcome == "done"
    assert len(run.of(EpochEnded)) == 2
    heat = explained(run.directory, next((data / "test").rglob("*.png")))
    assert heat.ndim == 2
    assert np.isfinite(heat).all()


def test_a_model_of_timms_runs_both_stages(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data")
    changes = {
        "model.backbone": "timm:test_resnet",
        "training.frozen.epochs": 1,
        "training.unfreeze_from": "layer3",
    }
    run = run_recipe(data, tmp_path / "runs", changes)
    assert run.ended is not None
    assert run.ended.outcome == "done"
    assert run.directory.name.endswith("-timm-test_resnet"), "a colon is no part of a file name everywhere"
    assert explained(run.directory, next((data / "test").rglob("*.png"))).shape == (1, 1)

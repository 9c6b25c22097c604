"""Finished runs to predict with: their network takes no time, and nobody draws figures of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import run_recipe, tiny_backbone
from xray_tui.engine import plan
from xray_tui.runs.directory import RunDirectory

CHANGES: dict[str, Any] = {
    "training.frozen.epochs": 1,
    "training.unfrozen.epochs": 2,
    "training.unfrozen.learning_rate": 1e-2,
    "evaluation.operating_point": "youden",
    "evaluation.calibrate": True,
    "evaluation.tta": "flip",
    "evaluation.zoom": 1.5,
    "evaluation.explain": False,
}


@contextmanager
def tiny_networks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "load_backbone", tiny_backbone)
        yield


def finished(data: Path, runs: Path, changes: dict[str, Any] | None = None) -> RunDirectory:
    """A run with calibrated probabilities, an operating point, test-time augmentation and a zoom."""
    return run_recipe(data, runs, CHANGES | (changes or {})).directory

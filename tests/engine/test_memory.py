"""Memory that is full: batches are halved once, and said to be."""

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from torch import Tensor

from tests.engine.conftest import Run, resume
from xray_tui.engine import checkpoints, room
from xray_tui.engine.controls import Controls
from xray_tui.errors import UserError
from xray_tui.events import EpochEnded, Event, Progress, Warning
from xray_tui.models.classifier import Classifier
from xray_tui.runs.directory import list_runs

pytestmark = pytest.mark.usefixtures("tiny")

Recipe = Callable[..., Run]
CPU = "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory"


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Batches that were trained on, where there is room for so many images that the last number says."""
    forward = Classifier.forward
    trained = [4]

    def run(model: Classifier, images: Tensor) -> Tensor:
        made = forward(model, images)  # which moves the statistics of BatchNorm
        if model.training:
            if len(images) > trained[0]:
                raise torch.OutOfMemoryError("CUDA out of memory.") if len(images) % 3 else RuntimeError(CPU)
            trained.append(len(images))
        return made

    monkeypatch.setattr(Classifier, "forward", run)
    monkeypatch.setattr(room, "_free_bytes", lambda device: 1e12)
    return trained


def stop_after_epoch_0(event: Event, controls: Controls) -> None:
    if isinstance(event, EpochEnded) and event.epoch == 0:
        controls.stop()


def raised(error: Exception) -> NoReturn:
    raise error


def test_half_the_batch_is_tried_and_journaled(chest: Path, recipe: Recipe, sizes: list[int]) -> None:
    run = recipe(chest, {"training.frozen.epochs": 2, "training.augment_views": "off"})
    assert run.ended.outcome == "done"
    assert [w.message for w in run.of(Warning)] == [
        "no memory for batches of 8; the run goes on with 4 images a batch"
    ]
    assert sizes[1:] == [4] * 6 * 3, "24 images in each of three epochs, none twice"
    passes: list[Progress] = [e for e in run.of(Progress) if e.phase == "train" and e.epoch == 0]
    assert passes[-1].done == 24


def test_a_resumed_run_keeps_to_it(chest: Path, recipe: Recipe, sizes: list[int]) -> None:
    run = recipe(chest, {"training.augment_views": "off"}, stop_after_epoch_0)
    assert run.ended.outcome == "interrupted"
    sizes[0] = 1000
    rest = resume(run.directory)
    assert rest.ended is not None
    assert rest.ended.outcome == "done"
    assert set(sizes[1:]) == {4}


def test_a_second_time_ends_the_run_with_the_size_that_would_fit(
    chest: Path, recipe: Recipe, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes[0] = 2
    monkeypatch.setattr(room, "fitting", lambda *_: 2)
    with pytest.raises(UserError, match="no memory for batches of 4: 2 would fit") as told:
        recipe(chest, {"training.frozen.epochs": 0})
    assert "--batch-size 2" in told.value.hint
    (directory,) = list_runs(chest.parent / "runs")
    assert "no memory for batches of 4" in directory.journal.read_text()


FULL = torch.OutOfMemoryError("CUDA out of memory.")


@pytest.mark.parametrize(
    ("of", "what"), [(Classifier, "to"), (Classifier, "forward"), (checkpoints.torch, "empty_like")]
)
def test_a_device_that_others_have_filled_is_told(
    chest: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch, of: object, what: str
) -> None:
    """When the network is put there, when one asks how much a batch takes, and when Adam comes back."""
    run = recipe(chest, {"training.frozen.epochs": 0}, stop_after_epoch_0)
    monkeypatch.setattr(of, what, lambda *_, **__: raised(FULL))
    with pytest.raises(UserError, match="no memory on cpu for the network and two images") as told:
        resume(run.directory)
    assert "end what else uses it" in told.value.hint


def test_another_error_of_torch_is_none_of_memory(
    chest: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Classifier, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        recipe(chest, {"training.frozen.epochs": 0})

"""What only a GPU can show. Where there is none, each of these is skipped and says so.

    python -m pytest tests/engine/test_on_gpu.py        # on a machine with one: under a minute

How fast it is there, `tests/benchmarks/bare_machine.py` shows.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.conftest import write_folder
from tests.engine.conftest import Run, essence, read_whole, resume, run_recipe
from xray_tui import launch
from xray_tui.engine import passes
from xray_tui.engine.controls import Controls
from xray_tui.events import EpochEnded, Event, RunStarted, Warning
from xray_tui.models.classifier import Classifier
from xray_tui.trained import load, predict

GPU: dict[str, Any] = {
    "model.backbone": "resnet18",
    "hardware.device": "cuda",
    "hardware.precision": "auto",
    "training.image_size": 64,
    "training.unfrozen.learning_rate": 1e-3,
    "training.unfrozen.epochs": 2,
}

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
    pytest.mark.usefixtures("released"),  # as the program does it: what a run had there is asked for again
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    counts = {"NORMAL": 24, "PNEUMONIA": 40}
    return write_folder(
        tmp_path_factory.mktemp("data") / "chest", dict.fromkeys(("train", "val", "test"), counts)
    )


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_recipe(data, tmp_path_factory.mktemp("runs"), GPU)


def weights(run: Run) -> dict[str, Tensor]:
    return load_file(run.directory.checkpoints / "last.safetensors")


def test_a_run_ends_and_says_on_what(whole: Run) -> None:
    assert whole.ended is not None
    assert whole.ended.outcome == "done"
    (started,) = whole.of(RunStarted)
    assert started.device.startswith("cuda:0 (")
    assert started.settings["hardware"]["device"] == "cuda:0"
    assert read_whole(whole.directory)[-1] == whole.journaled[-1]
    assert torch.cuda.max_memory_allocated() > 0


def test_its_weights_give_the_same_verdicts_on_a_cpu(whole: Run, data: Path) -> None:
    films = sorted((data / "test").rglob("*.png"))
    there, here = (
        np.stack([one.probabilities for one in predict(load(whole.directory, device), films)])
        for device in ("cuda", "cpu")
    )
    assert np.abs(there - here).max() < 0.05, "but for bfloat16"


def test_the_same_seed_gives_the_same_run_resumed_or_not(whole: Run, data: Path, tmp_path: Path) -> None:
    def stop(event: Event, controls: Controls) -> None:
        if isinstance(event, EpochEnded) and event.epoch in (0, 2):
            controls.stop()

    run = run_recipe(data, tmp_path, GPU, stop)
    while run.ended is not None and run.ended.outcome == "interrupted":
        run = resume(run.directory, stop)
    assert essence(read_whole(run.directory)) == essence(read_whole(whole.directory))
    expected, found = weights(whole), weights(run)
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("views", ["off", "1"], ids=["fresh images", "kept features"])
def test_no_step_waits_for_the_gpu(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, views: str
) -> None:
    """Asked of the driver itself, from the second epoch of a stage on: the first fills what is kept there."""
    real: Callable[..., Any] = passes.train_epoch
    watched: list[int] = []

    def train_epoch(*given: Any, epoch: int, **named: Any) -> None:
        torch.cuda.set_sync_debug_mode("error" if epoch % 2 else "default")
        try:
            real(*given, epoch=epoch, **named)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        watched.append(epoch)

    monkeypatch.setattr(passes, "train_epoch", train_epoch)
    run_recipe(data, tmp_path, GPU | {"training.augment_views": views})
    assert watched == [0, 1, 2, 3]


def test_a_batch_without_a_number_is_left_out(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, calls = Classifier.learned, iter(range(10_000))

    def poisoned(model: Classifier, inputs: Tensor) -> Tensor:
        made = forward(model, inputs)
        return made * float("nan") if model.training and next(calls) == 3 else made

    monkeypatch.setattr(Classifier, "learned", poisoned)
    run = run_recipe(data, tmp_path, GPU | {"training.on_nan": "rollback"})
    assert run.ended is not None
    assert run.ended.outcome == "done"
    assert [told.kind for told in run.of(Warning)].count("not_finite") == 1
    assert all(tensor.isfinite().all() for tensor in weights(run).values() if tensor.is_floating_point())


def test_memory_that_ends_halves_the_batch_once(data: Path, tmp_path: Path) -> None:
    """This process may take no more than the batch of 64 needs but for a little."""
    launch.release()
    torch.cuda.reset_peak_memory_stats()
    large = GPU | {"training.frozen.epochs": 0, "training.batch_size": 64, "training.image_size": 256}
    run_recipe(data, tmp_path / "room", large)
    enough = torch.cuda.max_memory_allocated()
    launch.release()
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(0.75 * enough / whole)
    try:
        run = run_recipe(data, tmp_path / "no room", large)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert run.ended is not None
    assert run.ended.outcome == "done"
    (told,) = [told.message for told in run.of(Warning) if told.kind == "out_of_memory"]
    assert told.startswith("no memory for batches of 64")
    assert told.endswith("the run goes on with 32 images a batch")

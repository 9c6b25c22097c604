"""What only a GPU can show. Where there is none, each of these is skipped and says so.

    python -m pytest tests/engine/test_on_gpu.py        # on a machine with one: a minute and a half

How fast it is there, `tests/benchmarks/bare_machine.py` shows.
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.conftest import write_folder
from tests.engine.conftest import SMALL, Run, essence, read_whole, resume, run_recipe
from tests.engine.ranks import in_ranks
from tests.engine.steps import steps_and_verdicts
from tests.engine.test_distributed import only_run, resumed, settings_of, whole_run
from xray_tui import config, launch
from xray_tui.data.augmentation import augment, draw
from xray_tui.data.decoding import decode
from xray_tui.engine import passes, room
from xray_tui.engine import plan as plans
from xray_tui.engine.controls import Controls
from xray_tui.engine.world import ALONE, World
from xray_tui.errors import UserError
from xray_tui.events import EpochEnded, Event, RunEnded, RunStarted, Warning
from xray_tui.models.classifier import Classifier
from xray_tui.settings import AugmentationSettings, Settings
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


@pytest.mark.parametrize("strong", [False, True], ids=["the recipe's", "with all levers"])
def test_a_batch_is_augmented_as_on_a_cpu(data: Path, *, strong: bool) -> None:
    levers = AugmentationSettings(gamma=0.3, blur=0.5, erase=0.5) if strong else AugmentationSettings()
    films = sorted((data / "train").rglob("*.png"))
    images = [torch.from_numpy(decode(film, 80).copy())[None] for film in films]
    chances = [draw(levers, (one.shape[1], one.shape[2]), 0, 0, n) for n, one in enumerate(images)]
    here = augment(images, chances, 80, 64)
    there = augment([one.cuda() for one in images], chances, 80, 64).cpu()
    apart = (there.int() - here.int()).abs().float()
    assert apart.mean() < 0.3, "levels, of rounding; and a turn takes the next pixel here or there"
    assert (apart > 8).float().mean() < 0.01


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


def exact_steps(world: World, settings: Settings, *, learns: bool) -> dict[str, Any]:
    """As `steps_and_verdicts`; float32 means all its digits here."""
    torch.backends.cudnn.allow_tf32 = False
    try:
        return steps_and_verdicts(world, settings, batchnorm_learns=learns)
    finally:
        torch.backends.cudnn.allow_tf32 = True


@pytest.mark.parametrize(
    ("batch_size", "learns", "tolerance"),
    [
        pytest.param(8, False, 1e-2, id="an epoch, BatchNorm as in evaluation"),  # 0.0012 on an H100
        # Of one step the gradients agree within a hundredth: what is lost in a float32's last digit grows so
        # large where BatchNorms learn, in one process too, and over several steps it grows beyond use.
        pytest.param(32, True, 3e-2, id="a step, SyncBatchNorm"),
    ],
)
def test_ranks_that_meet_by_nccl_do_what_one_process_does(
    uneven: Path, tmp_path: Path, batch_size: int, *, learns: bool, tolerance: float
) -> None:
    exact = {"hardware.precision": "float32", "model.dropout": 0.0, "training.batch_size": batch_size}
    settings = settings_of(uneven, tmp_path, GPU | exact)
    alone = exact_steps(ALONE, settings, learns=learns)
    ranks = in_ranks(3, partial(exact_steps, learns=learns), settings, hosts=True)
    for found in ranks:
        assert isinstance(found, dict), found
        for name in found.keys() - {"loss", "seen", "parameters"}:
            assert np.array_equal(found[name], alone[name]), name
        assert found["seen"] == alone["seen"]
        assert found["loss"] == pytest.approx(alone["loss"], rel=1e-4)
        for name, value in found["parameters"].items():
            wanted = alone["parameters"][name]
            assert np.linalg.norm(value - wanted) <= tolerance * np.linalg.norm(wanted), name
            assert np.array_equal(value, ranks[0]["parameters"][name]), name


def test_ranks_that_meet_by_nccl_end_a_run_stopped_or_not(uneven: Path, tmp_path: Path) -> None:
    """In each epoch's last batch, of 5 images, the third rank has none."""
    whole, *silent = in_ranks(3, whole_run, settings_of(uneven, tmp_path / "whole", GPU), hosts=True)
    assert isinstance(whole, list), whole
    assert silent == [[], []]
    assert [event.outcome for event in whole if isinstance(event, RunEnded)] == ["done"]
    assert not [event for event in whole if isinstance(event, Warning) and event.kind == "batchnorm_shares"]
    in_ranks(3, whole_run, settings_of(uneven, tmp_path / "stopped", GPU), "rank 1 stops", hosts=True)
    in_ranks(3, resumed, tmp_path / "stopped", hosts=True)
    _, journal = only_run(tmp_path / "stopped")
    assert [event.outcome for event in journal if isinstance(event, RunEnded)] == ["interrupted", "done"]
    assert essence(journal) == essence(only_run(tmp_path / "whole")[1])


LARGE = GPU | {"training.frozen.epochs": 0, "training.batch_size": 64, "training.image_size": 256}


def fill_all_but(free: float) -> Tensor:
    """As another program does: the driver itself knows of it. The memory is taken while this is held."""
    torch.cuda.empty_cache()
    return torch.empty(int(torch.cuda.mem_get_info()[0] - free), dtype=torch.uint8, device="cuda")


def shortages(run: Run) -> list[str]:
    assert run.ended is not None
    assert run.ended.outcome == "done"
    return [told.message for told in run.of(Warning) if told.kind == "out_of_memory"]


@pytest.fixture(scope="module")
def image_bytes(data: Path) -> float:
    """What a backward pass needs of an image at the very least."""
    chosen = plans.make(config.load(SMALL | LARGE | {"data.root": str(data)}), lambda _: None)
    return room.activation_bytes(chosen.model, chosen.hardware, 256)


def test_memory_that_ends_halves_the_batch_once_and_says_what_would_fit(
    data: Path, tmp_path: Path, image_bytes: float
) -> None:
    taken: list[Tensor] = []

    def fill(event: Event, _: Controls) -> None:
        if isinstance(event, RunStarted):
            taken.append(fill_all_but(60 * image_bytes))

    (told,) = shortages(run_recipe(data, tmp_path / "halved", LARGE, fill))
    said = re.fullmatch(
        r"no memory for batches of 64: (\d+) would fit; the run goes on with 32 images a batch", told
    )
    assert said is not None, told
    taken.clear()
    launch.release()
    fits = int(said[1])
    assert fits in (8, 16, 32)
    assert shortages(run_recipe(data, tmp_path / "fits", LARGE | {"training.batch_size": fits}, fill)) == []


def test_a_batch_that_cannot_fit_is_refused_with_one_that_does(
    data: Path, tmp_path: Path, image_bytes: float
) -> None:
    launch.release()
    taken = fill_all_but(30 * image_bytes)
    with pytest.raises(UserError, match="with batches of 64 at 256 px needs about") as refused:
        run_recipe(data, tmp_path, LARGE)
    said = re.search(r"--batch-size (\d+)", refused.value.hint)
    assert said is not None, refused.value.hint
    fits = int(said[1])
    assert fits in (4, 8, 16)
    assert shortages(run_recipe(data, tmp_path, LARGE | {"training.batch_size": fits})) == []
    assert taken.numel()

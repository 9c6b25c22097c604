"""The engine's way on a GPU, without one: each tensor says where it would lie, and none holds anything.

Shows that no step mixes devices or waits for the GPU: what has no value cannot be read back. What a GPU
computes, and how fast, only a GPU can show.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.engine.conftest import tiny_backbone
from xray_tui.data.augmentation import Normalisation
from xray_tui.data.folders import ImageFile
from xray_tui.data.letters import glyphs
from xray_tui.data.moving import move
from xray_tui.data.pixel_file import Kept
from xray_tui.data.pixels import MappedImages, Pixels
from xray_tui.engine.average import Average
from xray_tui.engine.batches import Batches
from xray_tui.engine.epoch import TrainPass, measure_batchnorm, predict, train_epoch
from xray_tui.engine.features import Features
from xray_tui.engine.hardware import Hardware
from xray_tui.engine.learner import optimizer_of
from xray_tui.engine.objective import Objective
from xray_tui.engine.times import Times
from xray_tui.models.backbones import load_backbone
from xray_tui.models.classifier import Classifier
from xray_tui.settings import (
    AugmentationSettings,
    AveragingSettings,
    HardwareSettings,
    LossSettings,
    OptimizerSettings,
    TrainingSettings,
)

GPU = torch.device("cuda", 0)
SIDE = 64
COUNT, BATCH = 10, 4


class Waits(TorchDispatchMode):
    """Notes each copy between host and GPU for which one waits for the other."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[str] = []
        self.pinned: list[Tensor] = []
        """Memory of the host that a GPU reaches by itself."""
        self.recorded = 0
        """Events so far."""
        self.late: list[int] = []
        """Of each event that was waited for: how many had been recorded since."""
        self.convolved: set[torch.dtype] = set()
        """Precisions of what the network's convolutions were given."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        if func._schema.name == "aten::convolution" and args[0].shape[1] > 1:  # else it blurs an image
            self.convolved.add(args[0].dtype)
        before = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        after = [one for one in tree_leaves(made) if isinstance(one, Tensor)]
        # A number that the host holds goes with the call, other than where a tensor is made of it there.
        moved = func._schema.name == "aten::_to_copy"
        places = {one.device.type for one in before if moved or one.ndim or one.is_cuda}
        crosses = len(places | {one.device.type for one in after}) > 1
        if crosses and any(one.numel() for one in after) and not self._is_free(func, args, kwargs or {}):
            self.noted.append(str(func))
        return made

    def _is_free(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
        """Whether it is a copy that nobody waits for: of memory that the GPU reaches by itself."""
        if func._schema.name == "aten::copy_":
            (into, out_of), non_blocking = args[:2], bool(args[2:] and args[2])
            on_host = into if out_of.is_cuda else out_of
        else:
            on_host, non_blocking = args[0], bool(kwargs.get("non_blocking"))
        return non_blocking and self.is_pinned(on_host)

    def is_pinned(self, tensor: Tensor) -> bool:
        return any(tensor is one for one in self.pinned)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Waits]:
    waits, empty, truth, recorded = Waits(), torch.empty, Tensor.__bool__, count(1)

    class Event:
        """Takes the place of ``torch.cuda.Event``."""

        def record(self, stream: torch.device) -> None:
            assert stream == GPU, "else it would tell of the first GPU's work"
            self.number = waits.recorded = next(recorded)

        def synchronize(self) -> None:
            waits.late.append(waits.recorded - self.number)

    def pinned(tensor: Tensor) -> Tensor:
        waits.pinned.append(tensor.clone())
        return waits.pinned[-1]

    def empty_or_pinned(*args: Any, pin_memory: bool = False, **named: Any) -> Tensor:
        return pinned(empty(*args, **named)) if pin_memory else empty(*args, **named)

    here = torch.Generator
    monkeypatch.setattr(Tensor, "pin_memory", pinned)
    monkeypatch.setattr(torch, "empty", empty_or_pinned)
    monkeypatch.setattr(torch, "Generator", lambda device="cpu": here())
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: device)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    # What the GPU has written there by the time: no batch was left out.
    monkeypatch.setattr(Tensor, "__bool__", lambda self: not waits.is_pinned(self) and truth(self))
    # Kept from one image to the next, and of no use to another pretence.
    glyphs.cache_clear()
    with FakeTensorMode():
        yield waits
    glyphs.cache_clear()


def on_gpu(model: Classifier) -> Classifier:
    """The same model, as if it lay there: moving would copy what cannot be copied."""
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in list(tensors.items()):
                if tensor is not None:
                    there = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=GPU)
                    kept = isinstance(tensor, nn.Parameter)
                    tensors[name] = nn.Parameter(there, tensor.requires_grad) if kept else there
    return model


class Pretended(NamedTuple):
    model: Classifier
    pixels: Pixels
    batches: Batches
    hardware: Hardware


def pretend(model: Classifier, settings: TrainingSettings, *, plain: bool = False) -> Pretended:
    """
    Args:
        plain: images are as for an evaluation: all as large as the network wants them.
    """
    normalisation = Normalisation((0.5,) * 3, (0.25,) * 3, GPU)
    sizes = [(SIDE, SIDE) if plain else (SIDE + 10 + number % 3, SIDE + 20) for number in range(COUNT)]
    images = [torch.zeros(1, *size, dtype=torch.uint8) for size in sizes]
    numbers = torch.arange(COUNT)
    files = [ImageFile(f"{number}.png", number % 2) for number in range(COUNT)]
    return Pretended(
        on_gpu(model),
        Pixels(files, images, numbers % 2, numbers, []),
        Batches(settings, normalisation, GPU, threads=1, times=Times()),
        Hardware(GPU, bfloat16=True, threads=1, settings=HardwareSettings(device="cuda:0"), processes=1),
    )


LEVERS = TrainingSettings(
    batch_size=BATCH,
    image_size=SIDE,
    optimizer=OptimizerSettings(name="adamw", weight_decay=0.01, group_factor=0.5),
    loss=LossSettings(balance="weights", label_smoothing=0.1, mixup=0.3, cutmix=0.3),
    averaging=AveragingSettings(kind="ema"),
    augmentation=AugmentationSettings(gamma=0.3, blur=0.5, noise=0.1, erase=0.5, letters=0.9),
)
RECIPE = TrainingSettings(batch_size=BATCH, image_size=SIDE)


@pytest.mark.parametrize("settings", [RECIPE, LEVERS], ids=["recipe", "levers"])
@pytest.mark.parametrize(
    ("body", "frozen"),
    [
        ("tiny", True),
        ("tiny", False),
        *(pytest.param("resnet18", frozen, marks=pytest.mark.long) for frozen in (False, True)),
    ],
)
def test_no_step_of_training_waits_for_the_gpu(
    gpu: Waits, monkeypatch: pytest.MonkeyPatch, body: str, frozen: bool, settings: TrainingSettings
) -> None:
    with torch._subclasses.fake_tensor.unset_fake_temporarily():
        load: Callable[..., Any] = tiny_backbone if body == "tiny" else load_backbone
        model = Classifier(load(body, "none", seed=0, image_size=SIDE), 2, hidden=16)
        (model.freeze if frozen else model.unfreeze)()
    it = pretend(model, settings)
    optimizer = optimizer_of(it.model, 1e-3, settings.optimizer)
    objective = Objective(settings.loss, [6, 4], GPU, 0, mixes=not frozen)
    average = Average(it.model, settings.averaging) if settings.averaging.kind != "none" else None
    done: list[int] = []

    def backward(_: Tensor) -> None:
        """Torch's own goes to the driver; what it leaves behind is this."""
        for parameter in it.model.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.empty_like(parameter)

    def step(images: int) -> None:
        done.append(images)
        if average:
            average.follow()

    monkeypatch.setattr(Tensor, "backward", backward)
    so_far = TrainPass.begin(GPU)
    with gpu:
        train_epoch(
            it.model,
            it.model,
            it.batches.train(it.pixels, 0),
            optimizer,
            objective,
            it.hardware,
            seed=0,
            epoch=0,
            so_far=so_far,
            times=Times(),
            step=step,
        )
        if average:
            batches = it.batches.train(it.pixels, 1)
            measure_batchnorm(it.model, it.model, batches, it.hardware, seed=0, epoch=1, step=lambda _: None)
    it.batches.close()
    assert done == [4, 8, 10]
    assert gpu.noted == []
    assert gpu.late == [2, 1, 0], "a flag is looked at two batches late, and all of them at the end"
    assert gpu.convolved == {torch.bfloat16}
    assert so_far.loss_sum.is_cuda
    assert all(parameter.grad.is_cuda for parameter in it.model.parameters() if parameter.grad is not None)


def tiny_model() -> Classifier:
    with torch._subclasses.fake_tensor.unset_fake_temporarily():
        return Classifier(tiny_backbone("tiny", "none", seed=0), 2, hidden=16)


def test_an_evaluation_waits_at_its_end_alone(gpu: Waits, monkeypatch: pytest.MonkeyPatch) -> None:
    it = pretend(tiny_model(), RECIPE, plain=True)
    waits: list[int] = []
    monkeypatch.setattr(Tensor, "numpy", lambda self: np.zeros(self.shape))
    with gpu:
        found = predict(
            it.model,
            it.model,
            it.batches.plain(it.pixels),
            it.hardware,
            step=lambda _: waits.append(len(gpu.noted)),
            times=Times(),
        )
    it.batches.close()
    assert waits == [0, 0, 0]
    assert len(gpu.noted) == 3, "probabilities, losses, labels"
    assert found.probabilities.shape == (COUNT, 2)


@pytest.fixture(params=[1e9, 0.0], ids=["room", "no room"])
def free(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """Bytes that the GPU has left."""
    left: float = request.param
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (left, left))
    return left


def test_features_lie_on_the_gpu_where_there_is_room(gpu: Waits, free: float) -> None:
    model = tiny_model()
    model.freeze()
    it = pretend(model, RECIPE)
    features = Features(it.model, it.batches, it.hardware, folder=None, times=Times())
    with gpu:
        kept = features.view(it.pixels, 0, lambda: lambda _: None)
        computed = len(gpu.noted)
        for batch in it.batches.kept(kept, it.pixels.labels, epoch=0):
            assert it.model.learned(batch.inputs).is_cuda
    it.batches.close()
    assert kept.shape[0] == COUNT
    assert kept.is_cuda == bool(free)
    assert computed == (0 if free else 3), "a batch is brought to the host, once in a stage"
    assert len(gpu.noted) == computed


def test_the_pixel_cache_lies_on_the_gpu_where_there_is_room(gpu: Waits, free: float) -> None:
    it = pretend(tiny_model(), RECIPE)
    side = SIDE + 20
    sides, marks = np.full(COUNT, side), np.zeros(COUNT, np.int64)
    images = MappedImages(Kept(np.zeros(COUNT * side * side, np.uint8), sides, sides, marks, broken={}))
    pixels = replace(it.pixels, images=images)
    with gpu:
        for epoch in range(2):
            for batch in it.batches.train(pixels, epoch):
                assert batch.inputs.is_cuda
                assert batch.inputs.is_contiguous(memory_format=torch.channels_last)
    it.batches.close()
    assert gpu.noted == (["aten._to_copy.default"] if free else []), "all of it, once in a run"


def test_what_would_wait_is_noted(gpu: Waits) -> None:
    """What the tests above would catch."""
    here, there = torch.zeros(3), torch.zeros(3, device=GPU)
    with gpu:
        here.to(GPU)
        here.to(GPU, non_blocking=True)
        there.cpu()
        assert len(gpu.noted) == 3, "memory that is not pinned is waited for too"
        move(here, GPU)
        assert len(gpu.noted) == 3
        with pytest.raises(DataDependentOutputException):
            bool(there.sum() > 0)
        with pytest.raises(RuntimeError, match="device"):
            here + there

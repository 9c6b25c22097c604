import gc
import weakref

import pytest
import torch

from xray_tui.engine import hardware, room
from xray_tui.errors import UserError
from xray_tui.models.backbones import load_backbone
from xray_tui.models.classifier import Classifier
from xray_tui.settings import HardwareSettings


@pytest.fixture(scope="module")
def model() -> Classifier:
    return Classifier(load_backbone("shufflenet_v2_x0_5", "none"), 2, hidden=16)


def test_what_autograd_keeps_grows_with_the_area_and_moves_no_statistics(model: Classifier) -> None:
    cpu = hardware.choose(HardwareSettings(device="cpu", precision="float32"))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    small, large = (room.activation_bytes(model, cpu, size) for size in (64, 128))
    assert 3.5 < large / small < 4.1
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_what_is_kept_once_is_of_no_image(model: Classifier) -> None:
    """Under autocast that is the weights: in half the bytes an image cannot take more than in all."""
    of = {
        precision: room.activation_bytes(
            model, hardware.choose(HardwareSettings(device="cpu", precision=precision)), 32
        )
        for precision in ("float32", "bfloat16")
    }
    assert 0.4 < of["bfloat16"] / of["float32"] < 1


def test_a_batch_that_does_not_fit_is_refused_with_one_that_does(
    model: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = hardware.choose(HardwareSettings(device="cpu", precision="float32"))
    image = room.activation_bytes(model, cpu, 64)
    monkeypatch.setattr(room, "_free_bytes", lambda device: image * 30)
    room.check(model, cpu, 16, 64)
    with pytest.raises(UserError, match="unfreezing this backbone with batches of 32 at 64 px") as error:
        room.check(model, cpu, 32, 64)
    assert "--batch-size 16" in error.value.hint


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory"),
            True,
        ),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 18.00 GB, other allocations: 2 MB)"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("GET was unable to find an engine to execute this computation"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_memory_that_is_full_has_many_words(error: RuntimeError, is_one: bool) -> None:
    assert room.is_shortage(error) == is_one


def test_the_question_keeps_no_model_alive() -> None:
    model = Classifier(load_backbone("shufflenet_v2_x0_5", "none"), 2, hidden=16)
    cpu = hardware.choose(HardwareSettings(device="cpu", precision="float32"))
    room.check(model, cpu, 2, 64)
    weights = weakref.ref(model.head[3].weight)
    del model
    gc.collect()
    assert weights() is None

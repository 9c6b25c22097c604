"""Whether a batch of the unfrozen stage fits into memory: asked before the run begins.

A CPU that runs out of memory is not told so: the system kills the process, hours into a run.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from xray_tui import memory
from xray_tui.engine.hardware import Hardware
from xray_tui.errors import UserError
from xray_tui.models.classifier import Classifier
from xray_tui.words import bytes_in_words

_OVERHEAD = 1.5
"""Peak over what autograd keeps: gradients and work space. Measured 1.0 to 1.5 on a CPU: four backbones, in
float32 and bfloat16."""

_SHORTAGES = (
    "DefaultCPUAllocator",
    "CUDA error: out of memory",
    "MPS backend out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "unable to find an engine to execute this computation",
)
"""How torch words it where it has no exception for it: its allocators on a CPU and a Mac; on a GPU, libraries
that take memory of their own, of which cuDNN may only find no way in what is left."""


def check(model: Classifier, hardware: Hardware, batch: int, image_size: int) -> None:
    """Refuse a batch that would not fit.

    Raises:
        UserError: with the batch size that would; not even two images do.
    """
    with enough(hardware.device):
        image = activation_bytes(model, hardware, image_size) * _OVERHEAD
    free = _free_bytes(hardware.device)
    if batch * image <= free:
        return
    fits = _power_of_two(free / image)
    smaller = f"use --batch-size {fits}, a" if fits else "use a"
    raise UserError(
        f"unfreezing this backbone with batches of {batch} at {image_size} px needs about "
        f"{bytes_in_words(batch * image)} of memory; {bytes_in_words(free)} are free",
        f"{smaller} smaller --image-size, or --unfrozen-epochs 0; "
        "a run that is resumed keeps what it has: free memory",
    )


def fitting(model: Classifier, hardware: Hardware, image_size: int) -> int:
    """Images of a batch that would fit into what is free now, a power of two; 0 where not even two would."""
    try:
        image = activation_bytes(model, hardware, image_size) * _OVERHEAD
    except RuntimeError as error:
        if not is_shortage(error):
            raise
        return 0
    return _power_of_two(_free_bytes(hardware.device) / image)


def is_shortage(error: Exception) -> bool:
    """Whether memory was full."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _SHORTAGES)


@contextmanager
def enough(device: torch.device) -> Iterator[None]:
    """For what must have room before there is a batch that could be halved.

    Raises:
        UserError: memory was full within.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_shortage(error):
            raise
        free = _free_bytes(device)
    else:
        return
    # Not above: the error holds on to what filled the memory.
    raise UserError(
        f"no memory on {device} for the network and two images: {bytes_in_words(free)} are free",
        "end what else uses it"
        + (" (`nvidia-smi` lists that), or use --device cpu" if device.type == "cuda" else "")
        + ", or a smaller --image-size",
    )


def activation_bytes(model: Classifier, hardware: Hardware, image_size: int) -> float:
    """What autograd keeps for the backward pass of one image more, all parameters learning.

    What it keeps once, such as the weights in another precision, is of no image. Counted in forward passes in
    eval mode: BatchNorm statistics do not move.
    """
    one, two = (_kept_bytes(model, hardware, image_size, images) for images in (1, 2))
    return two - one


def _kept_bytes(model: Classifier, hardware: Hardware, image_size: int, images: int) -> int:
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        # Detached: a saved output kept as it is would hold its own graph, and that the model, for good.
        return tensor.detach()

    batch = torch.zeros(images, model.channels, image_size, image_size, device=hardware.device)
    batch = batch.contiguous(memory_format=torch.channels_last)
    counting = torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor)
    with torch.enable_grad(), hardware.autocast(), counting:
        output = model.eval()(batch)
    del output  # until here it held what was counted: no storage was counted twice under one address
    return sum(kept.values())


def _power_of_two(images: float) -> int:
    return 1 << int(images).bit_length() - 1 if images >= 2 else 0


def _free_bytes(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return float(memory.free_bytes())

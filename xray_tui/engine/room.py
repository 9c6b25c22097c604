"""Whether a batch of the unfrozen stage fits into memory: asked before the run begins.

A CPU that runs out of memory is not told so: the system kills the process, hours into a run.
"""

import psutil
import torch
from torch import Tensor

from xray_tui.engine.hardware import Hardware
from xray_tui.errors import UserError
from xray_tui.models.classifier import Classifier

_OVERHEAD = 1.5
"""Peak over what autograd keeps: gradients and work space. Measured 1.3 to 1.6 on five backbones."""

_SHORTAGES = (
    "DefaultCPUAllocator",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "unable to find an engine to execute this computation",
)
"""How torch words it where it has no exception for it: its allocator on a CPU; on a GPU, libraries that take
memory of their own, of which cuDNN may only find no way in what is left."""


def check(model: Classifier, hardware: Hardware, batch: int, image_size: int) -> None:
    """Refuse a batch that would not fit.

    Raises:
        UserError: with the batch size that would.
    """
    image = activation_bytes(model, hardware, image_size) * _OVERHEAD
    free = _free_bytes(hardware.device)
    if batch * image <= free:
        return
    fits = _power_of_two(free / image)
    smaller = f"use --batch-size {fits}, a" if fits else "use a"
    raise UserError(
        f"unfreezing this backbone with batches of {batch} at {image_size} px needs about "
        f"{batch * image / 1e9:.0f} GB of memory; {free / 1e9:.0f} GB are free",
        f"{smaller} smaller --image-size, or --unfrozen-epochs 0; "
        "a run that is resumed keeps what it has: free memory",
    )


def fitting(model: Classifier, hardware: Hardware, image_size: int) -> int:
    """Images of a batch that would fit into what is free now, a power of two; 0 where not even two would."""
    image = activation_bytes(model, hardware, image_size) * _OVERHEAD
    return _power_of_two(_free_bytes(hardware.device) / image)


def is_shortage(error: RuntimeError) -> bool:
    """Whether memory was full."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _SHORTAGES)


def activation_bytes(model: Classifier, hardware: Hardware, image_size: int) -> float:
    """What autograd keeps for the backward pass of one image, all parameters learning.

    Counted in one forward pass, in eval mode: BatchNorm statistics do not move.
    """
    kept: dict[int, int] = {}
    parameters = {parameter.data_ptr() for parameter in model.parameters()}

    def count(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in parameters:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        # Detached: a saved output kept as it is would hold its own graph, and that the model, for good.
        return tensor.detach()

    images = torch.zeros(2, model.channels, image_size, image_size, device=hardware.device)
    images = images.contiguous(memory_format=torch.channels_last)
    counting = torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor)
    with torch.enable_grad(), hardware.autocast(), counting:
        output = model.eval()(images)
    del output  # until here it held what was counted: no storage was counted twice under one address
    return sum(kept.values()) / len(images)


def _power_of_two(images: float) -> int:
    return 1 << int(images).bit_length() - 1 if images >= 2 else 0


def _free_bytes(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return float(psutil.virtual_memory().available)

"""What the arithmetic runs on: the choice behind ``auto``, made once and stored."""

import os
import shutil
from dataclasses import dataclass

import torch

from xray_tui.engine import process
from xray_tui.engine.world import ALONE, World
from xray_tui.errors import UserError
from xray_tui.processors import cores
from xray_tui.settings import HardwareSettings, Settings

_WORTH_COMPILING = 40_000
"""Images of 256 px, from which on compiling pays."""


@dataclass(frozen=True)
class Hardware:
    device: torch.device
    bfloat16: bool
    """Whether the body runs under bfloat16 autocast; everything else is float32."""
    threads: int
    settings: HardwareSettings
    """The choice, as settings without ``auto``."""
    processes: int = 1
    """Of the run, each with hardware like this."""

    @property
    def words(self) -> str:
        """For a person: ``cuda:0 (NVIDIA H100), bfloat16``."""
        if self.device.type == "cuda":
            device = str(self.device) if self.processes == 1 else "cuda"  # each has one of its own
            name = f"{device} ({torch.cuda.get_device_name(self.device)})"
        elif self.device.type == "cpu":
            name = f"cpu ({self.threads} thread{'' if self.threads == 1 else 's'})"
        else:
            name = str(self.device)
        times = f"{self.processes} × " if self.processes > 1 else ""
        return f"{times}{name}, {'bfloat16' if self.bfloat16 else 'float32'}"

    def set_up(self) -> None:
        """Have torch compute as was chosen, and the same way each time."""
        torch.set_num_threads(self.threads)
        # Else cuDNN may add up a convolution's gradients in any order: no run would equal another to the bit.
        torch.backends.cudnn.deterministic = True

    def autocast(self, *, enabled: bool = True) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16 and enabled)


def choose(wanted: HardwareSettings, world: World = ALONE) -> Hardware:
    """Settle device, precision and threads.

    Raises:
        UserError: the device asked for is not there.
    """
    device = _device(wanted.device) if world.size == 1 else _device_of(world, wanted.device)
    bfloat16 = _has_bfloat16(device) if wanted.precision == "auto" else wanted.precision == "bfloat16"
    threads = wanted.threads or max(1, cores() // world.local_size)
    settled = HardwareSettings(
        device=str(device), precision="bfloat16" if bfloat16 else "float32", threads=threads
    )
    return Hardware(device, bfloat16, threads, settled, world.size)


def compiles(settings: Settings, hardware: Hardware, frozen_passes: int) -> bool:
    """Whether the frozen part is to be compiled.

    Measured on two cores with EfficientNet-Lite0 at 256 px: compiling takes 15 to 70 seconds, and 100 images
    then take about 0.4 s less. Training steps gain nothing on a CPU, where they spend their time in oneDNN.

    Args:
        frozen_passes: images that will be run through it.

    Raises:
        UserError: it was asked for, and cannot be done here.
    """
    wanted = settings.hardware.compile
    if wanted == "off":
        return False
    able = hardware.device.type == "cpu" and has_compiler()
    if wanted == "on" and not able:
        raise UserError(
            f"--compile on: {'no C++ compiler' if hardware.device.type == 'cpu' else 'only for a CPU'}",
            "install g++, or use --compile auto or off",
        )
    pixels = frozen_passes * settings.training.image_size**2
    return able and (wanted == "on" or pixels >= _WORTH_COMPILING * 256**2)


def release() -> None:
    """Let go of what models that nobody holds any more took: of the device's memory and of this process's."""
    process.release_objects()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
    process.give_back_memory()


_ELSEWHERE = (
    "use --device auto or cpu; in a config.toml, a run's own too, it is device under [hardware], where then "
    'precision is better "auto", and threads 0'
)


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(wanted)
    if device.type == "cuda":
        there = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= there:
            found = f"{there} CUDA device{'' if there == 1 else 's'}" if there else "no CUDA device"
            raise UserError(f"--device {wanted}: this machine has {found}", _ELSEWHERE)
        return torch.device("cuda", device.index or 0)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError("--device mps: this machine has no Metal device", _ELSEWHERE)
    return device


def _device_of(world: World, wanted: str) -> torch.device:
    """Each process of a host has a GPU of its own, whichever was named."""
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and not there):
        return torch.device("cpu")
    if wanted == "mps" or world.local_rank >= there:
        raise UserError(
            f"--device {wanted}: {world.local_size} processes share a host with {there} CUDA devices",
            "start one process a device (torchrun --nproc-per-node), or use --device cpu",
        )
    return torch.device("cuda", world.local_rank)


def _has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is fast here; where it is only emulated, it is several times slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # Private names, but the public torch.cpu.get_capabilities() is younger than our oldest torch.
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def has_compiler() -> bool:
    """Whether there is the C++ compiler that compiling for a CPU takes."""
    return bool(os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++"))

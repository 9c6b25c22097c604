"""How busy the machine is."""

import os
import re
import sys
from typing import Any, NamedTuple, Protocol


class Gpu(NamedTuple):
    percent: float | None
    """Of the time, in which something ran on it; ``None`` where the driver does not say (as of a slice)."""
    memory_bytes: int
    """In use, by anyone."""


class Vitals(NamedTuple):
    cpu_percent: float
    """Of all cores, since the last look."""
    memory_bytes: int
    """Resident size of this process."""
    gpu: Gpu | None = None
    """Of the device that the run uses, where that is one of NVIDIA's and its driver answers."""


class Look(Protocol):
    """The shape of a :class:`Monitor`."""

    def __call__(self, device: str = "", *, ours: bool = False) -> Vitals: ...


class Monitor:
    """Looks at the machine when called. The driver's library is opened at the first look at a GPU.

    A look at a GPU takes milliseconds, the first one more: not for the UI thread.
    """

    def __init__(self) -> None:
        self._cpu = _cpu_seconds()
        self._nvml: Any = None
        self._silent = False
        """Whether there is no driver to ask."""

    def __call__(self, device: str = "", *, ours: bool = False) -> Vitals:
        """
        Args:
            device: what the run uses, as ``RunStarted.device`` has it; empty for no run.
            ours: whether the run lives in this process.
        """
        import psutil  # here, for the first frame does not wait for it

        memory = psutil.Process().memory_info().rss
        return Vitals(self._cpu_percent(), memory, self._gpu(device, ours))

    def _cpu_percent(self) -> float:
        """psutil has this too, but it remembers the last look for each thread by itself."""
        (busy, total), self._cpu = self._cpu, _cpu_seconds()
        passed = self._cpu[1] - total
        return min(100.0, max(0.0, 100 * (self._cpu[0] - busy) / passed)) if passed > 0 else 0.0

    def _gpu(self, device: str, ours: bool) -> Gpu | None:
        index = cuda_index(device)
        if index is None or self._silent:
            return None
        import pynvml  # late: most machines have no such driver

        try:
            if self._nvml is None:
                pynvml.nvmlInit()
                self._nvml = pynvml
            handle = self._handle(index, ours)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle).used
        except pynvml.NVMLError:  # no driver, or it knows nothing of this device: there is nothing to show
            self._silent = True
            return None
        try:
            percent = float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        except pynvml.NVMLError:
            percent = None
        return Gpu(percent, int(memory))

    def _handle(self, index: int, ours: bool) -> Any:
        """CUDA numbers the devices that it may see, by speed; the driver numbers all, by their bus."""
        visible = _open_device(index) if ours else visible_device(index)
        if isinstance(visible, str):
            return self._nvml.nvmlDeviceGetHandleByUUID(visible)
        return self._nvml.nvmlDeviceGetHandleByIndex(visible)


def cuda_index(device: str) -> int | None:
    """The number in ``cuda:1 (NVIDIA H100), bfloat16``; ``None`` of another device."""
    found = re.match(r"cuda(?::(\d+))?\b", device)
    return int(found[1] or 0) if found else None


def visible_device(index: int) -> int | str:
    """What the driver calls a CUDA device: its number or its UUID, as ``CUDA_VISIBLE_DEVICES`` has it.

    Without that variable the two count alike where all devices are of one kind.
    """
    listed = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    if index >= len(listed):
        return index
    return int(listed[index]) if listed[index].isdecimal() else listed[index]


def _open_device(index: int) -> int | str:
    """The same of a device that a run of this process has open: torch knows it exactly."""
    torch = sys.modules.get("torch")  # never imported for this
    if torch is None or not torch.cuda.is_initialized():
        return visible_device(index)
    return f"GPU-{torch.cuda.get_device_properties(index).uuid}"


def _cpu_seconds() -> tuple[float, float]:
    """Of all cores together since the machine started: busy, and in all."""
    import psutil  # late, as above

    times = psutil.cpu_times()._asdict()
    total = sum(seconds for name, seconds in times.items() if not name.startswith("guest"))  # in user already
    return total - times["idle"] - times.get("iowait", 0.0), total

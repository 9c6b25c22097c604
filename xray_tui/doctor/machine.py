"""The installation and the machine, as far as they can be known without torch."""

import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import psutil
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from xray_tui import __version__, memory
from xray_tui.doctor.checks import Check
from xray_tui.processors import processors
from xray_tui.words import bytes_in_words

_NAME = "xray-tui"
_FOR_DEVELOPERS = "dev"
_LITTLE_MEMORY = 4e9
"""Bytes; ResNet-50 unfrozen at batches of 16 takes about as much."""


def installation() -> Iterator[Check]:
    """This program, its Python and the packages that it cannot be without."""
    yield Check(_NAME, "ok", f"{__version__} in {Path(__file__).parents[1]}")
    yield Check("Python", "ok", f"{platform.python_version()}: {sys.executable}")
    try:
        required = requirements("")
    except metadata.PackageNotFoundError:
        yield Check(
            "packages",
            "warning",
            f"{_NAME} is not installed, only imported",
            "in its folder: pip install -e .",
        )
        return
    wrong = [(each, why) for each in required if (why := lacking(each))]
    for each, why in wrong:
        yield Check(each.name, "problem", why, f"pip install '{plain(each)}'")
    if not wrong:
        yield Check("packages", "ok", f"all {len(required)} that it needs, and new enough")


def machine() -> Iterator[Check]:
    """Processor, memory, and what NVIDIA's driver says."""
    yield Check("system", "ok", f"{platform.system()} {platform.release()}, {platform.machine()}")
    yield _processor()
    yield _memory()
    yield from _gpus()


def requirements(extra: str) -> list[Requirement]:
    """What the installed package says it needs on this machine.

    Args:
        extra: of this extra alone; empty: of the program itself.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    needed = [Requirement(line) for line in metadata.requires(_NAME) or ()]
    return [
        each
        for each in needed
        if (each.marker is None or each.marker.evaluate({"extra": extra}))
        and (not extra or (each.marker is not None and not each.marker.evaluate({"extra": ""})))
        and canonicalize_name(each.name) != _NAME  # an extra that names others
    ]


def extras() -> list[str]:
    """The extras of the installed package that are for its users.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    named = metadata.metadata(_NAME).get_all("Provides-Extra") or []
    return sorted(extra for extra in named if extra != _FOR_DEVELOPERS and requirements(extra))


def plain(requirement: Requirement) -> str:
    """As pip takes it on a command line, without its marker."""
    return f"{requirement.name}{requirement.specifier}"


def lacking(requirement: Requirement) -> str:
    """Why an installed package does not do; empty where it does."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return "not installed"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement.name} {version} is installed; {requirement.specifier} is needed"
    return ""


def _processor() -> Check:
    cores, threads = psutil.cpu_count(logical=False), psutil.cpu_count()
    words = f"{cores or '?'} cores, {threads or '?'} threads{_model_of_processor()}"
    if threads is not None and (allowed := processors()) < threads:
        return Check("processor", "note", f"{words}; this process may use {allowed} of them")
    return Check("processor", "ok", words)


def _model_of_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:  # only Linux has it
        return f", {platform.processor()}" if platform.processor() else ""
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f", {named}" if named else ""


def _memory() -> Check:
    there, free, limit = psutil.virtual_memory(), memory.free_bytes(), memory.limit_bytes()
    words = f"{bytes_in_words(there.total)}, of which {bytes_in_words(there.available)} are free"
    if limit is not None and limit < there.total:
        words += f"; this container may use {bytes_in_words(limit)}, of which {bytes_in_words(free)} are left"
    if free < _LITTLE_MEMORY:
        return Check("memory", "warning", words, "smaller --batch-size and --image-size take less")
    return Check("memory", "ok", words)


def _gpus() -> Iterator[Check]:
    """By the driver, which is asked before torch is: where the two differ, that is the trouble."""
    import pynvml  # late: most machines have no such driver

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        yield Check("NVIDIA driver", "note", f"none answers ({str(error).lower()})")
        return
    try:
        cuda = pynvml.nvmlSystemGetCudaDriverVersion()
        version = f"{pynvml.nvmlSystemGetDriverVersion()}, for CUDA up to {cuda // 1000}.{cuda % 1000 // 10}"
        yield Check("NVIDIA driver", "ok", version)
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            words = f"{bytes_in_words(memory.total)}, of which {bytes_in_words(memory.free)} are free"
            yield Check(f"GPU {index}", "ok", f"{pynvml.nvmlDeviceGetName(handle)}: {words}")
    finally:
        pynvml.nvmlShutdown()

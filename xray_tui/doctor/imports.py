"""What only tells when torch and others are imported: that takes seconds, and can end who tries.

So a process of its own does it (``python -m xray_tui.doctor.imports``). On standard output it writes a
line of JSON for each check, ``[section, check]``, and before a section the section's name alone.
"""

import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import metadata

import msgspec

from xray_tui.doctor.backbones import backbones
from xray_tui.doctor.checks import Check, Verdict, guarded, in_words, told
from xray_tui.doctor.folders import settings_of_user
from xray_tui.doctor.machine import extras, lacking, plain, requirements
from xray_tui.engine import process
from xray_tui.errors import UserError
from xray_tui.settings import HardwareSettings
from xray_tui.words import bytes_in_words

EXTRAS = "extras"
_PYTORCH = "https://pytorch.org/get-started/locally"


def torch_here() -> Iterator[Check]:
    """Torch, and the device that a run would take."""
    try:
        import torch
        import torchvision
    except Exception as error:  # a library of the system's that is missing is an OSError, too
        found = f"cannot be imported: {in_words(error)}"
        yield Check("torch", "problem", found, f"install it anew: {_PYTORCH}")
        return
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    build = f"ROCm {torch.version.hip}" if torch.version.hip else build
    yield Check("torch", "ok", f"{torch.__version__}, built for {build}")
    yield Check("torchvision", "ok", torchvision.__version__)
    for index in range(torch.cuda.device_count()):
        yield _cuda_device(index)
    if not torch.cuda.is_available() and _driver_has_gpus():
        why = "it is a build without CUDA"
        if torch.version.cuda:
            why = "it is too new for the driver, or CUDA_VISIBLE_DEVICES hides it"
        yield Check("CUDA", "warning", f"torch finds no GPU: {why}", f"a build for your driver: {_PYTORCH}")
    yield from _chosen_device()


def tensorboard_here() -> Iterator[Check]:
    """What runs write event files with, and the port that would show them."""
    from xray_tui.board.server import FIRST_PORT, first_free_port

    try:
        import tensorboard

        importlib.import_module("xray_tui.board.writer")
    except Exception as error:
        remedy = "pip install --force-reinstall tensorboard protobuf"
        yield Check("TensorBoard", "problem", f"cannot be imported: {in_words(error)}", remedy)
        return
    yield Check("TensorBoard", "ok", tensorboard.__version__)
    port = first_free_port()
    if port is None:
        yield Check("port", "warning", f"none is free from {FIRST_PORT} on", "xray-tui board --port N")
    elif port == FIRST_PORT:
        yield Check("port", "ok", f"{port} is free")
    else:
        yield Check("port", "note", f"{FIRST_PORT} is taken (perhaps by a TensorBoard); {port} would be used")


def extras_here() -> Iterator[Check]:
    """What is installed beside what the program needs, and whether it can be imported."""
    modules = metadata.packages_distributions()
    for extra in extras():
        install = f"pip install 'xray-tui[{extra}]'"
        needed = requirements(extra)
        missing = [plain(each) for each in needed if lacking(each) == "not installed"]
        if missing:
            yield Check(extra, "note", f"not installed: {', '.join(missing)}", install)
            continue
        wrong = [why for each in needed if (why := lacking(each) or _unimportable(each.name, modules))]
        for why in wrong:
            yield Check(extra, "warning", why, install.replace("install", "install --upgrade"))
        if not wrong:
            versions = (f"{each.name} {metadata.version(each.name)}" for each in needed)
            yield Check(extra, "ok", ", ".join(versions))


SECTIONS: dict[str, tuple[Callable[[], Iterable[Check]], Verdict]] = {
    "torch": (torch_here, "problem"),
    "TensorBoard": (tensorboard_here, "problem"),
    "backbones": (backbones, "problem"),
    EXTRAS: (extras_here, "warning"),
}
"""What they look at, and what it means where looking fails."""


def _cuda_device(index: int) -> Check:
    import torch

    found = torch.cuda.get_device_properties(index)
    memory = bytes_in_words(found.total_memory)
    return Check(
        f"cuda:{index}", "ok", f"{found.name}, {memory}, compute capability {found.major}.{found.minor}"
    )


def _driver_has_gpus() -> bool:
    import pynvml

    try:
        pynvml.nvmlInit()
        return bool(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return False


def _chosen_device() -> Iterator[Check]:
    """The device that the settings lead to, tried."""
    import torch

    from xray_tui.engine.hardware import choose, has_compiler

    try:
        hardware = choose(settings_of_user().hardware)
    except UserError as error:
        found, remedy = told(error)
        yield Check("device", "problem", found, remedy)
        return
    try:
        side = torch.ones(64, 64, device=hardware.device)
        with hardware.autocast():
            works = float((side @ side).sum()) == 64.0**3  # exact in bfloat16, too
        why = "" if works else "64 ones times 64 ones are not 64"
    except RuntimeError as error:
        why = in_words(error)
    if why:
        yield Check("device", "problem", f"{hardware.words}: {why}", "--device cpu works meanwhile")
        return
    yield Check("device", "ok", f"{hardware.words}: a run takes this one")
    if choose(HardwareSettings(str(hardware.device))).bfloat16:
        yield Check("bfloat16", "ok", "fast on this device")
    else:
        yield Check("bfloat16", "note", "slow on this device: --precision auto is float32")
    if hardware.device.type == "cpu" and not has_compiler():
        yield Check("compiler", "note", "no C++ compiler: long runs are not compiled", "install g++")


def _unimportable(package: str, modules: Mapping[str, list[str]]) -> str:
    """Why importing a package fails; empty where it does not.

    Args:
        modules: what can be imported, and which packages it is of.
    """
    own = [module for module, packages in modules.items() if package in packages]
    named = package.replace("-", "_").lower()
    module = next((each for each in own if each.lower() == named), next(iter(own), ""))
    try:
        if module:
            importlib.import_module(module)
    except Exception as error:
        return f"{package} {metadata.version(package)} cannot be imported: {in_words(error)}"
    return ""


def main() -> None:
    # Whatever a package prints when it is imported does not get between the lines.
    with os.fdopen(os.dup(1), "wb", buffering=0) as lines:
        os.dup2(2, 1)
        for section, (look, grave) in SECTIONS.items():
            lines.write(msgspec.json.encode(section) + b"\n")
            for placed in guarded(section, look, grave=grave):
                lines.write(msgspec.json.encode(placed) + b"\n")


if __name__ == "__main__":
    process.set_up()
    main()

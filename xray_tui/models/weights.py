"""Weights from files and from torchvision, fitted into a body under torchvision's own names.

Nothing here unpickles anything but tensors: a file of weights may come from anywhere.
"""

import hashlib
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from xray_tui.errors import UserError
from xray_tui.models.names import OFFLINE
from xray_tui.regular_files import NotRegular, open_regular
from xray_tui.words import bytes_in_words, harmless

HEAD_PARTS = frozenset(
    {"AuxLogits", "_fc", "aux1", "aux2", "avgpool", "classifier", "dropout", "fc", "flatten", "head"}
)
"""First parts of the names under which a published classifier keeps what is not its body."""

_NESTS = ("state_dict", "model_state_dict", "model")  # where training scripts put the weights in a checkpoint
_WRAPPERS = ("module.", "_orig_mod.")  # DataParallel's and torch.compile's
_OWN_BODY = "body."  # the prefix in our best.safetensors

_LONGEST_WHY = 200
_MOST_TIMES_PACKED = 4
"""torch.save packs nothing. A zip archive that unpacks to much more is made to fill memory."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file (`.safetensors`, else torch's own format), on the CPU, by name.

    Names are those of the body and, where the file has one, of the head: nesting and the prefixes
    of wrappers are taken off, and of a file of ours only the body is given.

    Raises:
        UserError: there is no such file, or it holds no weights, or other objects than tensors.
    """
    hint = "It may be cut short: copy it again."
    try:
        open_regular(path).close()
        if path.suffix == ".safetensors":
            loaded: Any = load_file(path)
        else:
            _check_packing(path)
            loaded = _load(path)
    except (FileNotFoundError, NotRegular):
        raise UserError(
            f"There is no weights file {path}.", "Check --weights: auto, none, or a file."
        ) from None
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is refused: it is no file of weights, or holds other Python objects beside them.",
            "Such objects can run code and are never loaded. Save a state_dict alone, best as .safetensors.",
        ) from error
    except MemoryError as error:
        raise UserError(f"{path} claims more weights than memory holds.", hint) from error
    except UserError:
        raise
    except Exception as error:  # there is hardly one that a damaged file does not make the unpickler raise
        raise UserError(f"{path} cannot be read as weights: {first_line(error)}.", hint) from error

    for nest in _NESTS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(nest), Mapping):
            loaded = loaded[nest]
    tensors = _tensors(loaded)
    if not tensors:
        raise UserError(f"{path} holds no state_dict.", "Save model.state_dict(), best as .safetensors.")
    return _unwrapped(tensors)


def read_published(name: str, weights: Any) -> dict[str, Tensor]:
    """The tensors of torchvision's published `weights` for the backbone `name`, by name.

    Taken from torch hub's cache, downloaded into it before if need be.

    Args:
        name: the backbone, for the error.
        weights: a member of a torchvision `WeightsEnum`.

    Raises:
        UserError: the file is not there and cannot be downloaded, or is damaged.
    """
    path = fetch(weights, name)
    try:
        loaded = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except Exception as error:  # as in read_weights
        raise UserError(
            f"{path} is damaged: {first_line(error)}.",
            "Delete it to have it downloaded again, or put a whole copy in its place.",
        ) from error
    return _tensors(loaded)


def published_file(weights: Any) -> Path:
    """Where torch hub's cache has the file of torchvision's or timm's `weights`, or would have it."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name


def fetch(weights: Any, name: str) -> Path:
    """The file of torchvision's or timm's `weights`, from torch hub's cache or downloaded into it.

    Args:
        name: the backbone, for the error.

    Raises:
        UserError: it cannot be downloaded, or comes damaged.
    """
    path = published_file(weights)
    if not path.exists():
        # Downloaded here and not by get_state_dict, which announces it on standard output: that belongs
        # to results.
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(weights.url, str(path), _hash_prefix(path.name), progress=False)
        except (OSError, RuntimeError, ValueError) as error:  # URLError and timeouts are OSErrors
            reason = first_line(getattr(error, "reason", None) or error)
            raise UserError(
                f"No ImageNet weights for {name}: {path.name} is not in {path.parent} and could not be"
                f" downloaded ({reason}).",
                f"Put it there ({weights.url}), or name it: --weights FILE.\n"
                f"Offline way: --backbone {OFFLINE} (its weights come with the installation).\n"
                "Or start from random weights: --weights none.",
            ) from error
    return path


def is_whole(path: Path) -> bool:
    """Whether a file in torch hub's cache has the SHA-256 that its name begins to tell; reads all of it.

    Raises:
        OSError: it cannot be read.
    """
    with open_regular(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return digest.startswith(_hash_prefix(path.name) or "")


def in_head(key: str) -> bool:
    """Whether torchvision calls a tensor of a classifier's head so."""
    return key.split(".")[0] in HEAD_PARTS


def fit(
    body: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    name: str,
    origin: str,
    is_head: Callable[[str], bool] = in_head,
) -> None:
    """Load `tensors` into `body`, in place; the head's tensors among them are left aside knowingly.

    Args:
        body: the body of the backbone `name`.
        tensors: weights under the names of their publisher; any float dtype, converted to the body's.
        name: the backbone, for the error.
        origin: where the tensors come from, for the error.
        is_head: whether a name is of the head.

    Raises:
        UserError: names are missing or left over, or shapes differ. The body is unchanged then.
    """
    given = {_modern(key): tensor for key, tensor in tensors.items() if not is_head(key)}
    # Files from before PyTorch 0.4.1 have no num_batches_tracked; nothing here depends on it.
    wanted = {
        key: tensor
        for key, tensor in body.state_dict().items()
        if key in given or not key.endswith("num_batches_tracked")
    }
    if problems := misfit(wanted, given):
        raise UserError(
            f"{origin} does not fit {name}: {problems}.",
            "Name the backbone that the file was made with: --backbone NAME.",
        )
    body.load_state_dict(given, strict=False)


def misfit(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """Why tensors cannot take the place of others: the first few of each kind; empty where they can.

    Args:
        wanted: by name, of these shapes.
        given: by name.
    """
    both = [key for key in given if key in wanted]
    found = {
        "missing": [key for key in wanted if key not in given],
        "unexpected": [key for key in given if key not in wanted],
        "of another shape": [key for key in both if given[key].shape != wanted[key].shape],
        "sparse, quantised or complex": [key for key in both if not _is_plain(given[key])],
    }
    return "; ".join(
        f"{len(keys)} {what} ({', '.join(keys[:3])}{', …' if len(keys) > 3 else ''})"
        for what, keys in found.items()
        if keys
    )


def _load(path: Path) -> Any:
    """Torch's own format; nothing but tensors is unpickled."""
    with warnings.catch_warnings():  # of bytes that no version has written
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def _check_packing(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > _MOST_TIMES_PACKED * path.stat().st_size:
        raise UserError(
            f"{path} is refused: it would unpack to {bytes_in_words(unpacked)}.",
            "Weights are not packed. Save a state_dict alone, best as .safetensors.",
        )


def _is_plain(tensor: Tensor) -> bool:
    """Whether it can be copied into a parameter as it is."""
    return tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_complex()


def _tensors(loaded: Any) -> dict[str, Tensor]:
    if not isinstance(loaded, Mapping):
        return {}
    return {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}


def _unwrapped(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    while prefix := next((p for p in _WRAPPERS if all(key.startswith(p) for key in tensors)), None):
        tensors = {key.removeprefix(prefix): tensor for key, tensor in tensors.items()}
    own = {key.removeprefix(_OWN_BODY): t for key, t in tensors.items() if key.startswith(_OWN_BODY)}
    return own or tensors


def _modern(key: str) -> str:
    """Torchvision's DenseNet files still say `norm.1`, `conv.2` where its code says `norm1`, `conv2`."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", key)


def _hash_prefix(filename: str) -> str | None:
    """Torch hub's convention: `name-<first digits of the SHA-256>.pth`."""
    found = re.search(r"-([a-f0-9]{8,})\.", filename)
    return found.group(1) if found else None


def first_line(error: object) -> str:
    """Of what an exception says, harmless and without a full stop."""
    lines = [harmless(line) for line in str(error).strip().splitlines()]
    return lines[0][:_LONGEST_WHY].rstrip(".:") if lines else type(error).__name__

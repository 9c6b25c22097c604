"""The radiographs of Kermany, Zhang & Goldbaum (2018) from Kaggle, through Kaggle's own package.

The package goes on with a download that was broken off, compares checksums and prints its progress on
standard error: it takes no progress bar of ours.
"""

import contextlib
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xray_tui.errors import UserError
from xray_tui.words import bytes_in_words, harmless

DATASET = "paultimothymooney/chest-xray-pneumonia"
_VERSION = 2
"""Of the data set. A named one is found in the package's cache without asking Kaggle."""
PAGE = f"https://www.kaggle.com/datasets/{DATASET}"
_FOLDER = "chest_xray"
_ROOM_BYTES = 6_000_000_000
"""For an archive of somewhat over 2 GB, and what is unpacked from it beside it."""
_CACHE_VARIABLE = "KAGGLEHUB_CACHE"
_REFUSED = (401, 403)


def fetch(to: Path | None) -> Path:
    """The data folder, with train/, val/ and test/; downloaded unless it is there already.

    Args:
        to: the package's cache folder; ``None`` for its usual one, which other programs share.

    Raises:
        UserError: the package is not installed; Kaggle cannot be reached or refuses; there is no room.
    """
    # What it prints is no result of ours. Its log keeps the stream that is there when it is imported.
    with contextlib.redirect_stdout(sys.stderr), _cache_in(to):
        kagglehub = _imported()
        cache = Path(kagglehub.config.get_cache_folder())
        handle = f"{DATASET}/versions/{_VERSION}"
        kept = cache / "datasets" / handle
        if not kept.is_dir():
            _check_room(cache)
        try:
            found = Path(kagglehub.dataset_download(handle))
        except _failures(kagglehub) as error:
            raise _told(error) from None
    for folder in (found / _FOLDER, found):
        if (folder / "train").is_dir():
            return folder
    raise UserError(f"{found} holds no {_FOLDER}/train", f"The data set may have changed: see {PAGE}")


@contextlib.contextmanager
def _cache_in(folder: Path | None) -> Iterator[None]:
    """The package's own way to name a folder for its output cannot go on with what was broken off there."""
    before = os.environ.get(_CACHE_VARIABLE)
    if folder is not None:
        os.environ[_CACHE_VARIABLE] = str(folder.absolute())
    try:
        yield
    finally:
        if folder is not None:
            os.environ.pop(_CACHE_VARIABLE)
            if before is not None:
                os.environ[_CACHE_VARIABLE] = before


def _imported() -> Any:
    try:
        import kagglehub  # late: an extra
        import kagglehub.config
        import kagglehub.exceptions
    except ImportError as error:
        why = "is not installed" if error.name == "kagglehub" else f"cannot be imported: {error}"
        raise UserError(f"kagglehub {why}", f"pip install 'xray-tui[kaggle]'\n{_by_hand()}") from None
    return kagglehub


def _failures(kagglehub: Any) -> tuple[type[Exception], ...]:
    """What the package raises: classes of its own, which have no common base, and those of the network."""
    named = vars(kagglehub.exceptions).values()
    own = (each for each in named if isinstance(each, type) and issubclass(each, Exception))
    return (*own, OSError, zipfile.BadZipFile)  # those of requests are OSErrors


def _check_room(cache: Path) -> None:
    there = next(place for place in (cache, *cache.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < _ROOM_BYTES:
        raise UserError(
            f"the data set takes about {bytes_in_words(_ROOM_BYTES)} while it is unpacked; {there} has "
            f"{bytes_in_words(free)} free",
            "make room there, or name another folder: --to DIR",
        )


def _told(error: Exception) -> UserError:
    first = _reason(error)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in _REFUSED:
        account = "Kaggle wants to know you: put your API token where https://www.kaggle.com/settings says."
        return UserError(f"Kaggle refuses the data set: {first}", f"{account}\n{_by_hand()}")
    kept = "What came, if anything, is kept: the same command goes on from there."
    return UserError(f"cannot download {DATASET} from Kaggle: {first}", f"{kept}\n{_by_hand()}")


def _reason(error: BaseException) -> str:
    """The innermost of what the network's libraries wrap, without the connection's own description."""
    inner = getattr(error, "reason", None) or next(iter(error.args), None)
    if isinstance(inner, BaseException):
        return _reason(inner)
    first = harmless((str(error).strip().splitlines() or [type(error).__name__])[0])
    return first.rpartition("): ")[2] or first


def _by_hand() -> str:
    return (
        f"By hand: open {PAGE} in a browser, download and unpack it,\nthen: xray-tui train FOLDER/{_FOLDER}"
    )

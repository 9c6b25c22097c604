"""Small data folders and journals that every part's tests share."""

import gc
import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from xray_tui.engine import process

# As the program does (engine/process.py), and before anything imports torch.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Networks and images are tiny here: to hand them out to several threads costs a fifth more than it gives.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell has its background jobs ignore SIGINT, and so does whatever they start.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples everywhere, however slow the machine is.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

Write = Callable[..., Path]

_FORKING = (
    "test_terminal",
    "test_distributed",
    "test_kills",
    "test_signals",
    "test_hostile_run",
    "test_sweep_trials",
)
"""Modules whose tests fork their processes from a server, and mostly wait for them."""

# Torch and Textual leave hundreds of thousands of objects behind: walking them again and again is a third
# of what the dashboard's tests cost.
gc.set_threshold(1_000_000, 20, 100)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits comes first, side by side in one worker: there is something else to do meanwhile."""
    items.sort(key=lambda item: not item.path.name.startswith(_FORKING))
    gc.freeze()  # what was imported stays: each run that ends collects what it held


def pytest_sessionfinish() -> None:
    """Pytest collects five times at its end, to hear of what nobody let go of: once is enough."""
    gc.collect()
    gc.freeze()


Case = TypeVar("Case")


def short(cases: Iterable[Case], number: int = 1) -> list[Any]:
    """Parameters of a test, of which the first so many stand for all: the others are of the long form."""
    return [
        case if place < number else pytest.param(case, marks=pytest.mark.long)
        for place, case in enumerate(cases)
    ]


@pytest.fixture(scope="session", autouse=True)
def _no_figures() -> Iterator[None]:
    """The figures of a report and of TensorBoard take longer than most of these runs."""
    from xray_tui.board import curves
    from xray_tui.runs import report

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "draw", lambda *given: {})
        patch.setattr(curves, "drawn", lambda *given: [])
        yield


_KEEP, _RELEASE = process.keep_objects, process.release_objects


@pytest.fixture(scope="session", autouse=True)
def _never_released() -> Iterator[None]:
    """What was frozen at the start stays so: to look through it at each run's end takes half a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "keep_objects", lambda: None)
        patch.setattr(process, "release_objects", lambda: None)
        yield


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects are kept and released as the program does it."""
    monkeypatch.setattr(process, "keep_objects", _KEEP)
    monkeypatch.setattr(process, "release_objects", _RELEASE)


@pytest.fixture
def quick() -> Iterator[None]:
    """Whatever backbone is asked for, its network takes no time."""
    from tests.trained_runs import tiny_networks

    with tiny_networks():
        yield


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports have their figures."""
    from xray_tui.runs import report, report_figures

    monkeypatch.setattr(report, "draw", report_figures.draw)


_FOLDERS = ("state", "cache", "config")


@pytest.fixture(scope="session", autouse=True)
def _nobodys_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What fixtures of whole modules run has folders of its own too."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _FOLDERS:
            patch.setenv(f"XRAY_TUI_{name.upper()}_DIR", str(tmp_path_factory.mktemp(name)))
        yield


_tests = itertools.count()


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes a person's own config file, or what her dashboard remembers.

    Not pytest's numbered folders: each would be looked for among those of all the tests before it.
    """
    own = tmp_path_factory.getbasetemp() / "own" / str(next(_tests))
    for name in _FOLDERS:
        (own / name).mkdir(parents=True)
        monkeypatch.setenv(f"XRAY_TUI_{name.upper()}_DIR", str(own / name))


def write_image(path: Path, *, bright: bool = False, seed: int = 0, size: tuple[int, int] = (48, 40)) -> Path:
    """A grey JPEG or PNG of noise around a brightness that tells the class; ``size`` is (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pixels = rng.normal(170 if bright else 80, 25, size).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_folder(
    root: Path,
    counts: dict[str, dict[str, int]] | None = None,
    *,
    suffix: str = ".png",
    size: tuple[int, int] = (48, 40),
) -> Path:
    """A data folder with that many images by split folder and class; the last class is brighter."""
    counts = counts or {
        "train": {"NORMAL": 10, "PNEUMONIA": 14},
        "test": {"NORMAL": 6, "PNEUMONIA": 8},
        "val": {"NORMAL": 2, "PNEUMONIA": 2},
    }
    for split_number, (split, classes) in enumerate(counts.items()):
        for label, (name, count) in enumerate(classes.items()):
            for number in range(count):
                stem = (
                    f"IM-{split_number}{number:03}-0001"
                    if label == 0
                    else f"person{split_number}{number:03}_virus_1"
                )
                write_image(
                    root / split / name / (stem + suffix),
                    bright=label == len(classes) - 1,
                    seed=number + 1000 * label + 100000 * split_number,
                    size=size,
                )
    return root


@pytest.fixture
def chest(tmp_path: Path) -> Path:
    """A small data folder with the usual names."""
    return write_folder(tmp_path / "chest")

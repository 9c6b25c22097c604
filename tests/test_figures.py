"""Figures are PNG files of the size they should have, show what they are given, and repeat byte for byte."""

import io
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from xray_tui import figures
from xray_tui.figures import PANEL_PX, Binned, Picture, Traced

X = np.linspace(0, 1, 50)


def opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    image.load()
    return image


def traced(power: float = 0.2, **more: Any) -> Traced:
    return Traced("validation", X, X**power, **more)


def binned(power: float = 2.0, label: str = "as trained") -> Binned:
    middle = np.linspace(0.05, 0.95, 10)
    return Binned(label, middle, middle**power, np.arange(1, 11))


def grey(level: int, size: tuple[int, int] = (30, 40)) -> np.ndarray:
    return np.full(size, level, np.uint8)


DRAW: dict[str, tuple[Callable[[float], bytes], tuple[int, int]]] = {
    "epochs": (
        lambda z: figures.epochs([0, 1, 2], {"train": [0.5, 0.4, z]}, {"AUC": [None, 0.9, 0.95]}, best=2),
        (2 * PANEL_PX[0], PANEL_PX[1]),
    ),
    "roc": (lambda z: figures.roc([traced(z, area=0.9, interval=(0.8, 0.95), point=(0.2, 0.7))]), PANEL_PX),
    "precision_recall": (lambda z: figures.precision_recall([traced(z, chance=0.6)]), PANEL_PX),
    "calibration": (
        lambda z: figures.calibration({"validation": [binned(), binned(z, "after")], "test": [binned()]}),
        (2 * PANEL_PX[0], PANEL_PX[1]),
    ),
    "confusion": (
        lambda z: figures.confusion({"validation": [[9, round(10 * z)], [3, 4]]}, ["A", "B"]),
        PANEL_PX,
    ),
    "pictures": (
        lambda z: figures.pictures([Picture("1  A called B\n98 %", [grey(round(100 * z))])] * 5),
        (4 * figures.PICTURE_PX, 2 * (figures.PICTURE_PX + 34)),
    ),
}


@pytest.mark.parametrize("name", DRAW)
def test_a_figure_is_a_png_of_its_numbers(name: str) -> None:
    draw, size = DRAW[name]
    first = opened(draw(0.3))
    assert isinstance(first, PngImageFile)
    assert first.size == size
    assert not first.text, "a date or a version would make two files of one figure"
    assert draw(0.3) == draw(0.3)
    assert opened(draw(0.6)).tobytes() != first.tobytes()


def test_figures_drawn_in_several_threads_are_the_same() -> None:
    draw, _ = DRAW["roc"]
    powers = [0.3, 0.6, 0.3, 0.6]
    alone = [draw(power) for power in powers]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(draw, powers)) == alone


def test_the_boundary_and_the_best_epoch_are_marked() -> None:
    def drawn(**marks: int) -> bytes:
        return figures.epochs([0, 1, 2, 3], {"train": [4, 3, 2, 1]}, {"AUC": [0.5, 0.6, 0.7, 0.8]}, **marks)

    assert len({drawn(), drawn(best=1), drawn(best=2), drawn(boundary=2), drawn(boundary=3)}) == 5
    assert drawn(boundary=0) == drawn(), "a run that is unfrozen from its first epoch on has no boundary"
    assert drawn(best=9) == drawn()


@pytest.mark.filterwarnings("ignore:Glyph")
def test_the_classes_names_are_only_names() -> None:
    shown = [
        figures.confusion({"test": [[1, 2], [3, 4]]}, [name, "B"])
        for name in ("A", "$\\frac{x$", "Ärztin", "肺炎", "a" * 300, "")
    ]
    assert len(set(shown)) == len(shown)


def test_many_classes_fit() -> None:
    classes = [f"class {number}" for number in range(12)]
    assert opened(figures.confusion({"test": np.eye(12, dtype=int).tolist()}, classes)).size == PANEL_PX


def test_numbers_that_are_undefined_leave_a_gap() -> None:
    nothing = figures.epochs([0, 1], {"train": [None, None]}, {"AUC": [None, None]}, best=1)
    assert opened(nothing).size == (2 * PANEL_PX[0], PANEL_PX[1])
    assert opened(figures.epochs([], {"train": []}, {"AUC": []})).size == (2 * PANEL_PX[0], PANEL_PX[1])
    assert opened(figures.confusion({"test": [[0, 0], [0, 0]]}, ["A", "B"])).size == PANEL_PX


def test_pictures_keep_their_shape_and_may_have_another_beside_them() -> None:
    black = np.zeros((40, 80), np.uint8)
    coloured = np.zeros((80, 40, 3), np.uint8)
    sheet = np.asarray(opened(figures.pictures([Picture("1", [black, coloured])])).convert("L")) < 40
    rows, columns = np.nonzero(sheet[: figures.PICTURE_PX])
    assert rows.max() == figures.PICTURE_PX - 1
    assert np.count_nonzero(sheet[figures.PICTURE_PX - 1]) == 168 + 88
    assert np.count_nonzero(sheet[figures.PICTURE_PX - 84]) == 168 + 88
    assert np.count_nonzero(sheet[figures.PICTURE_PX - 85]) == np.count_nonzero(sheet[0]) == 88
    assert columns.min() == 4


def test_two_curves_differ_where_no_colour_is_seen() -> None:
    """Of one curve, drawn as the first and as the second: the dashes of the second leave ink out."""
    ink = [
        np.count_nonzero(np.asarray(opened(figures.roc(curves)).convert("L")) < 180)
        for curves in ([traced()], [Traced("validation", X[:1], X[:1]), traced()])
    ]
    assert ink[1] != ink[0]


def test_what_a_person_has_set_for_matplotlib_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("axes.facecolor: black\nfont.size: 30\ntext.usetex: True\n")
    code = """
import sys
from xray_tui import figures
sys.stdout.buffer.write(figures.confusion({"test": [[1, 2], [3, 4]]}, ["A", "B"]))
"""
    drawn = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, check=True)
    assert drawn.stdout == figures.confusion({"test": [[1, 2], [3, 4]]}, ["A", "B"])


def test_no_global_state_is_touched_nothing_heavy_is_imported_early_and_nothing_is_said() -> None:
    code = """
import sys
from xray_tui import figures
assert "matplotlib" not in sys.modules, "imported early"
figures.confusion({"test": [[1, 2], [3, 4]]}, ["A", "肺炎"])
assert "matplotlib.pyplot" not in sys.modules
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-W", "default", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")

"""Demo radiographs: chest films of children who do not exist, so that everything runs without any data.

`radiograph` exposes one film: the chest of `thorax` through Beer-Lambert attenuation, scatter, quantum
noise and a processed detector response. `make_demo` lays out a folder of them as the published data is.
"""

import json
import multiprocessing
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from threadpoolctl import threadpool_limits

from xray_tui.data.phantom import Chest, Floats, Frame, Map, low_pass
from xray_tui.data.thorax import Disease, Thickness, tissue
from xray_tui.errors import UserError

# Attenuation at 40 keV, about the mean energy behind a child's chest film at 65 kVp, per cm (NIST XCOM:
# 0.268 cm2/g for water; 0.666 cm2/g for cortical bone of 1.92 g/cm3).
WATER_PER_CM = 0.268
BONE_PER_CM = 1.28
# Processed optical density from darkest lung to spine, and where in it a film's median lies: means of 120
# films, 60 of each class.
USUAL_SPAN, USUAL_MIDDLE = 2.37, 0.645

DEMO_COUNTS: Mapping[str, Mapping[str, int]] = {
    "train": {"NORMAL": 150, "PNEUMONIA": 150},
    "test": {"NORMAL": 120, "PNEUMONIA": 120},
    "val": {"NORMAL": 8, "PNEUMONIA": 8},
}
MARKER = "demo.json"
FORMAT_VERSION = 3
SPLITS = ("train", "test", "val")
_WORTH_PROCESSES = 100
NAME = re.compile(r"IM-\d{4,}-0001\.jpeg|person\d+_(bacteria|virus)_\d+\.jpeg")


def expose(crossed: Thickness, rng: np.random.Generator) -> Map:
    """The film's grey (H, W), 0 black to 1 white, from what the rays crossed."""
    size_px = len(crossed.soft)
    primary = np.exp(-WATER_PER_CM * crossed.soft - BONE_PER_CM * crossed.bone)
    scatter = low_pass(primary, 10)  # a haze that fills the dense parts
    signal = primary + np.float32(rng.uniform(0.4, 0.8)) * scatter
    photons = 10 ** rng.uniform(4.9, 5.4)  # per pixel of an unattenuated beam
    blur = rng.uniform(0.4, 0.55) * size_px / 256
    motion = 1 + 2 * round(rng.uniform(0.5, 1.5) * size_px / 256) if rng.random() < 0.08 else 0
    dark, white, middle = rng.uniform(0.17, 0.30), rng.uniform(0.76, 0.93), rng.uniform(0.50, 0.66)
    detail, dynamics = rng.uniform(1.45, 1.85), rng.uniform(0.65, 0.8)
    signal *= 1 + rng.standard_normal(signal.shape, dtype=np.float32) / np.sqrt(photons * signal)
    signal = ndimage.gaussian_filter(signal, blur, truncate=2.5)
    if motion:
        signal = ndimage.uniform_filter1d(signal, motion, axis=0)
    density = -np.log(np.clip(signal, 1e-4, None))
    # Digital systems flatten the wide range of a chest and lift its detail before anyone sees it.
    broad = low_pass(density, 8)
    fine = density - low_pass(density, 28)
    density = dynamics * broad + detail * (density - broad) + 0.9 * detail * fine
    grey_levels = density[size_px // 6 : -size_px // 8 : 3, size_px // 5 : -size_px // 5 : 3]
    covered = primary[size_px // 6 : -size_px // 8 : 3, size_px // 5 : -size_px // 5 : 3] < 0.6
    low, half, high = (float(level) for level in np.percentile(grey_levels[covered], (2, 50, 98)))
    # Like an automatic exposure, this leads darkest and middle grey half of the way to where they always
    # are, whatever fills the lungs: a film's brightness alone must not tell its class.
    low = high - (0.5 * (high - low) + 0.5 * USUAL_SPAN) * rng.uniform(0.92, 1.12)
    usual = USUAL_MIDDLE + 0.5 * ((half - low) / (high - low) - USUAL_MIDDLE)
    gamma = float(np.clip(np.log(middle) / np.log(usual), 0.6, 1.7))
    toe = rng.uniform(1.0, 2.8)  # how fast the grey falls to black where the beam met little
    t = (density - low) / (high - low)
    curve = rng.uniform(-0.65, 0.65)  # makers' tone curves differ: softer or harder about the middle
    t = np.where(t > 0, t + curve / (2 * np.pi) * np.sin(2 * np.pi * np.clip(t, 0, 1)), t)
    rise = white - dark
    faint = dark * np.exp(toe * rise / dark * np.minimum(t, 0))
    grey = np.where(t < 0, faint, dark + rise * np.abs(t) ** gamma)
    return np.asarray(grey, dtype=np.float32)


@lru_cache(maxsize=32)
def letter(text: str, height_px: int) -> Floats:
    """A lead marker's opacity, (height, width), 0 to 1."""
    font = ImageFont.load_default(size=height_px)
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text))
    canvas = Image.new("L", (right - left + 2, bottom - top + 2))
    ImageDraw.Draw(canvas).text((1 - left, 1 - top), text, fill=255, font=font)
    return np.asarray(np.asarray(canvas) / 255, dtype=np.float32)


def annotate(grey: Map, rng: np.random.Generator) -> None:
    """Side marker and collimator edges, in place."""
    size_px = len(grey)
    if rng.random() < 0.2:
        for edge in (grey, grey[::-1], grey.T, grey.T[::-1]):
            shutter = int(size_px * rng.uniform(0, 0.06)) if rng.random() < 0.5 else 0
            edge[:shutter] = edge[:shutter] * 0.05 + rng.uniform(0, 0.03)
    if rng.random() < 0.85:
        left = rng.random() < 0.85
        text = "R" if left else "L"
        share = rng.choice((0.05, 0.06, 0.075, 0.10), p=(0.4, 0.3, 0.2, 0.1))
        glyph = letter(text, max(7, int(size_px * share)))
        height, width = glyph.shape
        row = int(size_px * rng.uniform(0.02, 0.42))
        column = int(size_px * rng.uniform(0.01, 0.12))
        column = column if left else size_px - width - column
        spot = grey[row : row + height, column : column + width]
        spot += glyph * (rng.uniform(0.85, 1.0) - spot)


def radiograph(rng: np.random.Generator, pneumonia: bool, size_px: int = 256) -> NDArray[np.uint8]:
    """One synthetic chest film of a child, AP: (size_px, size_px) uint8, bone white.

    The patient's right is on the left of the picture. All that is random comes from `rng`.
    """
    return film(rng, draw_disease(rng) if pneumonia else None, size_px)


def draw_disease(rng: np.random.Generator) -> Disease:
    """Which pneumonia: lobar as bacteria cause it, or diffuse as viruses do."""
    return "lobar" if rng.random() < 0.55 else "diffuse"


def film(rng: np.random.Generator, disease: Disease | None, size_px: int) -> NDArray[np.uint8]:
    """As `radiograph`, of a known disease."""
    grey = expose(tissue(Frame(Chest.draw(rng), size_px), rng, disease), rng)
    annotate(grey, rng)
    return np.asarray(np.clip(grey * 255 + 0.5, 0, 255), dtype=np.uint8)


def make_demo(
    root: Path,
    *,
    seed: int = 0,
    counts: Mapping[str, Mapping[str, int]] = DEMO_COUNTS,
    size_px: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make root/{train,test,val}/{NORMAL,PNEUMONIA} full of grey JPEGs, and return `root`.

    `counts` says how many of each split and class; `test` plays validation, as in the published data.
    `progress` is told (images made, images in all). The same arguments give the same bytes. A demo that
    is already there is left alone, one made otherwise is replaced; a folder that holds anything else is
    refused with a `UserError`. Nothing appears at `root` before all of it is made.
    """
    root = Path(root)
    wanted = {
        "format": FORMAT_VERSION,
        "seed": seed,
        "size_px": size_px,
        "counts": {split: dict(classes) for split, classes in counts.items()},
    }
    former = _read_marker(root)
    if former == wanted:
        return root
    if root.exists() and not _is_ours(root, former):
        raise UserError(
            f"{root} already holds something that is not a demo.",
            "Name an empty folder for the demo radiographs, or move what is there.",
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    making = root.parent / f".{root.name}-making-{secrets.token_hex(4)}"
    making.mkdir()  # by hand: tempfile's folders are not as the user's umask wants them
    try:
        _fill(making, seed, counts, size_px, progress)
        (making / MARKER).write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
        if root.exists():
            shutil.rmtree(root)
        try:
            making.replace(root)
        except OSError:
            if _read_marker(root) != wanted:  # else another process was as quick, with the same films
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return root


def _read_marker(root: Path) -> object:
    """What `root`'s marker says, or None."""
    try:
        return json.loads((root / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _is_ours(root: Path, marker: object) -> bool:
    """Whether `root` holds nothing that a person would miss: it is empty, or a demo and no file more."""
    if not root.is_dir():
        return False
    held = {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()}
    if not held:
        return True
    if not isinstance(marker, dict):
        return False
    try:
        counts: dict[str, dict[str, int]] = marker["counts"]
        most = {
            f"{split}/{name}": count for split, classes in counts.items() for name, count in classes.items()
        }
    except (TypeError, KeyError, AttributeError):
        return False
    for path in held - {MARKER}:
        folder, _, name = path.rpartition("/")
        if not NAME.fullmatch(name) or folder not in most:
            return False
        most[folder] -= 1
    return min(most.values(), default=0) >= 0


def _fill(
    folder: Path,
    seed: int,
    counts: Mapping[str, Mapping[str, int]],
    size_px: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    films = []
    for split, classes in counts.items():
        for name, count in classes.items():
            (folder / split / name).mkdir(parents=True)
            films += [(folder, split, name, index, seed, size_px) for index in range(count)]
    with ExitStack() as stack:
        # Processes, for Python's own lock would let threads take turns; not where starting them costs more
        # than they save. Spawned, not forked: a fork would copy locks that other threads hold.
        if len(films) < _WORTH_PROCESSES:
            made: Iterable[None] = map(_make, films)
        else:
            context = multiprocessing.get_context("spawn")
            made = stack.enter_context(ProcessPoolExecutor(mp_context=context)).map(_make, films, chunksize=4)
        for done, _ in enumerate(made, 1):
            if progress:
                progress(done, len(films))


def _make(film_of: tuple[Path, str, str, int, int, int]) -> None:
    """One file, from (folder, split, class, index, seed, size in pixels)."""
    folder, split, name, index, seed, size_px = film_of
    rng = np.random.default_rng([seed, *f"{split}/{name}".encode(), index])
    disease = draw_disease(rng) if name == "PNEUMONIA" else None
    path = folder / split / name / file_name(split, disease, index)
    # One thread for the matrix products: how many share them changes their rounding, and so a film's bytes.
    with threadpool_limits(1):
        pixels = film(rng, disease, size_px)
    Image.fromarray(pixels).save(path, quality=92)


def file_name(split: str, disease: Disease | None, index: int) -> str:
    """Named as the published files are, so that patients are told apart the same way.

    The splits take turns at the patients' numbers: nobody is in two of them, however many images there are.
    """
    patient = len(SPLITS) * index + SPLITS.index(split) + 1
    if disease is None:
        return f"IM-{patient:04d}-0001.jpeg"
    return f"person{patient}_{'bacteria' if disease == 'lobar' else 'virus'}_{index + 1}.jpeg"

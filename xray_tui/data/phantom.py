"""A child's chest in numbers: how many centimetres of what each ray of the film crosses.

The beam runs along z (anterior is positive). x grows towards the right of the film, which is the
patient's left, and is measured from the midline; y grows downwards from the lung apices. All lengths
are centimetres. Organs are solids whose chord along the beam is known in closed form (an edge then has
the square-root profile of a real tangent); ribs, clavicles and vessels are tubes in space, sampled as
points and projected, so that bone piles up by itself where a rib runs along the beam.

`thorax` puts the organs together, `demo` turns thickness into grey.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]  # (H, W), cm along the beam unless said otherwise
Floats = NDArray[np.float32]


@lru_cache(maxsize=64)
def spline_matrix(cells: int, size_px: int) -> Floats:
    """Cubic B-spline weights that spread `cells` + 3 knots smoothly over `size_px`: (size_px, cells + 3)."""
    position = (np.arange(size_px) + 0.5) / size_px * cells + 1
    distance = np.abs(position[:, None] - np.arange(cells + 3)[None, :])
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, inner, outer).astype(np.float32)


def smooth_noise(rng: np.random.Generator, size_px: int, cells: int) -> Map:
    """Gaussian noise, about unit variance, with features of size_px / cells pixels: (H, W)."""
    knots = rng.standard_normal((cells + 3, cells + 3), dtype=np.float32)
    weights = spline_matrix(cells, size_px)
    spread = weights @ knots @ weights.T
    return np.asarray(spread * np.float32(2.1), dtype=np.float32)  # the spline left 0.23 of the variance


def low_pass(picture: Map, cells: int) -> Map:
    """`picture` blurred to features of about its size / cells."""
    weights = spline_matrix(cells, picture.shape[0])
    gather = (weights / weights.sum(0)).T
    return np.asarray(weights @ (gather @ picture @ gather.T) @ weights.T, dtype=np.float32)


def step(distance: Floats, softness: float) -> Floats:
    """0 well below zero, 1 well above, over about ± `softness`."""
    return np.asarray(0.5 + 0.5 * np.tanh(distance / np.float32(softness)), dtype=np.float32)


@dataclass(frozen=True)
class Chest:
    """The shape of one child and how it was laid on the plate."""

    field: float  # side of the film
    top: float  # film's upper edge to the lung apices
    off_axis: float  # midline's offset from the film's centre at the apices
    lean: float  # sideways shift of the midline per cm downwards
    bend: float  # scoliosis: amplitude of the midline's curve
    rotation: float  # about the body's long axis, radians
    tilt: float  # left side lower than right, cm per cm
    half_width: float  # of the rib cage at its base
    depth: float  # front to back of the lungs
    length: float  # apex to the right diaphragm's dome
    wall: float  # skin to ribs
    spacing: float  # between two posterior ribs
    slope: float  # how far ribs fall from spine to front
    heart: float  # half of its width
    thymus: float  # its sail, 0 for none
    hilum: float  # vessel size against the usual one
    arms: float  # angle of the upper arms, radians above horizontal

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Chest":
        """A random child; poor inspiration shortens the lungs and widens the heart."""
        inspiration = float(np.clip(rng.normal(0.62, 0.22), 0.0, 1.0))
        half_width = rng.uniform(7.6, 9.0)
        length = half_width * (1.14 + 0.34 * inspiration)
        return cls(
            field=rng.uniform(2.15, 2.6) * half_width,
            top=rng.uniform(0.26, 0.50) * half_width,
            off_axis=rng.normal(0.0, 0.35),
            lean=rng.normal(0.0, 0.025),
            bend=rng.normal(0.0, 0.18),
            rotation=rng.normal(0.0, 0.07),
            tilt=rng.normal(0.0, 0.03),
            half_width=half_width,
            depth=half_width * rng.uniform(1.15, 1.4),
            length=length,
            wall=rng.uniform(0.9, 2.3),
            spacing=length / rng.uniform(8.3, 9.3),
            slope=rng.uniform(0.40, 0.62) * half_width,
            heart=half_width * (0.56 - 0.10 * inspiration) * rng.uniform(0.88, 1.08),
            thymus=rng.uniform(0.5, 2.0) if rng.random() < 0.25 else 0.0,
            hilum=float(np.exp(rng.normal(0.0, 0.16))),
            arms=rng.uniform(-1.4, -0.6) if rng.random() < 0.5 else rng.uniform(0.3, 1.15),
        )

    def midline(self, y: Floats) -> Floats:
        """x of the spine at height y, from the film's centre."""
        return np.asarray(self.off_axis + self.lean * y + self.bend * np.sin(y / 5.5), dtype=np.float32)

    def cage(self, y: Floats) -> Floats:
        """Half-width of the rib cage at height y."""
        down = np.clip((y / self.length + 0.13) / 1.2, 0, 1)  # a bell: steep at the apices, then ever steeper
        return np.asarray(self.half_width * (1 - (1 - down) ** 2.4) ** 0.66, dtype=np.float32)


class Frame:
    """The film's pixels in a chest's coordinates."""

    def __init__(self, chest: Chest, size_px: int) -> None:
        self.chest = chest
        self.size_px = size_px
        self.pixel = chest.field / size_px
        line = (np.arange(size_px, dtype=np.float32) + np.float32(0.5)) * np.float32(self.pixel)
        self.y: Floats = (line - np.float32(chest.top))[:, None]  # (H, 1)
        film_x = (line - np.float32(chest.field / 2))[None, :]
        self.midline: Floats = chest.midline(self.y)  # (H, 1), from the film's middle
        self.x: Map = film_x - self.midline  # (H, W)
        self.tilted: Map = self.y - np.float32(chest.tilt) * self.x  # (H, W)

    def turn(self, x: float, z: float) -> float:
        """x of something at depth z after the patient's rotation."""
        return float(x * np.cos(self.chest.rotation) + z * np.sin(self.chest.rotation))

    def window(self, x: tuple[float, float], y: tuple[float, float]) -> tuple[slice, slice]:
        """The rows and columns that can show what lies within x and y: most organs are small."""
        sag = abs(self.chest.tilt) * max(abs(x[0]), abs(x[1]))
        rows = [
            int(np.clip((edge + self.chest.top) / self.pixel, 0, self.size_px))
            for edge in (y[0] - sag, y[1] + sag)
        ]
        midline = self.midline[rows[0] : rows[1] + 1]
        left, right = (x[0] + midline.min(), x[1] + midline.max()) if len(midline) else x
        columns = [
            int(np.clip((edge + self.chest.field / 2) / self.pixel, 0, self.size_px))
            for edge in (left, right)
        ]
        return slice(rows[0], rows[1] + 1), slice(columns[0], columns[1] + 1)

    def chord(
        self, x: float, y: float, rx: float, ry: float, chord: float, angle: float = 0.0
    ) -> tuple[tuple[slice, slice], Map]:
        """Where an ellipsoid about (x, y), turned by `angle`, shows, and its chord there; `chord` amid it."""
        reach_x, reach_y = (rx, ry) if not angle else (max(rx, ry), max(rx, ry))
        where = self.window((x - reach_x, x + reach_x), (y - reach_y, y + reach_y))
        dx, dy = self.x[where] - np.float32(x), self.tilted[where] - np.float32(y)
        if angle:
            cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
            dx, dy = cos * dx + sin * dy, cos * dy - sin * dx
        inside = 1 - np.square(dx * np.float32(1 / rx)) - np.square(dy * np.float32(1 / ry))
        return where, np.float32(chord) * np.sqrt(np.maximum(inside, 0))

    def ellipsoid(self, x: float, y: float, rx: float, ry: float, chord: float, angle: float = 0.0) -> Map:
        """As `chord`, on the whole film."""
        whole = np.zeros_like(self.x)
        where, inside = self.chord(x, y, rx, ry, chord, angle)
        whole[where] = inside
        return whole

    def capsule(self, a: tuple[float, float], b: tuple[float, float], radius: float) -> Map:
        """Chord through a round limb from a to b."""
        where = self.window(
            (min(a[0], b[0]) - radius, max(a[0], b[0]) + radius),
            (min(a[1], b[1]) - radius, max(a[1], b[1]) + radius),
        )
        bx, by = np.float32(b[0] - a[0]), np.float32(b[1] - a[1])
        dx, dy = self.x[where] - np.float32(a[0]), self.y[where[0]] - np.float32(a[1])
        along = np.clip((dx * bx + dy * by) / (bx * bx + by * by), 0, 1)
        squared = np.square(dx - along * bx) + np.square(dy - along * by)
        whole = np.zeros_like(self.x)
        whole[where] = 2 * np.sqrt(np.maximum(np.float32(radius**2) - squared, 0))
        return whole

    def flat(self, vectors: Floats) -> Floats:
        """Directions in space (..., 3) as the film sees them: (..., 2), x and y in cm."""
        turned = vectors[..., 0] * np.float32(np.cos(self.chest.rotation))
        turned += vectors[..., 2] * np.float32(np.sin(self.chest.rotation))
        return np.stack([turned, vectors[..., 1] + np.float32(self.chest.tilt) * turned], -1)

    def project(self, *clouds: "Cloud") -> Map:
        """Points onto the film: cm along the beam."""
        x, y, area = (np.concatenate([part.ravel() for part in parts]) for parts in zip(*clouds, strict=True))
        # Half a pixel in height is finer than the film's own blur, and most tubes lie across: to be as fine
        # in width costs twice the memory, which is what takes the time here.
        size_px, scale = self.size_px, np.float32(1 / self.pixel)
        x += np.float32(self.chest.field / 2)
        y += np.float32(self.chest.top)
        column = np.clip(x * scale, 0, size_px - 1, out=x).astype(np.intp)
        row = np.clip(y * (2 * scale), 0, 2 * size_px - 1, out=y).astype(np.intp)
        row *= size_px
        row += column
        halves = np.bincount(row, weights=area, minlength=2 * size_px**2).reshape(size_px, 2, size_px)
        halves[[0, -1], [0, -1]] = 0  # what lies beyond the film was clipped onto its border
        halves[:, :, [0, -1]] = 0
        return np.asarray(halves.sum(1) * (1 / self.pixel**2), dtype=np.float32)


class Cloud(NamedTuple):
    """Points on the film: cm from its middle and the apices, and the volume (cm3) each stands for."""

    x: Floats
    y: Floats
    area: Floats


class Section(NamedTuple):
    """A tube's cross-section as points: where they lie, in radii, and the area each stands for."""

    across: Floats  # (K,), from -1 to 1
    outward: Floats  # (K,)
    area: Floats  # (K,)


def section(count: int, shell: float = 1.0, marrow: float = 0.0, layers: int = 1) -> Section:
    """A bone: a shell `shell` radii thick round spongy bone of `marrow` times its density.

    A full `shell` is a vessel. The points are even across the tube, with as much area each as a ray there
    would cross: points on the shell itself would crowd at its edges and leave its middle speckled. More
    than one of `layers`, front to back, gives a tube seen edge on its depth.
    """
    fine = (np.arange(count * 64) + 0.5) / (count * 32) - 1
    hollow = np.sqrt(np.clip((1 - shell) ** 2 - fine**2, 0, None))
    chord = 2 * (np.sqrt(1 - fine**2) - (1 - marrow) * hollow)
    across = (np.arange(count) + 0.5) / (count / 2) - 1
    area = chord.reshape(count, 64).sum(1) / (count * 32)
    outward = np.resize(np.linspace(0.6, -0.6, layers), count) if layers > 1 else np.zeros(count)
    return Section(across.astype(np.float32), outward.astype(np.float32), area.astype(np.float32))


VESSEL = section(7)


def tubes(frame: Frame, path: Floats, outward: Floats, wide: Floats, thin: Floats, shape: Section) -> Cloud:
    """Tubes along `path` (N, S, 3), `thin` along `outward` and `wide` across it (radii (N, S))."""
    along = np.gradient(path, axis=1).astype(np.float32)
    length = np.sqrt(np.einsum("nsi,nsi->ns", along, along)) + np.float32(1e-6)
    across = np.cross(along, outward)
    across *= (wide / (np.sqrt(np.einsum("nsi,nsi->ns", across, across)) + np.float32(1e-6)))[..., None]
    centre = frame.flat(path)
    centre[..., 0] += frame.chest.midline(centre[..., 1])
    # Each row of points starts its own part of a stride further on: in step they would show as a weave.
    stagger = (np.arange(len(shape.across)) * 0.618) % 1 - 0.5
    parts = np.stack([np.ones_like(stagger), shape.across, shape.outward, stagger]).astype(np.float32)
    sides = (frame.flat(across), frame.flat(outward * thin[..., None]), frame.flat(along))
    basis = np.stack([centre, *sides], -1)  # (N, S, 2, 4)
    x, y = (basis[..., axis, :].reshape(-1, 4) @ parts for axis in range(2))
    return Cloud(x, y, (length * wide * thin).reshape(-1, 1) * shape.area)


def facing(path: Floats) -> Floats:
    """The unit vector towards the X-ray tube at each point of `path` (N, S, 3)."""
    outward = np.zeros_like(path)
    outward[..., 2] = 1
    return outward


def ribs(frame: Frame, rng: np.random.Generator) -> Cloud:
    """Eleven ribs a side (the twelfth hardly shows), from the spine to where cartilage begins."""
    chest, per_side = frame.chest, 11
    samples = max(48, round(1.6 * frame.size_px))
    side = np.repeat(np.array([-1.0, 1.0], np.float32), per_side)[:, None]
    number = np.tile(np.arange(per_side, dtype=np.float32), 2)[:, None]
    turn = np.linspace(0.03, 1.0, samples, dtype=np.float32)[None, :] * np.interp(
        number, [0, 1, 6, 10], [2.58, 2.43, 2.33, 1.8]
    )
    turn = (turn - 0.2 * np.sin(2 * turn)).astype(
        np.float32
    )  # even on the film: ribs run along the beam at the side
    fall = chest.slope * np.interp(number, [0, 2, 10], [0.45, 0.9, 1.2])
    start = (number - 0.75) * chest.spacing + rng.normal(0, 0.06, number.shape)
    # Behind, a rib falls evenly towards the side, once it has risen over the lung's back; in front, steeply.
    y = start + fall * (0.70 * np.sin(turn) + 0.80 * (np.sqrt(np.cos(turn) ** 2 + 0.15) - np.cos(turn)))
    y -= 0.025 * chest.half_width * np.sin(2 * turn)
    y = y.astype(np.float32)
    half = chest.cage(np.maximum(y, 0.06 * chest.length)) + np.float32(0.15)
    half_depth = np.float32(chest.depth * 0.54) * half / half.max()
    x = side * half * np.sin(turn) ** np.float32(0.85)
    z = -half_depth * np.cos(turn)
    path = np.stack([x, y, z], -1).astype(np.float32)
    outward = np.stack([side * np.sin(turn), np.zeros_like(turn), -np.cos(turn)], -1).astype(np.float32)
    ends = np.clip((1 - np.linspace(0, 1, samples, dtype=np.float32)) / 0.1, 0, 1)[None, :]
    bulk = chest.half_width * np.interp(number, [0, 1, 9, 10], [0.031, 0.033, 0.032, 0.027])
    wide = (
        bulk * (0.55 + 0.45 * ends) * (1 + 0.1 * np.cos(turn)) * rng.uniform(0.92, 1.08, number.shape)
    ).astype(np.float32)
    front = np.clip((turn - 1.5) / 0.5, 0, 1)  # ribs flatten, and lose bone, towards their cartilage
    thin = (wide * ends * (1 - 0.55 * front)).astype(np.float32)
    return tubes(frame, path, outward, wide, thin, section(13, 0.16, 0.05, layers=3))


def limb_bones(
    frame: Frame, rng: np.random.Generator, joints: list[tuple[float, float]]
) -> tuple[list[Cloud], Map]:
    """Clavicles, humeri and the borders of the scapulae as points, and the scapulae's blades as cm."""
    chest, samples = frame.chest, max(40, round(1.0 * frame.size_px))
    t = np.linspace(0, 1, samples, dtype=np.float32)
    scale = chest.half_width / 8.3
    slim: list[tuple[Floats, Floats]] = []
    stout: list[tuple[Floats, Floats]] = []
    blades = np.zeros_like(frame.x)
    for side, (sx, sy) in zip((-1.0, 1.0), joints, strict=True):
        inner = np.array([side * 1.25, 0.075 * chest.length, 4.2])
        clavicle = inner + (np.array([sx * 0.88, sy - 1.0 * scale, 0.5]) - inner) * t[:, None]
        clavicle[:, 1] -= np.sin(t * np.pi * 1.75) * 0.4 * scale
        tips = np.clip(np.minimum(t, 1 - t) / 0.06, 0.05, 1) ** 0.5
        thick = 0.31 * scale * (1 + 0.4 * np.abs(2 * t - 1) ** 2.5) * tips
        slim.append((clavicle.astype(np.float32), thick.astype(np.float32)))
        arm = np.array([side * np.cos(chest.arms), -np.sin(chest.arms), 0.0])
        shaft = np.array([sx, sy, 0.0]) + arm * (t[:, None] * 9 * scale)
        flared = 0.50 * scale * (1 + 0.7 * (1 - t) ** 9)
        stout.append((shaft.astype(np.float32), flared.astype(np.float32)))
        blades += frame.ellipsoid(sx - 0.4 * arm[0], sy - 0.4 * arm[1], 1.0 * scale, 0.95 * scale, 0.6)
        tip = np.array([side * rng.uniform(5.6, 6.9) * scale, sy + rng.uniform(4.6, 6.2) * scale, -4.0])
        socket = np.array([sx - side * 0.9, sy + 0.4, -1.0])
        corner = np.array([side * 4.6 * scale, sy + 0.3, -5.0])
        borders = ((socket, tip, 0.5, 0.19), (corner, tip, -0.5, 0.10), (corner, socket, 0.4, 0.14))
        for a, b, bow, radius in borders:
            edge = a + (b - a) * t[:, None]
            edge[:, 0] += side * bow * np.sin(t * np.pi)
            slim.append((edge.astype(np.float32), (radius * scale * (1 - 0.5 * t)).astype(np.float32)))
        lean = side * (1.15 + rng.normal(0, 0.1))
        blades += frame.ellipsoid(side * 5.9 * scale, sy + 2.5 * scale, 3.2 * scale, 1.15 * scale, 0.15, lean)
    clouds = []
    for bones, shape in ((slim, section(9, 0.24, 0.16)), (stout, section(28, 0.20, 0.16))):
        paths, radii = (np.stack(part) for part in zip(*bones, strict=True))
        clouds.append(tubes(frame, paths, facing(paths), radii, radii, shape))
    return clouds, blades


def spine(frame: Frame) -> Map:
    """Vertebral bodies with end plates, pedicles and spinous processes, discs between them."""
    chest = frame.chest
    shadow = np.zeros_like(frame.x)
    near = np.flatnonzero(np.abs(frame.x).min(0) < 0.36 * chest.half_width)  # the rest of the film has none
    if not len(near):
        return shadow
    strip = slice(near[0], near[-1] + 1)
    x = frame.x[:, strip]
    half = (0.098 * chest.half_width * (1 + 0.022 * np.clip(frame.y, -6, 16))).astype(np.float32)
    phase = (frame.tilted[:, strip] / np.float32(chest.spacing * 1.02)) % 1.0  # 0 at a disc's middle
    off = np.abs(phase - np.float32(0.5))
    u = (x - np.float32(frame.turn(0.0, -2.5))) / (half * (0.9 + 0.6 * off * off))
    chord = np.sqrt(np.clip(1 - (u * u) ** 2, 0, None))
    plate = np.exp(-(((off - 0.37) / 0.05) ** 2))
    column = chord * (0.11 + step(0.40 - off, 0.06) * 0.045 + plate * 0.03)
    beside = (np.abs(x - np.float32(frame.turn(0.0, -4.5))) / half - 0.68) / 0.2
    around = np.sqrt(beside**2 + ((phase - 0.36) / 0.17) ** 2)
    pedicles = np.exp(-(((around - 0.85) / 0.35) ** 2)) * 0.035
    behind = (x - np.float32(frame.turn(0.0, -6.0))) / half
    process = np.exp(-((behind / 0.16) ** 2) - ((phase - 0.72) / 0.14) ** 2) * 0.05
    transverse = np.exp(-(((np.abs(behind) - 1.25) / 0.35) ** 2) - ((phase - 0.36) / 0.10) ** 2) * 0.03
    shadow[:, strip] = (column + pedicles + process + transverse) * half
    return shadow


def branches(chest: Chest, rng: np.random.Generator, size_px: int) -> tuple[Floats, Floats]:
    """Both lungs' vessel trees: paths (N, S, 3) from the hila outwards, and radii (N, S)."""
    samples = max(24, size_px // 4)
    paths: list[Floats] = []
    radii: list[Floats] = []
    side = np.array([-1.0, 1.0])
    t = np.linspace(0, 1, samples)
    for generation, each in enumerate((9, 24, 48)):
        n = 2 * each
        if generation == 0:
            side = np.repeat(side, each)
            angle = np.tile(np.linspace(-1.3, 1.35, each), 2) + rng.normal(0, 0.12, n)
            origin = np.stack([side * 0.24 * chest.half_width, np.full(n, 0.50 * chest.length)], 1)
            origin += rng.normal(0, 0.5, (n, 2))
            length = chest.half_width * rng.uniform(0.45, 0.85, n) * (1 + 0.5 * np.clip(angle, 0, 2))
            first = np.full(n, 0.043 * chest.half_width)
        else:
            parent = rng.integers(0, len(paths[-1]), n)
            node = rng.integers(samples // 6, samples - 2, n)
            origin = paths[-1][parent, node, :2].astype(np.float64)
            ahead = paths[-1][parent, node + 1, :2] - paths[-1][parent, node, :2]
            side = side[parent]
            fork = rng.choice([-1, 1], n) * rng.uniform(0.3, 0.8, n)
            angle = np.arctan2(ahead[:, 1], ahead[:, 0] * side) + fork
            length = chest.half_width * rng.uniform(0.2, 0.4, n)
            first = radii[-1][parent, node] * 0.85 / chest.hilum
        heading = angle[:, None] + np.cumsum(rng.normal(0, 0.35 / np.sqrt(samples), (n, samples)), 1)
        stride = (length / samples)[:, None]
        x = origin[:, :1] + side[:, None] * np.cumsum(np.cos(heading), 1) * stride
        y = origin[:, 1:] + np.cumsum(np.sin(heading), 1) * stride
        paths.append(np.stack([x, y, np.zeros_like(x)], -1).astype(np.float32))
        radii.append((chest.hilum * first[:, None] * (1 - 0.6 * t)).astype(np.float32))
    return np.concatenate(paths), np.concatenate(radii)

"""What a chest film's rays cross: trunk, lungs, heart and abdomen, healthy or with pneumonia.

Soft tissue is counted in cm of water, bone in cm of cortical bone, both along the beam. What confounds a
reader of real films (poor inspiration, a turned patient, thymus, folds, wires) is drawn alike for both
classes; only `lobar` and `diffuse` are disease.
"""

from typing import Literal, NamedTuple

import numpy as np
from scipy import ndimage

from xray_tui.data.phantom import (
    VESSEL,
    Frame,
    Map,
    branches,
    facing,
    limb_bones,
    ribs,
    section,
    smooth_noise,
    spine,
    step,
    tubes,
)

LUNG_DENSITY = 0.27  # inflated lung against water (ICRU 46: 0.26 g/cm3)

# How much of the air in a diseased part fluid replaces. Set so that a new head on frozen ImageNet features
# reads nine films of ten rightly: weaker and the demo's curves stay flat, stronger and it makes no mistakes.
LOBAR_STRENGTH = (0.62, 0.92)
DIFFUSE_STRENGTH = (0.42, 0.76)

Disease = Literal["lobar", "diffuse"]


class Thickness(NamedTuple):
    """What the rays cross: two (H, W) float32 maps, in cm of water and in cm of cortical bone."""

    soft: Map
    bone: Map


def body(frame: Frame, rng: np.random.Generator) -> tuple[Map, Map, list[tuple[float, float]]]:
    """Trunk, neck, head and arms as cm of water, the jaw as cm of bone, and where the shoulder joints are."""
    chest = frame.chest
    scale = chest.half_width / 8.3
    half = chest.cage(np.maximum(frame.y, 0.35 * chest.length)) + chest.wall * (
        1 + 0.5 * np.exp(-(((frame.y - 3.5) / 2.5) ** 2))
    )
    rise = np.sqrt(np.clip((frame.y + 3.1) / (0.34 * chest.length), 0, 1)).astype(np.float32)
    u = (frame.x / (half * (0.3 + 0.7 * np.sqrt(rise))).astype(np.float32)) ** 2
    trunk = (
        np.float32(chest.depth + 1.4 * chest.wall)
        * np.sqrt(np.clip(1 - u * (0.85 + 0.15 * u), 0, None))
        * rise
    )
    thick = np.float32(chest.half_width * rng.uniform(0.34, 0.42))
    neck_half = thick + np.float32(1.6) * np.exp(np.minimum(frame.y + 2.8, 4) / 1.9)  # on to the shoulders
    neck = np.sqrt(np.clip(1 - (frame.x / neck_half) ** 2, 0, None)) * step(0.6 - frame.y, 2.2)
    neck *= 2.4 * thick * np.sqrt(thick / neck_half)
    jaw = rng.uniform(-0.4, 2.6) - chest.top  # most films cut the chin off
    head_x = rng.normal(0, 0.6)
    head = frame.ellipsoid(head_x, jaw - 5.0, 0.62 * chest.half_width, 5.0, 13.0)
    parts = [trunk, neck, head]
    joints = []
    for side in (-1.0, 1.0):
        joint = (
            side * rng.uniform(0.96, 1.12) * chest.half_width,
            rng.uniform(-1.6, 0.4) - 0.8 * np.sin(chest.arms),
        )
        elbow = (joint[0] + side * 11 * np.cos(chest.arms), joint[1] - 11 * np.sin(chest.arms))
        parts.append(frame.capsule(joint, elbow, 1.7 * scale + 0.3 * chest.wall))
        parts.append(
            frame.capsule(
                (side * 2.4, -0.9), (joint[0] * 0.95, joint[1] + 0.7), 2.7 * scale + 0.2 * chest.wall
            )
        )
        joints.append(joint)
    total = np.zeros_like(frame.x)
    for part in parts:
        total += np.square(np.square(part))
    return np.sqrt(np.sqrt(total)), np.float32(0.06) * head, joints


class Lungs:
    """The two air spaces of a frame.

    `air` (H, W): depth in cm before heart and diaphragm are taken out; `across` runs from 0 at the medial
    to 1 at the lateral border, `down` from 0 at the apex to 1 at the dome.
    """

    def __init__(self, frame: Frame, rng: np.random.Generator) -> None:
        chest = frame.chest
        air, across, down = (np.zeros_like(frame.x) for _ in range(3))
        for side in (-1.0, 1.0):
            y = frame.y - np.float32(chest.tilt * side * 5.5 + rng.normal(0, 0.12))
            t = y / np.float32(chest.length)
            cap = np.sqrt(np.clip(1 - (1 - np.clip(t / 0.22, 0, 1)) ** 2.6, 0, 1))
            apex = 0.40 * chest.half_width
            lateral = apex + (chest.cage(y) - 0.1 - apex) * cap
            medial = apex + (0.13 * chest.half_width - apex) * cap
            half = (lateral - medial) / 2 + np.float32(1e-3)
            u = (np.float32(side) * frame.x - medial) / half - 1
            recess = np.clip((1.36 - t) / 0.22, 0, 1)
            depth = (cap * chest.depth * (0.50 + 0.40 * np.clip(t / 0.7, 0, 1)) * np.sqrt(recess)).astype(
                np.float32
            )
            here = np.float32(side) * frame.x > 0
            air = np.where(here, np.sqrt(np.clip(1 - np.square(u * u), 0, None)) * depth, air)
            across = np.where(here, (u + 1) / 2, across)
            down = np.where(here, t, down)
        self.air: Map = air
        self.across: Map = across
        self.down: Map = down


def mediastinum(frame: Frame, rng: np.random.Generator) -> Map:
    """Heart, great vessels and thymus: the lung depth they take away, cm."""
    chest = frame.chest
    shift, base, wide = frame.turn(0.0, 2.5), chest.length, chest.half_width
    knots = base * np.array([-0.3, 0.12, 0.26, 0.37, 0.50, 0.66, 0.84, 1.0, 1.2])
    ventricle = rng.uniform(0.85, 1.0)  # how far up the left ventricle bulges
    left = [0.19, 0.20, rng.uniform(0.22, 0.29), rng.uniform(0.20, 0.26), 0.30, 0.43, 0.54, 0.58, 0.52]
    right = [0.19, 0.19, 0.18, 0.19, 0.24, 0.31, 0.34, 0.32, 0.28]
    grown = np.interp(knots, [0.3 * base, 0.6 * base], [1.0, chest.heart / (0.5 * wide)])
    grown_left = grown * np.interp(knots, [0.4 * base, 0.6 * base, 0.8 * base], [1.0, ventricle, 1.0])
    rows, soft = frame.y[:, 0], 0.05 * base / frame.pixel
    edges = [
        ndimage.gaussian_filter1d(
            np.interp(rows, knots, wide * np.array(border) * size), soft, mode="nearest"
        )
        for border, size in ((left, grown_left), (right, grown))
    ]
    middle, half = (edges[0] - edges[1]) / 2, (edges[0] + edges[1]) / 2
    u = (frame.x - (shift + middle).astype(np.float32)[:, None]) / half.astype(np.float32)[:, None]
    deep = chest.depth * np.interp(rows, [0.35 * base, 0.7 * base], [0.55, 0.72])
    total = deep.astype(np.float32)[:, None] * np.sqrt(np.clip(1 - u * u, 0, None))
    if chest.thymus:
        side = 1.0 if rng.random() < 0.4 else -1.0
        sail = frame.ellipsoid(shift + side * 1.4, 0.26 * base, 1.4 + chest.thymus, 2.9, 0.4 * chest.depth)
        total = np.maximum(total, sail * step(0.40 * base - frame.tilted, 0.25))
    return np.asarray(total, dtype=np.float32)


def abdomen(frame: Frame, rng: np.random.Generator) -> tuple[Map, Map]:
    """Lung depth taken by what lies under the diaphragm, and the gas in stomach and bowel, both cm."""
    chest, base = frame.chest, frame.chest.length
    deep = frame.tilted > base + 0.5 * chest.half_width
    below: Map = np.where(deep, chest.depth, 0).astype(np.float32)
    left_top = base + rng.normal(0.5, 0.35)
    for x, top in ((-0.47, base), (0.47, left_top), (0.04, base + 0.3)):
        rx, ry = chest.half_width * rng.uniform(0.55, 0.66), chest.half_width * rng.uniform(0.46, 0.68)
        np.maximum(
            below, frame.ellipsoid(x * chest.half_width, top + ry, rx, ry, chest.depth * 1.4), out=below
        )
    # Gas lies in loops: bubbles in a row, each pressing on the next.
    gas = np.zeros_like(frame.x)
    loops = rng.integers(0, 4)
    for loop in range(loops):
        stomach = loop == 0 and rng.random() < 0.6
        x, y = rng.uniform(2.4, 4.4), left_top + rng.uniform(1.2, 2.0)
        if not stomach:
            x, y = rng.uniform(-5.5, 5.5), base + rng.uniform(3.0, 6.0)
        heading, full = rng.uniform(-0.6, 0.6), rng.uniform(0.4, 1.0)
        for _ in range(rng.integers(3, 9)):
            r = rng.uniform(0.45, 0.85) * (1.4 if stomach else 1.0)
            where, bubble = frame.chord(
                x, y, r * rng.uniform(0.9, 1.5), r, 1.6 * r * full, rng.normal(0, 0.7)
            )
            gas[where] = np.maximum(gas[where], bubble)
            x, y = x + 1.1 * r * np.cos(heading), y + 1.1 * r * np.sin(heading)
            heading += rng.normal(0, 0.9)
    gas = ndimage.gaussian_filter(gas, 1.2 * frame.size_px / 256, truncate=2.0) if loops else gas
    return below, gas


def vessels(frame: Frame, rng: np.random.Generator) -> Map:
    """Arteries and veins of both lungs, cm."""
    path, radius = branches(frame.chest, rng, frame.size_px)
    tree = frame.project(tubes(frame, path, facing(path), radius, radius, VESSEL))
    return np.asarray(ndimage.gaussian_filter(tree, 0.9 * frame.size_px / 256, truncate=2.5))


def lobar(frame: Frame, lung: Lungs, airways: Map, rng: np.random.Generator) -> Map:
    """Consolidation of one lobe: the fraction (H, W) of its air that is fluid."""
    fissure = rng.uniform(0.46, 0.56)
    lobe = rng.choice(5, p=(0.22, 0.2, 0.24, 0.12, 0.22))
    right = frame.x < 0
    upper = step(fissure - lung.down, 0.015 if lobe == 0 else 0.08)
    if lobe == 0:  # right upper: its floor is the minor fissure, seen edge on
        limit, centre = upper * right, (0.5, rng.uniform(0.22, 0.42))
    elif lobe == 1:  # right middle: against the heart, whose border it hides
        limit = step(lung.down - fissure, 0.015) * step(0.95 - lung.down, 0.05) * right
        centre = (rng.uniform(0.15, 0.4), rng.uniform(0.65, 0.8))
    elif lobe == 2:  # right lower
        limit, centre = step(lung.down - 0.5, 0.12) * right, (rng.uniform(0.25, 0.7), rng.uniform(0.78, 1.0))
    elif lobe == 3:  # left upper
        limit, centre = step(0.75 - lung.down, 0.12) * ~right, (rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.5))
    else:  # left lower, much of it behind the heart
        limit, centre = step(lung.down - 0.5, 0.12) * ~right, (rng.uniform(0.3, 0.7), rng.uniform(0.75, 0.95))
    reach, tall = rng.uniform(0.5, 1.0), rng.uniform(0.24, 0.5)
    away = np.sqrt(((lung.across - centre[0]) / reach) ** 2 + ((lung.down - centre[1]) / tall) ** 2)
    ragged = smooth_noise(rng, frame.size_px, 9) * 0.22 + smooth_noise(rng, frame.size_px, 22) * 0.10
    filled = step(1 - away + ragged, 0.35) * limit
    open_airways = 1 - 0.16 * np.clip(airways / 0.5, 0, 1)  # air bronchograms
    return np.asarray(filled * open_airways * rng.uniform(*LOBAR_STRENGTH), dtype=np.float32)


def diffuse(frame: Frame, rng: np.random.Generator) -> Map:
    """Patchy opacities of both lungs round the hila and bases: the fraction (H, W) of air that is fluid."""
    count = rng.integers(7, 15)
    x = rng.choice((-1.0, 1.0), count) * rng.uniform(0.28, 0.8, count) * frame.chest.half_width
    y = rng.uniform(0.3, 0.95, count) * frame.chest.length
    radius = rng.uniform(0.14, 0.32, count) * frame.chest.half_width
    film_x = (frame.x[0] + frame.midline[0])[:, None] - frame.chest.midline(y.astype(np.float32))
    beside = np.exp(-(((film_x - x) / radius) ** 2)) * rng.uniform(0.5, 1.0, count)
    patches = (np.exp(-(((frame.y - y) / radius) ** 2)) @ beside.T).astype(np.float32)
    coarse, fine = smooth_noise(rng, frame.size_px, 20), smooth_noise(rng, frame.size_px, 44)
    mottled = 1.25 * (1 - np.exp(-np.clip(patches * (1 + 0.16 * coarse + 0.12 * fine), 0, None)))
    return np.asarray(mottled * rng.uniform(*DIFFUSE_STRENGTH), dtype=np.float32)


def folds(frame: Frame, rng: np.random.Generator) -> Map:
    """Skin folds and breast shadows, cm of water."""
    extra = np.zeros_like(frame.x)
    if rng.random() < 0.2:
        for side in (-1.0, 1.0):
            x, y = (
                side * rng.uniform(0.5, 0.62) * frame.chest.half_width,
                frame.chest.length * rng.uniform(0.72, 0.9),
            )
            extra += frame.ellipsoid(
                x, y, rng.uniform(2.2, 3.4), rng.uniform(1.6, 2.8), rng.uniform(0.4, 1.3)
            )
    if rng.random() < 0.2:
        side, lean = float(rng.choice((-1.0, 1.0))), rng.normal(0, 0.25)
        away = side * (frame.x - np.float32(lean) * frame.y) - np.float32(
            rng.uniform(0.45, 0.9) * frame.chest.half_width
        )
        extra += (
            np.float32(rng.uniform(0.3, 0.8))
            * step(away.astype(np.float32), 0.06)
            * np.exp(-np.clip(away, 0, None) / 2.0)
        )
    return extra.astype(np.float32)


def wires(frame: Frame, rng: np.random.Generator) -> Map:
    """Monitor leads and feeding tubes, as cm of bone."""
    metal = np.zeros_like(frame.x)
    size, samples = frame.chest.field, 3 * frame.size_px
    count = rng.integers(1, 4) if rng.random() < 0.10 else 0
    t = np.linspace(0, 1, samples)[:, None]
    for _ in range(count):
        start = np.array([rng.uniform(-0.3, 0.3) * size, rng.uniform(0.1, 0.7) * size - frame.chest.top])
        end = np.array([rng.choice((-0.6, 0.6)) * size, rng.uniform(-0.2, 0.9) * size - frame.chest.top])
        bend = (start + end) / 2 + rng.normal(0, 0.2 * size, 2)
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
        path = np.concatenate([curve, np.zeros_like(t)], 1)[None].astype(np.float32)
        radius = np.full(path.shape[:2], rng.uniform(0.05, 0.09), np.float32)
        metal += frame.project(tubes(frame, path, facing(path), radius, radius, section(3))) * np.float32(6)
        metal += frame.ellipsoid(start[0], start[1], 0.45, 0.45, 0.25)
    if rng.random() < 0.06:  # a feeding tube, down the midline into the stomach
        y = np.linspace(-9, frame.chest.length + 3, samples)
        x = 0.3 + 0.15 * np.sin(y / 2 + rng.uniform(0, 6)) + np.logaddexp(0, y - frame.chest.length + 1) * 0.6
        path = np.stack([x, y, np.zeros_like(y)], 1)[None].astype(np.float32)
        radius = np.full(path.shape[:2], 0.12, np.float32)
        metal += frame.project(
            tubes(frame, path, facing(path), radius, radius, section(6, 0.3))
        ) * np.float32(1.5)
    return metal


def tissue(frame: Frame, rng: np.random.Generator, disease: Disease | None) -> Thickness:
    """A whole chest, with `disease` or healthy."""
    chest, size_px = frame.chest, frame.size_px
    outline, jaw, joints = body(frame, rng)
    lung, central = Lungs(frame, rng), mediastinum(frame, rng)
    below, gas = abdomen(frame, rng)
    tree = vessels(frame, rng) * np.clip(lung.air / 3, 0, 1)
    grain = smooth_noise(rng, size_px, 26) * 0.5 + smooth_noise(rng, size_px, 64) * 0.7
    # A shallow breath leaves all of the lung denser, its bases most.
    haze = rng.uniform(0, 0.14) + rng.uniform(0, 0.08) * np.clip(lung.down, 0, 1) ** 3
    fluid = np.clip(haze + 0.03 * smooth_noise(rng, size_px, 7), 0, 1) + 0.045 * grain
    if disease == "lobar":
        airways = np.roll(tree, 3 * size_px // 256, axis=1)  # bronchi run beside the arteries
        fluid = fluid + lobar(frame, lung, airways, rng) + 0.6 * diffuse(frame, rng)
    elif disease == "diffuse":
        fluid = fluid + diffuse(frame, rng)
        tree = tree * rng.uniform(1.0, 1.35)  # thickened bronchi beside the vessels
    air = np.clip(lung.air - np.maximum(central, below), 0, None) * np.clip(1 - fluid, 0, 1)
    air = (1 - LUNG_DENSITY) * np.clip(air - tree, 0, None) + 0.9 * gas * (0.6 + 0.15 * grain)
    half = 0.5 * chest.half_width / 8.3
    u = (frame.x - np.float32(frame.turn(0.0, 0.5) + rng.normal(0, 0.15))) / np.float32(half)
    windpipe = (
        np.float32(1.9 * half)
        * np.sqrt(np.clip(1 - u * u, 0, None))
        * step(0.34 * chest.length - frame.y, 0.5)
    )
    soft = outline * (1 + 0.010 * smooth_noise(rng, size_px, 14)) - air - windpipe
    soft += folds(frame, rng) * np.clip(outline / 4, 0, 1)
    cage = ribs(frame, rng)
    limbs, blades = limb_bones(frame, rng, joints)
    # Scatter and processing all but drown the ribs behind heart and diaphragm: bone as thin stands for it.
    behind = 1 - 0.65 * np.clip(np.maximum(central, below) / 4, 0, 1)
    bone = frame.project(cage) * behind + frame.project(*limbs) + blades + jaw
    bone += spine(frame) * np.clip(outline / 3, 0, 1)
    bone = ndimage.gaussian_filter(bone, 0.72 * size_px / 256, truncate=2.5) + wires(frame, rng)
    return Thickness(np.clip(soft, 0, None).astype(np.float32), bone.astype(np.float32))

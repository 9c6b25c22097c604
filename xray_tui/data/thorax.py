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
LOBAR_STRENGTH = (0.7, 1.0)
DIFFUSE_STRENGTH = (0.34, 0.7)

Disease = Literal["lobar", "diffuse"]


class Thickness(NamedTuple):
    """What the rays cross: two (H, W) float32 maps, in cm of water and in cm of cortical bone."""

    soft: Map
    bone: Map


def body(frame: Frame, rng: np.random.Generator) -> tuple[Map, list[tuple[float, float]]]:
    """Outline of trunk, neck, head and arms as cm of water, and where the shoulder joints are."""
    chest = frame.chest
    scale = chest.half_width / 8.3
    half = chest.cage(np.maximum(frame.y, 0.35 * chest.length)) + chest.wall * (
        1 + 0.5 * np.exp(-(((frame.y - 3.5) / 2.5) ** 2))
    )
    rise = np.sqrt(np.clip((frame.y + 1.6) / (0.34 * chest.length), 0, 1)).astype(np.float32)
    u = (frame.x / (half * (0.3 + 0.7 * np.sqrt(rise))).astype(np.float32)) ** 2
    trunk = (
        np.float32(chest.depth + 1.4 * chest.wall)
        * np.sqrt(np.clip(1 - u * (0.45 + 0.55 * u), 0, None))
        * rise
    )
    neck_half = np.float32(chest.half_width * rng.uniform(0.30, 0.37)) + np.float32(0.3) * np.exp(
        (frame.y + 1.0) / 1.6
    ).clip(0, 6)
    neck = (
        1.7 * neck_half * np.sqrt(np.clip(1 - (frame.x / neck_half) ** 2, 0, None)) * step(2.0 - frame.y, 1.6)
    )
    jaw = -rng.uniform(3.4, 7.2)
    head_x = rng.normal(0, 0.6)
    head = frame.ellipsoid(head_x, jaw - 5.0, 0.62 * chest.half_width, 5.0, 10.0)
    parts = [trunk, neck, head]
    joints = []
    for side in (-1.0, 1.0):
        joint = (
            side * rng.uniform(0.90, 1.02) * chest.half_width,
            rng.uniform(0.6, 2.0) - 0.8 * np.sin(chest.arms),
        )
        elbow = (joint[0] + side * 11 * np.cos(chest.arms), joint[1] - 11 * np.sin(chest.arms))
        parts.append(frame.capsule(joint, elbow, 1.7 * scale + 0.3 * chest.wall))
        parts.append(
            frame.capsule((side * 2.4, 0.2), (joint[0] * 0.9, joint[1] + 0.6), 1.9 * scale + 0.2 * chest.wall)
        )
        joints.append(joint)
    total = np.zeros_like(frame.x)
    for part in parts:
        total += np.square(np.square(part))
    return np.sqrt(np.sqrt(total)), joints


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
            cap = np.sqrt(np.clip(1 - (1 - np.clip(t / 0.36, 0, 1)) ** 2.6, 0, 1))
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
    chest, scale = frame.chest, frame.chest.half_width / 8.3
    shift, base, tall = frame.turn(0.0, 2.5), chest.length, 0.30 * chest.length
    heart, depth = chest.heart, chest.depth
    inlet = np.sqrt(np.clip(1 - (frame.x / np.float32(1.75 * scale)) ** 2, 0, None))
    parts = [
        frame.ellipsoid(  # left ventricle, its apex down and out
            shift + 0.40 * heart,
            base - 0.78 * tall,
            1.18 * heart,
            0.80 * heart,
            0.8 * depth,
            rng.uniform(0.6, 0.95),
        ),
        frame.ellipsoid(
            shift - 0.22 * heart, base - 0.72 * tall, 0.48 * heart, 0.98 * tall, 0.6 * depth, -0.1
        ),
        frame.ellipsoid(shift + 0.2 * scale, 0.42 * base, 1.9 * scale, 5.8 * scale, 0.6 * depth),
        frame.ellipsoid(shift + 1.75 * scale, 0.46 * base, 1.1 * scale, 1.9 * scale, 0.35 * depth, 0.4),
        frame.ellipsoid(shift + 1.3 * scale, 0.27 * base, 0.95 * scale, 1.3 * scale, 0.3 * depth),
        np.float32(0.6 * depth) * inlet * step(0.5 * base - frame.y, 1.2),
    ]
    if chest.thymus:
        side = 1.0 if rng.random() < 0.4 else -1.0
        sail = frame.ellipsoid(shift + side * 1.4, 0.26 * base, 1.4 + chest.thymus, 2.9, 0.4 * depth)
        parts.append(sail * step(0.40 * base - frame.tilted, 0.25))
    total = np.zeros_like(frame.x)
    for part in parts:
        total += np.square(np.square(part))
    return np.minimum(np.sqrt(np.sqrt(total)), np.float32(0.85 * depth))


def abdomen(frame: Frame, rng: np.random.Generator) -> tuple[Map, Map]:
    """Lung depth taken by what lies under the diaphragm, and the gas in stomach and bowel, both cm."""
    chest, base = frame.chest, frame.chest.length
    deep = frame.tilted > base + 0.5 * chest.half_width
    below: Map = np.where(deep, chest.depth, 0).astype(np.float32)
    left_top = base + rng.normal(0.5, 0.35)
    for x, top in ((-0.50, base), (0.50, left_top), (0.06, base + 0.05)):
        rx, ry = chest.half_width * rng.uniform(0.62, 0.72), chest.half_width * rng.uniform(0.42, 0.6)
        np.maximum(
            below, frame.ellipsoid(x * chest.half_width, top + ry, rx, ry, chest.depth * 1.4), out=below
        )
    gas = np.zeros_like(frame.x)
    if rng.random() < 0.45:
        rx, ry = rng.uniform(1.2, 2.6), rng.uniform(0.7, 1.7)
        gas += frame.ellipsoid(
            rng.uniform(2.8, 4.8), left_top + 0.7 + ry, rx, ry, rng.uniform(1.5, 4.5), rng.normal(0, 0.3)
        )
    for _ in range(rng.integers(0, 4)):
        r = rng.uniform(0.5, 1.3)
        x, y = rng.uniform(-5.5, 5.5), base + rng.uniform(3.6, 6.5)
        gas += frame.ellipsoid(x, y, r * rng.uniform(1.0, 1.7), r, r * 0.9, rng.normal(0, 0.8))
    return below, gas


def vessels(frame: Frame, rng: np.random.Generator) -> Map:
    """Arteries and veins of both lungs, cm."""
    path, radius = branches(frame.chest, rng, frame.size_px)
    tree = frame.project(tubes(path, facing(path), radius, radius, VESSEL))
    return np.asarray(ndimage.gaussian_filter(tree, 0.75 * frame.size_px / 256, truncate=2.5))


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
    open_airways = 1 - 0.3 * np.clip(airways / 0.5, 0, 1)  # air bronchograms
    return np.asarray(filled * open_airways * rng.uniform(*LOBAR_STRENGTH), dtype=np.float32)


def diffuse(frame: Frame, rng: np.random.Generator) -> Map:
    """Patchy opacities of both lungs round the hila and bases: the fraction (H, W) of air that is fluid."""
    patches = np.zeros_like(frame.x)
    for _ in range(rng.integers(7, 15)):
        side = rng.choice((-1.0, 1.0))
        x, y = (
            side * rng.uniform(0.28, 0.8) * frame.chest.half_width,
            frame.chest.length * rng.uniform(0.3, 0.95),
        )
        radius = frame.chest.half_width * rng.uniform(0.14, 0.32)
        away = ((frame.x - np.float32(x)) ** 2 + (frame.y - np.float32(y)) ** 2) / np.float32(radius**2)
        patches += np.exp(-away) * np.float32(rng.uniform(0.5, 1.0))
    coarse, fine = smooth_noise(rng, frame.size_px, 20), smooth_noise(rng, frame.size_px, 44)
    mottled = np.clip(patches * (1 + 0.20 * coarse + 0.14 * fine), 0, 1.3)
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
        metal += frame.project(tubes(path, facing(path), radius, radius, section(3))) * np.float32(6)
        metal += frame.ellipsoid(start[0], start[1], 0.45, 0.45, 0.25)
    if rng.random() < 0.06:  # a feeding tube, down the midline into the stomach
        y = np.linspace(-9, frame.chest.length + 3, samples)
        x = (
            0.3
            + 0.15 * np.sin(y / 2 + rng.uniform(0, 6))
            + np.clip(y - frame.chest.length + 1, 0, None) * 0.7
        )
        path = np.stack([x, y, np.zeros_like(y)], 1)[None].astype(np.float32)
        radius = np.full(path.shape[:2], 0.12, np.float32)
        metal += frame.project(tubes(path, facing(path), radius, radius, section(6, 0.3))) * np.float32(1.5)
    return metal


def tissue(frame: Frame, rng: np.random.Generator, disease: Disease | None) -> Thickness:
    """A whole chest, with `disease` or healthy."""
    chest, size_px = frame.chest, frame.size_px
    outline, joints = body(frame, rng)
    lung, central = Lungs(frame, rng), mediastinum(frame, rng)
    below, gas = abdomen(frame, rng)
    tree = vessels(frame, rng) * np.clip(lung.air / 3, 0, 1)
    grain = smooth_noise(rng, size_px, 26) * 0.5 + smooth_noise(rng, size_px, 64) * 0.7
    # A shallow breath leaves all of the lung denser, its bases most.
    haze = rng.uniform(0, 0.14) + rng.uniform(0, 0.08) * np.clip(lung.down, 0, 1) ** 3
    fluid = np.clip(haze + 0.03 * smooth_noise(rng, size_px, 7), 0, 1) + 0.035 * grain
    if disease == "lobar":
        airways = np.roll(tree, 3 * size_px // 256, axis=1)  # bronchi run beside the arteries
        fluid = fluid + lobar(frame, lung, airways, rng) + 0.6 * diffuse(frame, rng)
    elif disease == "diffuse":
        fluid = fluid + diffuse(frame, rng)
        tree = tree * rng.uniform(1.0, 1.35)  # thickened bronchi beside the vessels
    air = np.clip(lung.air - central - below, 0, None) * np.clip(1 - fluid, 0, 1)
    air = (1 - LUNG_DENSITY) * np.clip(air - tree, 0, None) + 0.9 * gas * (0.6 + 0.15 * grain)
    half = 0.5 * chest.half_width / 8.3
    u = (frame.x - np.float32(frame.turn(0.0, 0.5) + rng.normal(0, 0.15))) / np.float32(half)
    windpipe = (
        np.float32(2.6 * half)
        * np.sqrt(np.clip(1 - u * u, 0, None))
        * step(0.34 * chest.length - frame.y, 0.5)
    )
    soft = outline * (1 + 0.010 * smooth_noise(rng, size_px, 14)) - air - windpipe
    soft += folds(frame, rng) * np.clip(outline / 4, 0, 1)
    cage = ribs(frame, rng)
    limbs, blades = limb_bones(frame, rng, joints)
    bone = frame.project(cage, *limbs) + blades + spine(frame) * np.clip(outline / 3, 0, 1)
    bone = ndimage.gaussian_filter(bone, 0.75 * size_px / 256, truncate=2.5) + wires(frame, rng)
    return Thickness(np.clip(soft, 0, None).astype(np.float32), bone.astype(np.float32))

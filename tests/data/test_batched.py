"""The augmentation of a whole batch at once makes of each image what torchvision makes of it alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from xray_tui.data import batched
from xray_tui.data.augmentation import augment, draw
from xray_tui.data.batched import Box, jittered, resized_crops
from xray_tui.data.letters import Letters
from xray_tui.settings import AugmentationSettings


def image(height: int, width: int, seed: int = 0) -> Tensor:
    """Smooth, with a little noise: uint8 (1, height, width)."""
    chance = np.random.default_rng(seed)
    waves = np.add.outer(np.sin(np.arange(height) / 9), np.cos(np.arange(width) / 7))
    grey = 127 + 50 * waves + chance.normal(0, 5, (height, width))
    return torch.from_numpy(grey.clip(0, 255).astype(np.uint8))[None]


IMAGES = [image(60, 60), image(200, 90, 1), image(40, 300, 2), image(33, 35, 3), image(1, 1), image(2, 70, 4)]
BOXES: list[Box] = [
    (0, 0, 60, 60),
    (7, 3, 150, 80),
    (0, 100, 40, 61),
    (2, 1, 30, 33),
    (0, 0, 1, 1),
    (0, 5, 2, 9),
]


def assert_alike(found: Tensor, wanted: Tensor) -> None:
    """But for how a grey level is rounded."""
    apart = (found.int() - wanted.int()).abs()
    assert found.shape == wanted.shape
    assert apart.max() <= 1
    assert (apart > 0).float().mean() < 0.02


@pytest.mark.parametrize("most", [1, 20_000, 1 << 26], ids=["one by one", "some together", "all together"])
def test_crops_are_resized_as_torchvision_resizes_them(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batched, "_MOST_PIXELS", most)
    found = resized_crops(IMAGES, BOXES, 50)
    assert found.dtype == torch.uint8
    for one, box, made in zip(IMAGES, BOXES, found, strict=True):
        wanted = F.resized_crop(one.float(), *box, [50, 50], InterpolationMode.BILINEAR, antialias=True)
        assert_alike(made, wanted.round().clamp(0, 255))


def test_a_crop_of_the_wanted_size_is_left_as_it_is() -> None:
    found = resized_crops([IMAGES[1], IMAGES[0]], [(10, 20, 50, 50), (0, 0, 60, 60)], 50)
    assert torch.equal(found[0], IMAGES[1][:, 10:60, 20:70])


def test_each_image_has_its_own_jitter_in_its_own_order() -> None:
    images = torch.stack([image(40, 40, seed) for seed in range(4)])
    brightness, contrast, first = [0.6, 1.4, 1.3, 1.0], [1.4, 0.6, 1.2, 1.0], [True, False, True, False]
    found = jittered(images, brightness, contrast, first)
    for one, b, c, contrast_first, made in zip(images, brightness, contrast, first, found, strict=True):
        if contrast_first:
            wanted = F.adjust_brightness(F.adjust_contrast(one, c), b)
        else:
            wanted = F.adjust_contrast(F.adjust_brightness(one, b), c)
        assert_alike(made, wanted)
    assert torch.equal(found[3], images[3])


@pytest.mark.parametrize("strong", [False, True], ids=["the recipe's", "with all levers"])
def test_a_gpus_batch_is_that_of_a_cpu(monkeypatch: pytest.MonkeyPatch, *, strong: bool) -> None:
    levers = (
        AugmentationSettings(gamma=0.3, blur=0.5, noise=0.05, erase=0.5) if strong else AugmentationSettings()
    )
    images = [image(70 + number, 95 - number, number) for number in range(16)]
    chances = [draw(levers, (one.shape[1], one.shape[2]), 0, 0, n) for n, one in enumerate(images)]
    if strong:
        chances[2] = replace(
            chances[2], letters=(Letters("L", height=0.2, down=0.3, right=0.3, grey=200, on_black=False),)
        )
    here = augment(images, chances, 64, 48)
    monkeypatch.setattr(Tensor, "is_cuda", True)  # so it takes that way
    there = augment(images, chances, 64, 48)
    apart = (there.int() - here.int()).abs()
    assert apart.max() <= 6, "a level of rounding, that contrast and gamma enlarge"
    assert apart.float().mean() < 0.3

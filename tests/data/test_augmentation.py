import numpy as np
import pytest
import torch

from xray_tui.config import AugmentationSettings
from xray_tui.data.augmentation import Draw, augment, denormalise, draw, normalise, plain

SETTINGS = AugmentationSettings()
STILL = Draw(0, 0, 60, 60, angle=0.0, brightness=1.0, contrast=1.0, contrast_first=False, flip=False)
IMAGE = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (1, 60, 60), np.uint8))


def test_normalise_by_hand_and_back() -> None:
    mean, std = (0.5, 0.4, 0.2), (0.25, 0.5, 0.1)
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    normal = normalise(pixels, mean, std)
    assert normal.shape == (1, 3, 16, 16)
    assert normal.is_contiguous(memory_format=torch.channels_last)
    assert normal[0, 2, 15, 15].item() == pytest.approx((1.0 - 0.2) / 0.1)
    assert normal[0, 1, 0, 0].item() == pytest.approx((0.0 - 0.4) / 0.5)
    back = denormalise(normal, mean, std)  # each channel by its own deviation
    assert torch.equal(back, pixels.expand(-1, 3, -1, -1))


def test_nothing_drawn_changes_nothing_but_the_crop() -> None:
    assert torch.equal(augment(IMAGE, STILL, 60, 40), IMAGE[:, 10:50, 10:50])


def test_a_flip_mirrors() -> None:
    flipped = augment(IMAGE, Draw(0, 0, 60, 60, 0.0, 1.0, 1.0, False, flip=True), 60, 60)
    assert torch.equal(flipped, IMAGE.flip(2))


def test_brightness_multiplies() -> None:
    bright = augment(IMAGE, Draw(0, 0, 60, 60, 0.0, 0.5, 1.0, False, False), 60, 60)
    assert (bright.int() - IMAGE.int() // 2).abs().max() <= 1


def test_a_draw_repeats_for_its_seed_epoch_and_image_alone() -> None:
    one = draw(SETTINGS, (200, 300), seed=1, epoch=2, image=3)
    torch.manual_seed(0)
    np.random.seed(0)
    assert draw(SETTINGS, (200, 300), seed=1, epoch=2, image=3) == one
    others = [draw(SETTINGS, (200, 300), s, e, i) for s, e, i in ((2, 2, 3), (1, 3, 3), (1, 2, 4))]
    assert one not in others


def test_draws_stay_within_the_recipe() -> None:
    draws = [draw(SETTINGS, (200, 260), 0, 0, image) for image in range(400)]
    areas = [d.height * d.width / (200 * 260) for d in draws]
    assert min(areas) > 0.79
    assert max(areas) <= 1
    assert len({d.width for d in draws}) > 20  # it does crop
    assert all(0 <= d.top <= 200 - d.height and 0 <= d.left <= 260 - d.width for d in draws)
    assert -10 <= min(d.angle for d in draws) < -8
    assert 8 < max(d.angle for d in draws) <= 10
    assert 0.6 <= min(d.brightness for d in draws) < 0.65
    assert 1.35 < max(d.contrast for d in draws) <= 1.4
    assert 150 < sum(d.flip for d in draws) < 250


def test_an_image_too_narrow_for_any_ratio_is_cropped_at_its_centre() -> None:
    found = draw(SETTINGS, (30, 300), 0, 0, 0)
    assert (found.height, found.width) == (30, 40)
    assert (found.top, found.left) == (0, 130)


def test_plain_resizes_the_short_side_and_crops_the_centre() -> None:
    wide = torch.zeros(1, 50, 100, dtype=torch.uint8)
    wide[:, :, 25:75] = 255
    found = plain(wide, resize=60, crop=50)
    assert found.shape == (1, 50, 50)
    assert (found[:, :, 2:-2] == 255).all()

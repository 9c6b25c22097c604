import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from xray_tui.data.augmentation import Draw, Normalisation, augment, draw, plain, rotate
from xray_tui.settings import AugmentationSettings

SETTINGS = AugmentationSettings()
STILL = Draw(0, 0, 60, 60, angle=0.0, brightness=1.0, contrast=1.0, contrast_first=False, flip=False)
IMAGE = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (1, 60, 60), np.uint8))


def test_normalise_by_hand_and_back() -> None:
    normalise = Normalisation((0.5, 0.4, 0.2), (0.25, 0.5, 0.1), torch.device("cpu"))
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    normal = normalise(pixels)
    assert normal.shape == (1, 3, 16, 16)
    assert normal.is_contiguous(memory_format=torch.channels_last)
    assert normal[0, 2, 15, 15].item() == pytest.approx((1.0 - 0.2) / 0.1)
    assert normal[0, 1, 0, 0].item() == pytest.approx((0.0 - 0.4) / 0.5)
    # Each channel by its own deviation.
    assert torch.equal(normalise.inverse(normal), pixels.expand(-1, 3, -1, -1))


def one(chance: Draw, resize: int = 60, crop: int = 60) -> torch.Tensor:
    return augment([IMAGE], [chance], resize, crop)[0]


def test_nothing_drawn_changes_nothing_but_the_crop() -> None:
    assert torch.equal(one(STILL, crop=40), IMAGE[:, 10:50, 10:50])


def test_a_flip_mirrors() -> None:
    assert torch.equal(one(Draw(0, 0, 60, 60, 0.0, 1.0, 1.0, False, flip=True)), IMAGE.flip(2))


def test_brightness_multiplies() -> None:
    bright = one(Draw(0, 0, 60, 60, 0.0, 0.5, 1.0, False, False))
    assert (bright.int() - IMAGE.int() // 2).abs().max() <= 1


@pytest.mark.parametrize("angle", [-10.0, -3.3, 0.0, 7.0, 90.0])
def test_a_rotation_is_torchvisions(angle: float) -> None:
    smooth = torch.linspace(0, 255, 3600).view(1, 60, 60).to(torch.uint8)
    wanted = F.rotate(smooth, angle)
    turned = rotate(torch.stack([smooth, smooth]), [angle, 0.0])
    assert torch.equal(turned[1], smooth)
    # Where a point falls between two pixels, rounding may choose the other one.
    assert (turned[0] != wanted).float().mean() < 0.01


def test_a_batch_is_its_images_one_by_one() -> None:
    images = [IMAGE, IMAGE[:, :40], IMAGE[:, :, :50]]
    chances = [draw(SETTINGS, (i.shape[1], i.shape[2]), 0, 0, n) for n, i in enumerate(images)]
    together = augment(images, chances, 60, 48)
    assert together.shape == (3, 1, 48, 48)
    for image, chance, found in zip(images, chances, together, strict=True):
        assert torch.equal(augment([image], [chance], 60, 48)[0], found)


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


def test_what_is_added_leaves_the_recipes_throws_alone() -> None:
    stronger = AugmentationSettings(gamma=0.5, blur=1.0, noise=0.1, erase=1.0, letters=1.0)
    published, more = (draw(s, (200, 300), 1, 2, 3) for s in (SETTINGS, stronger))
    for name in ("top", "left", "height", "width", "angle", "brightness", "contrast", "flip"):
        assert getattr(published, name) == getattr(more, name)
    assert (published.gamma, published.blur, published.noise, published.erased) == (1.0, 0.0, 0.0, None)
    assert more.gamma != 1
    assert min(more.blur, more.noise) > 0
    assert more.erased
    assert more.letters


def test_gamma_bends_the_greys() -> None:
    found = one(replace(STILL, gamma=2.0)).int()
    wanted = (IMAGE.double() / 255) ** 2 * 255
    assert (found - wanted).abs().max() <= 1


def test_a_blur_spreads_a_point_by_its_deviation() -> None:
    image = torch.zeros(1, 61, 61, dtype=torch.uint8)
    image[0, 28:33, 28:33] = 250
    blurred = augment([image], [replace(STILL, height=61, width=61, blur=1.5)], 61, 61)[0]
    assert blurred.int().sum().item() == pytest.approx(image.int().sum().item(), rel=0.03)
    assert 0 < blurred[0, 30, 26] < blurred[0, 30, 28] < blurred[0, 30, 30] <= 250


def test_noise_has_its_deviation_and_repeats_for_its_seed() -> None:
    grey = torch.full((1, 60, 60), 128, dtype=torch.uint8)
    noisy, again, other = (
        augment([grey], [replace(STILL, noise=10.0, noise_seed=seed)], 60, 60)[0] for seed in (1, 1, 2)
    )
    assert noisy.float().std().item() == pytest.approx(10, rel=0.05)
    assert noisy.float().mean().item() == pytest.approx(128, abs=0.6)
    assert torch.equal(noisy, again)
    assert not torch.equal(noisy, other)


def test_a_rectangle_is_erased_where_it_was_thrown() -> None:
    found = one(replace(STILL, erased=(0.25, 0.5, 0.5, 0.25), grey=77), crop=40)
    inside = torch.zeros(1, 40, 40, dtype=torch.bool)
    inside[:, 10:30, 20:30] = True
    assert (found[inside] == 77).all()
    assert torch.equal(found[~inside], IMAGE[:, 10:50, 10:50][~inside])


def test_stronger_draws_stay_within_their_settings() -> None:
    settings = AugmentationSettings(gamma=0.5, blur=0.3, noise=0.1, erase=0.25)
    draws = [draw(settings, (200, 260), 0, 0, image) for image in range(600)]
    gammas = [math.log(d.gamma) for d in draws]
    assert -0.5 <= min(gammas) < -0.47
    assert 0.47 < max(gammas) <= 0.5
    assert sum(d.blur > 0 for d in draws) == pytest.approx(180, abs=40)
    assert max(d.blur for d in draws) <= 2
    assert 23 < max(d.noise for d in draws) <= 25.5
    erased = [d.erased for d in draws if d.erased]
    assert len(erased) == pytest.approx(150, abs=40)
    assert all(top >= 0 and left >= 0 and top + h <= 1 and left + w <= 1 for top, left, h, w in erased)
    areas = [height * width for _, _, height, width in erased]
    assert min(areas) >= 0.0199
    assert max(areas) <= 0.3301


def test_what_comes_out_is_distributed_as_torchvisions_own_transforms() -> None:
    """Of one image, many times: its mean, contrast, slant and left-right balance (Kolmogorov-Smirnov)."""
    count, resize, crop = 600, 38, 32
    down, across = torch.meshgrid(torch.linspace(0, 1, 44), torch.linspace(0, 1, 60), indexing="ij")
    image = (40 + 120 * across + 60 * down * (down > 0.4) + 30 * (across * 12).sin()).to(torch.uint8)[None]
    settings = AugmentationSettings()
    chances = [draw(settings, (44, 60), 0, 0, number) for number in range(count)]
    ours = augment([image] * count, chances, resize, crop)
    jitter = settings.jitter
    published = v2.Compose(
        [
            v2.RandomResizedCrop(resize, scale=(settings.scale, 1.0), antialias=True),
            v2.RandomRotation(settings.rotation),
            v2.ColorJitter(jitter, jitter, jitter),
            v2.RandomHorizontalFlip(settings.flip),
            v2.CenterCrop(crop),
        ]
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = torch.stack([published(image.expand(3, -1, -1))[:1] for _ in range(count)])

    def measures(images: Tensor) -> dict[str, Tensor]:
        floats = images.float()[:, 0]
        left, right = floats[..., : crop // 2].mean((1, 2)), floats[..., crop // 2 :].mean((1, 2))
        return {
            "mean": floats.mean((1, 2)),
            "contrast": floats.std((1, 2)),
            "balance": (left - right) / floats.std((1, 2)),
            "slant": (floats[:, 0] - floats[:, -1]).mean(1),
            "corner": floats[:, 0, 0],
            "black": (floats == 0).float().mean((1, 2)),
        }

    mine, other = measures(ours), measures(theirs)
    for name, values in mine.items():
        found = ks_2samp(values.numpy(), other[name].numpy())
        assert found.pvalue > 0.01, (name, found)
    # The test would find a difference: half the jitter is one.
    weaker = AugmentationSettings(jitter=jitter / 2)
    changed = augment([image] * count, [draw(weaker, (44, 60), 0, 0, n) for n in range(count)], resize, crop)
    assert ks_2samp(measures(changed)["mean"].numpy(), other["mean"].numpy()).pvalue < 1e-6

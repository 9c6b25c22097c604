from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from xray_tui.data import folders
from xray_tui.data.augmentation import Normalisation
from xray_tui.data.folders import ImageFile
from xray_tui.data.pixel_cache import PixelCache
from xray_tui.data.pixels import Pixels, read_train
from xray_tui.engine.batches import Batches
from xray_tui.engine.times import Times
from xray_tui.engine.world import World
from xray_tui.settings import TrainingSettings

CPU = torch.device("cpu")


@pytest.fixture
def batches() -> Iterator[Batches]:
    settings = TrainingSettings(batch_size=4, image_size=32, seed=3)
    made = Batches(settings, Normalisation([0.5], [0.25], CPU), CPU, threads=2, times=Times())
    yield made
    made.close()


def pixels(count: int) -> Pixels:
    generator = torch.Generator().manual_seed(0)
    shapes = [(1, 40 + number % 3, 50 - number % 4) for number in range(count)]
    images = [torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8) for shape in shapes]
    files = [ImageFile(f"{number}.png", number % 2) for number in range(count)]
    return Pixels(files, images, torch.arange(count) % 2, torch.arange(count), [])


def test_every_image_once_in_an_order_of_its_epoch(batches: Batches) -> None:
    first, again, other = (
        torch.cat([batch.inputs for batch in batches.train(pixels(10), epoch)]) for epoch in (0, 0, 1)
    )
    assert len(first) == 10
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("count", "sizes"), [(8, [4, 4]), (9, [4, 4]), (10, [4, 4, 2])])
def test_a_last_batch_of_one_is_left_out(batches: Batches, count: int, sizes: list[int]) -> None:
    assert [len(batch) for batch in batches.train(pixels(count), 0)] == sizes


@pytest.mark.parametrize("rank", [0, 2])
def test_a_rank_without_images_has_float32_of_what_is_kept(rank: int) -> None:
    world = World()
    world.rank, world.size = rank, 3
    settings = TrainingSettings(batch_size=5, image_size=32)
    batches = Batches(settings, Normalisation([0.5], [0.25], CPU), CPU, 1, Times(), world)
    (batch,) = batches.kept(torch.ones(5, 8, 2, 2, dtype=torch.bfloat16), torch.zeros(5).long(), epoch=0)
    batches.close()
    assert (len(batch), batch.inputs.dtype) == ((2, torch.bfloat16) if rank == 0 else (0, torch.float32))


def test_what_is_uploaded_whole_is_what_threads_prepare(batches: Batches) -> None:
    """The GPU's way, taken on a CPU: one copy of all bytes, views into it, one augmentation."""
    parts = [[5, 0, 3], [1, 2]]
    uploaded = list(batches._uploaded(pixels(6), parts, epoch=2))
    prefetched = list(batches._prefetched(pixels(6), parts, epoch=2))
    for one, other in zip(uploaded, prefetched, strict=True):
        assert torch.equal(one, other)


def test_a_resident_cache_gives_the_batches_of_one_that_is_not(
    chest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = folders.scan(chest).folders["train"]
    images = read_train(chest, files, 38, lambda _: None, PixelCache(tmp_path, 1e9))
    settings = TrainingSettings(batch_size=8, image_size=32)
    free = 1e9

    def batches() -> list[Tensor]:
        made = Batches(settings, Normalisation([0.5], [0.25], CPU), CPU, threads=1, times=Times())
        parts = [[3, 1, 2], [0, 5]]
        found = list(made._uploaded(images, parts, 1))
        made.close()
        return found

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, free))
    resident = batches()
    free = 0.0
    for one, other in zip(resident, batches(), strict=True):
        assert torch.equal(one, other)

"""Batches of pixels on the device, in an order and with an augmentation that a resume repeats."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xray_tui.data.augmentation import Normalisation, augment, draw
from xray_tui.data.moving import move
from xray_tui.data.pixels import MappedImages, Pixels
from xray_tui.engine.times import Times
from xray_tui.engine.world import ALONE, World
from xray_tui.settings import TrainingSettings

_GPU_SHARE = 0.2
"""Of the device's free memory, that the pixel cache may take."""


@dataclass(frozen=True)
class Batch:
    inputs: Tensor
    """Images float32 (N, C, H, W), normalised, channels_last, on the device; or what the model's frozen
    part has made of them."""
    labels: Tensor
    """int64 (N,), on the device."""
    shares: Sequence[int]
    """Images that each rank has, of this batch in training, of this round else; this rank has N."""
    numbers: Sequence[int]
    """Which images those are, of all ranks."""

    @property
    def whole(self) -> int:
        """Images that all ranks have."""
        return sum(self.shares)

    def __len__(self) -> int:
        return len(self.labels)


class Batches:
    """Makes the batches of a run: of each, what this rank has of it.

    On a CPU, threads augment the next batch while the current one trains. On a GPU, batches are augmented
    there, from a copy of the pixel cache; where that does not fit, the bytes of a batch cross in one
    pinned, non-blocking copy.

    Args:
        normalisation: of the backbone, on the device.
        threads: that augment, on a CPU.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        normalisation: Normalisation,
        device: torch.device,
        threads: int,
        times: Times,
        world: World = ALONE,
    ) -> None:
        self.size = settings.batch_size
        """Images of a batch, from the next pass on."""
        self._settings = settings
        self._normalise = normalisation
        self._device = device
        self._threads = threads
        self._times = times
        self._world = world
        self._resident: tuple[MappedImages, MappedImages] | None = None
        """Images of the cache, and their copy on the device."""
        self._pool = ThreadPoolExecutor(threads, "augment", initializer=_one_thread_each)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def train(self, pixels: Pixels, epoch: int, first: int = 0) -> Iterator[Batch]:
        """One epoch of train: shuffled, augmented. A last batch of one image is left out (BatchNorm).

        Where classes are sampled alike, an image may come several times, augmented otherwise each time.

        Args:
            first: how many images of the epoch have been in earlier batches; those are not made.
        """
        yield from self._augmented(pixels, self._shuffled(pixels.labels, epoch, first), epoch)

    def view(self, pixels: Pixels, view: int) -> Iterator[Batch]:
        """All of train in the order of its files, augmented as in epoch ``view``."""
        yield from self._augmented(pixels, self._dealt(len(pixels)), view)

    def kept(self, kept: Tensor, labels: Tensor, epoch: int | None = None, first: int = 0) -> Iterator[Batch]:
        """Batches of what has been computed before.

        Args:
            kept: (N, …), on the device or on the CPU.
            epoch: in its order and without a last batch of one, as :meth:`train`; ``None`` for all in order.
        """
        count = len(kept)
        for ranks in self._dealt(count) if epoch is None else self._shuffled(labels, epoch, first):
            at = torch.tensor(self._mine(ranks), dtype=torch.int64) % count
            chosen = kept[move(at, kept.device)]
            if not len(at):  # as a rank without images computes, see `train_epoch`
                chosen = chosen.float()
            if chosen.ndim == 4:
                chosen = chosen.contiguous(memory_format=torch.channels_last)
            yield Batch(move(chosen, self._device), move(labels[at], self._device), *_shares(ranks, count))

    def plain(self, pixels: Pixels, *, mirrored: bool = False) -> Iterator[Batch]:
        """Validation or test: in order, as cached, or left and right exchanged."""
        for ranks in self._dealt(len(pixels)):
            part = self._mine(ranks)
            numbers = slice(part[0], part[-1] + 1) if part else slice(0)
            images = pixels.stacked(numbers) if part else self._none()
            if mirrored:
                images = images.flip(-1)
            yield self._batch(images, pixels.labels[numbers], ranks, len(pixels))

    def _shuffled(self, labels: Tensor, epoch: int, first: int) -> list[list[list[int]]]:
        """Numbers of the images of each batch of an epoch, by rank, after the ``first`` so many images.

        Where there are N of them, image 3 is called 3, N + 3 when it comes a second time, and so on.
        """
        rng = np.random.default_rng((self._settings.seed, epoch))
        order: list[int] = rng.permutation(len(labels)).tolist()
        if self._settings.loss.balance == "sampling":
            order = _balanced(order, labels.tolist())
        return [self._world.share(part) for part in self._parts(order[first:]) if len(part) > 1]

    def _dealt(self, count: int) -> list[list[list[int]]]:
        """Numbers of all images in order, of each round of batches by rank."""
        return self._world.deal(self._parts(range(count)))

    def _mine(self, ranks: list[list[int]]) -> list[int]:
        return ranks[self._world.rank]

    def _none(self) -> Tensor:
        side = self._settings.image_size
        return torch.empty(0, 1, side, side, dtype=torch.uint8)

    def _parts(self, order: Sequence[int]) -> list[list[int]]:
        return [list(order[at : at + self.size]) for at in range(0, len(order), self.size)]

    def _augmented(self, pixels: Pixels, batches: list[list[list[int]]], epoch: int) -> Iterator[Batch]:
        parts = [part for ranks in batches if (part := self._mine(ranks))]
        augment = self._uploaded if self._device.type == "cuda" else self._prefetched
        augmented = augment(pixels, parts, epoch)
        for ranks in batches:
            part = self._mine(ranks)
            images = next(augmented) if part else self._none()
            yield self._batch(images, pixels.labels[[i % len(pixels) for i in part]], ranks, len(pixels))

    def _prefetched(self, pixels: Pixels, parts: list[list[int]], epoch: int) -> Iterator[Tensor]:
        """uint8 (N, 1, S, S) a part, each begun while the one before it is used."""

        def begin(part: list[int]) -> list[Future[Tensor]]:
            share = max(1, -(-len(part) // self._threads))
            shares = [part[start : start + share] for start in range(0, len(part), share)]
            chosen = [[pixels.images[i % len(pixels)] for i in share] for share in shares]
            return [
                self._pool.submit(self._augment_beside, *args, epoch)
                for args in zip(chosen, shares, strict=True)
            ]

        coming = begin(parts[0])
        for following in [*parts[1:], []]:
            ready = torch.cat([future.result() for future in coming])
            coming = begin(following)
            yield ready

    def _uploaded(self, pixels: Pixels, parts: list[list[int]], epoch: int) -> Iterator[Tensor]:
        """uint8 (N, 1, S, S) a part, on the device: views into cached bytes, augmented.

        All bytes lie there where they fit; else those of a part come in one copy.
        """
        resident = self._resident_images(pixels)
        for part in parts:
            if resident is not None:
                yield self._augment([resident[i % len(pixels)] for i in part], part, epoch)
                continue
            cached = [pixels.images[i % len(pixels)] for i in part]
            flat = move(torch.cat([image.flatten() for image in cached]), self._device)
            pieces = torch.split(flat, [image.numel() for image in cached])
            images = [piece.view(image.shape) for piece, image in zip(pieces, cached, strict=True)]
            yield self._augment(images, part, epoch)

    def _resident_images(self, pixels: Pixels) -> MappedImages | None:
        images = pixels.images
        if not isinstance(images, MappedImages):
            return None
        if self._resident is None or self._resident[0] is not images:
            self._resident = None
            if images.size_bytes > _GPU_SHARE * torch.cuda.mem_get_info(self._device)[0]:
                return None
            self._resident = images, images.on(self._device)
        return self._resident[1]

    def _augment_beside(self, images: list[Tensor], numbers: list[int], epoch: int) -> Tensor:
        with self._times.beside("augmenting"):
            return self._augment(images, numbers, epoch)

    def _augment(self, images: list[Tensor], numbers: list[int], epoch: int) -> Tensor:
        settings = self._settings
        chances = [
            draw(settings.augmentation, (image.shape[1], image.shape[2]), settings.seed, epoch, number)
            for image, number in zip(images, numbers, strict=True)
        ]
        return augment(images, chances, settings.resize, settings.image_size)

    def _batch(self, images: Tensor, labels: Tensor, ranks: list[list[int]], count: int) -> Batch:
        inputs = self._normalise(move(images, self._device))
        return Batch(inputs, move(labels, self._device), *_shares(ranks, count))


def _shares(ranks: list[list[int]], count: int) -> tuple[list[int], list[int]]:
    """How many images each rank has, and which ones of the ``count`` all of them have."""
    return [len(part) for part in ranks], [number % count for part in ranks for number in part]


def _balanced(order: list[int], labels: list[int]) -> list[int]:
    """As many images as before, of each class as many: of a rare one some come again, of others some stay
    away."""
    by_class: dict[int, list[int]] = {}
    for number in order:
        by_class.setdefault(labels[number], []).append(number)
    count, classes = len(order), len(by_class)
    chosen: list[int] = []
    for place, numbers in enumerate(by_class.values()):
        wanted = count * (place + 1) // classes - count * place // classes
        rounds = [turn * count + number for turn in range(-(-wanted // len(numbers))) for number in numbers]
        chosen += rounds[:wanted]
    # In the shuffled order again: a class's share of every batch is the same but for chance.
    return [chosen[number] for number in order]


def _one_thread_each() -> None:
    """An image is too small to share between threads: the pool spreads images, not rows."""
    torch.set_num_threads(1)

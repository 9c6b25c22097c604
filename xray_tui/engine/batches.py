"""Batches of pixels on the device, in an order and with an augmentation that a resume repeats."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from xray_tui.config import TrainingSettings
from xray_tui.data.augmentation import augment, draw, normalise
from xray_tui.data.pixels import Pixels


@dataclass(frozen=True)
class Batch:
    images: Tensor
    """float32 (N, 3, H, W), normalised, channels_last, on the device."""
    labels: Tensor
    """int64 (N,), on the device."""

    def __len__(self) -> int:
        return len(self.labels)


class Batches:
    """Makes the batches of a run.

    On a CPU, threads augment the next batch while the current one trains. On a GPU, the cached
    bytes of a batch cross in one pinned, non-blocking copy and are augmented there.

    Args:
        mean, std: the backbone's own, per channel, of pixels in 0 to 1.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        device: torch.device,
        threads: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        self._settings = settings
        self._device = device
        self._mean, self._std = mean, std
        self._pool = ThreadPoolExecutor(threads, "augment", initializer=_one_thread_each)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def train(self, pixels: Pixels, epoch: int) -> Iterator[Batch]:
        """One epoch of train: shuffled, augmented. A last batch of one image is left out (BatchNorm)."""
        seed, size = self._settings.seed, self._settings.batch_size
        order = np.random.default_rng((seed, epoch)).permutation(len(pixels))
        starts = [*range(0, len(order), size), len(order)]
        parts = [order[start:end] for start, end in pairwise(starts) if end - start > 1]
        if self._device.type == "cuda":
            for part in parts:
                images = self._upload([pixels.images[i] for i in part])
                augmented = [
                    self._augment(image, epoch, int(i)) for i, image in zip(part, images, strict=True)
                ]
                yield self._batch(torch.stack(augmented), pixels.labels[part])
            return

        def begin(part: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> list[Future[Tensor]]:
            return [self._pool.submit(self._augment, pixels.images[i], epoch, int(i)) for i in part]

        coming = begin(parts[0])
        for part, following in zip(parts, [*parts[1:], None], strict=True):
            images = [future.result() for future in coming]
            coming = begin(following) if following is not None else []
            yield self._batch(torch.stack(images), pixels.labels[part])

    def plain(self, pixels: Pixels) -> Iterator[Batch]:
        """Validation or test: in order, as cached."""
        size = self._settings.batch_size
        for start in range(0, len(pixels), size):
            part = slice(start, start + size)
            yield self._batch(torch.stack(pixels.images[part]), pixels.labels[part])

    def _augment(self, image: Tensor, epoch: int, number: int) -> Tensor:
        settings = self._settings
        _, height, width = image.shape
        chance = draw(settings.augmentation, (height, width), settings.seed, epoch, number)
        return augment(image, chance, settings.resize, settings.image_size)

    def _batch(self, images: Tensor, labels: Tensor) -> Batch:
        return Batch(
            normalise(self._move(images), self._mean, self._std),
            self._move(labels),
        )

    def _upload(self, images: list[Tensor]) -> list[Tensor]:
        """Images of different sizes in one copy; views into it."""
        flat = self._move(torch.cat([image.flatten() for image in images]))
        parts = flat.split([image.numel() for image in images])
        return [part.view(image.shape) for part, image in zip(parts, images, strict=True)]

    def _move(self, tensor: Tensor) -> Tensor:
        if self._device.type == "cuda" and not tensor.is_cuda:
            return tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(self._device)


def _one_thread_each() -> None:
    """An image is too small to share between threads: the pool spreads images, not rows."""
    torch.set_num_threads(1)

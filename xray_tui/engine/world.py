"""The processes of a run. Mostly it is one: then nothing here does anything."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn

from xray_tui.engine.controls import Controls
from xray_tui.engine.objective import Objective
from xray_tui.errors import UserError
from xray_tui.events import Warning

_T = TypeVar("_T")
_M = TypeVar("_M", bound=nn.Module)


class World:
    """All processes of a run. This one is the only one: everything is as if the class were not there."""

    rank = 0
    size = 1
    local_rank = 0
    """Among the processes of this host, of which each has a GPU of its own."""
    local_size = 1

    @property
    def main(self) -> bool:
        """Whether this process tells and keeps the run."""
        return self.rank == 0

    def controls(self) -> Controls:
        return Controls()

    def share(self, part: list[int]) -> list[list[int]]:
        """A training batch's images, by rank. None has just one: BatchNorm has no variance of it."""
        takers = max(1, min(self.size, len(part) // 2))
        bounds = [len(part) * taker // takers for taker in range(takers + 1)]
        shares = [part[start:end] for start, end in pairwise(bounds)]
        return shares + [[] for _ in range(self.size - takers)]

    def deal(self, parts: Sequence[list[int]]) -> list[list[list[int]]]:
        """Whole batches in turn: of each round, the images by rank; in the last some may have none."""
        rounds = [list(parts[start : start + self.size]) for start in range(0, len(parts), self.size)]
        return [dealt + [[] for _ in range(self.size - len(dealt))] for dealt in rounds]

    def prepare(self, model: _M, device: torch.device) -> _M:
        """Let BatchNorm see all of a batch, where the device can; before parts of the model are chosen."""
        return model

    def notes(self, device: torch.device, before: int | None) -> list[Warning]:
        """What a person should know of it.

        Args:
            before: processes that an earlier part of the run had; ``None`` where there is none.
        """
        if before in (None, self.size):
            return []
        message = f"begun by {before} and gone on with by {self.size}: from here on, not the same to the bit"
        return [Warning(kind="processes", message=message)]

    def on_host(self, batch_size: int, device: torch.device) -> int:
        """Images of a batch that share the memory of this process's device."""
        return batch_size

    def seed(self, seed: int) -> int:
        """Of dropout: the ranks' shares are different images, and want different masks."""
        return seed

    def loss(self, objective: Objective, log_probabilities: Tensor, targets: Tensor, whole: int) -> Tensor:
        """This rank's part of the mean loss of a batch of ``whole`` images; the parts add up to it."""
        return objective(log_probabilities, targets, "mean")

    def add_up(self, loss: Tensor, parameters: list[nn.Parameter]) -> Tensor:
        """Make gradients those of the whole batch; the loss of the whole batch is returned."""
        return loss

    def of_any(self, flag: Tensor) -> Tensor:
        """Whether a batch's flag is set in any rank, where their BatchNorms see other images: bool ()."""
        return flag

    def gather(self, mine: Tensor, shares: Sequence[int]) -> Tensor:
        """What all ranks have made of their images, one below the other.

        Args:
            mine: (N, …), where N is this rank's of ``shares``.
        """
        return mine

    def same(self, tensors: Iterable[Tensor]) -> None:
        """Give them rank 0's values."""

    def same_statistics(self, model: nn.Module) -> None:
        """Give the BatchNorms that learn rank 0's statistics: each rank has seen other images."""

    def tell(self, value: _T) -> _T:
        """Rank 0's value, to all."""
        return value

    def tensors(self, read: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """What rank 0 reads, to all: the others need not see its files."""
        return read()

    def first_on_host(self, work: Callable[[], _T]) -> _T:
        """Do it in one process of each host, then in the others, which find what it downloaded or cached.

        Within, the ranks are not in step: it may have no part in anything else that is done together.
        """
        return work()

    def check_same(self, value: object, what: str) -> None:
        """Wait for all ranks.

        Raises:
            UserError: this rank's value is not rank 0's.
        """

    def cause(self, error: BaseException) -> UserError | None:
        """What went wrong in another rank, where this one's error only follows from it."""
        return None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Tell the other ranks of an error within; where it only follows from theirs, tell theirs."""
        yield


ALONE = World()

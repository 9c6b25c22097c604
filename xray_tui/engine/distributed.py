"""Several processes train one run, as torchrun starts them: rank 0 tells and keeps it, the others compute.

Every batch is the one that a single process would have. In training each rank takes a share of it, and the
shares' gradients are added up; in evaluation whole batches go to the ranks in turn, so that what comes of
them is the same to the bit. What is random, and in which order images come, never depends on the ranks.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from xray_tui.engine import process
from xray_tui.engine.controls import Controls, Stop
from xray_tui.engine.objective import Objective
from xray_tui.engine.shared_controls import SharedControls
from xray_tui.engine.world import ALONE, World
from xray_tui.errors import UserError
from xray_tui.events import Warning

_T = TypeVar("_T")
_M = TypeVar("_M", bound=nn.Module)
_FAILED = "xray-tui/failed"

_PATIENCE = timedelta(hours=1)
"""With a rank that says nothing; one that dies is noticed at once. Reading a large folder takes long."""


class _Store(Protocol):
    """What torchrun keeps for all ranks, and keeps when one of them is gone."""

    def check(self, keys: list[str]) -> bool: ...
    def get(self, key: str) -> bytes: ...
    def set(self, key: str, value: str) -> None: ...


def _convert(model: nn.Module) -> Callable[[nn.Module], nn.Module]:
    """What makes BatchNorms see all ranks. Timm's own are also the activation after them, which torch's way
    would leave out."""
    if any(type(module).__module__.startswith("timm.") for module in model.modules()):
        from timm.layers.norm_act import convert_sync_batchnorm

        return convert_sync_batchnorm
    return nn.SyncBatchNorm.convert_sync_batchnorm


class Ranks(World):
    """The processes that torchrun has started."""

    def __init__(self, rank: int, size: int, local_rank: int, local_size: int, store: _Store) -> None:
        self.rank, self.size = rank, size
        self.local_rank, self.local_size = local_rank, local_size
        self.apart = False
        """Whether ranks are not in step just now."""
        self.failed = False
        self._store = store

    def controls(self) -> Controls:
        return SharedControls(self)

    def prepare(self, model: _M, device: torch.device) -> _M:
        if device.type == "cuda":
            _convert(model)(model)  # replaces what is within
        return model

    def notes(self, device: torch.device, before: int | None) -> list[Warning]:
        shares = Warning(
            kind="batchnorm_shares",
            message=f"on a CPU each of the {self.size} processes normalises its own share of a batch: where "
            "BatchNorm learns, results differ from those of one process",
        )
        return super().notes(device, before) + ([] if device.type == "cuda" else [shares])

    def on_host(self, batch_size: int, device: torch.device) -> int:
        sharing = 1 if device.type == "cuda" else self.local_size
        return max(2, -(-batch_size * sharing // self.size))

    def seed(self, seed: int) -> int:
        return seed + (self.rank << 64)  # beyond every seed that a person would choose

    def loss(self, objective: Objective, log_probabilities: Tensor, targets: Tensor, whole: int) -> Tensor:
        return objective(log_probabilities, targets, "sum") / whole

    def add_up(self, loss: Tensor, parameters: list[nn.Parameter]) -> Tensor:
        # Not DistributedDataParallel: it sorts its buckets anew after the first step, so that from three
        # ranks on a resumed run would add up in another order. The loss travels along.
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([loss.detach().view(1), *(gradient.flatten() for gradient in gradients)])
        dist.all_reduce(flat)
        pieces = flat.split([1, *(gradient.numel() for gradient in gradients)])
        for gradient, piece in zip(gradients, pieces[1:], strict=True):
            gradient.copy_(piece.view(gradient.shape))
        whole: Tensor = pieces[0]
        return whole.view(())

    def of_any(self, flag: Tensor) -> Tensor:
        if flag.is_cuda:  # what SyncBatchNorm computes is the same in all
            return flag
        found = flag.to(torch.uint8)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return found.bool()

    def gather(self, mine: Tensor, shares: Sequence[int]) -> Tensor:
        pieces = [mine.new_empty((images, *mine.shape[1:])) for images in shares]
        pieces[self.rank] = mine.contiguous()
        for rank, piece in enumerate(pieces):
            if len(piece):
                dist.broadcast(_as_bytes(piece), rank)
        return torch.cat(pieces)

    def same(self, tensors: Iterable[Tensor]) -> None:
        with torch.no_grad():
            for tensor in tensors:
                values = tensor.detach().contiguous()
                dist.broadcast(_as_bytes(values), 0)
                tensor.copy_(values)
        self.any(False)  # a GPU is not waited for before the other ranks are known to live

    def same_statistics(self, model: nn.Module) -> None:
        learning = (module for module in model.modules() if module.training)
        self.same(buffer for module in learning for buffer in module.buffers(recurse=False))

    def tell(self, value: _T) -> _T:
        told = [value]
        dist.broadcast_object_list(told, 0, device=torch.device("cpu"))
        return told[0]

    def tensors(self, read: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        found = read() if self.main else {}
        shapes = self.tell([(name, tensor.shape, tensor.dtype) for name, tensor in found.items()])
        if not self.main:
            found = {name: torch.empty(shape, dtype=dtype) for name, shape, dtype in shapes}
        for tensor in found.values():
            if tensor.numel():
                dist.broadcast(_as_bytes(tensor), 0)
        return found

    def first_on_host(self, work: Callable[[], _T]) -> _T:
        done: list[_T] = []
        for first in (True, False):
            stop: Stop | None = None
            if first == (self.local_rank == 0):
                self.apart = True
                try:
                    done.append(work())
                except Stop as asked:
                    stop = asked
                finally:
                    self.apart = False
            if (asked_of_main := self.tell(stop)) is not None:
                raise asked_of_main
        return done[0]

    def check_same(self, value: object, what: str) -> None:
        if self.tell(value) != value:
            raise UserError(
                f"{what} here than on rank 0", "every host needs the same data, and the same xray-tui"
            )
        self.any(False)

    def any(self, wanted: bool) -> bool:
        """Whether it is true of some rank. Goes from CPU to CPU: no GPU is waited for."""
        flag = torch.tensor(int(wanted))
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)

    def stops(self, why: str) -> list[str]:
        """What each rank was asked to stop by."""
        told = [""] * self.size
        dist.all_gather_object(told, why)
        return told

    def cause(self, error: BaseException) -> UserError | None:
        if not isinstance(error, RuntimeError):
            return None
        if (told := self._told()) is not None:
            rank, message, hint = told
            return UserError(f"rank {rank} failed: {message}", hint)
        if any(word in str(error) for word in ("gloo", "NCCL", "Connection")):
            return UserError(
                f"rank {self.rank} has lost another one: {str(error).splitlines()[0]}",
                "`xray-tui resume` goes on from the last checkpoint",
            )
        return None

    @contextmanager
    def together(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.failed = True
            cause = self.cause(error)
            known = self._told() is not None
            if not known and not isinstance(error, SystemExit):
                mine = error if isinstance(error, UserError) else None
                message = mine.message if mine else f"{type(error).__name__}: {error}"
                self._say(message, mine.hint if mine else "")
            if self.main:
                if cause is not None:
                    raise cause from error
                raise
            if known or cause is not None or isinstance(error, UserError):
                raise SystemExit(1) from error  # rank 0 tells it
            raise

    def _told(self) -> tuple[int, str, str] | None:
        """Who failed first, and what it said."""
        try:
            if not self._store.check([_FAILED]):
                return None
            rank, message, hint = json.loads(self._store.get(_FAILED))
        except RuntimeError:  # whoever kept it is gone
            return None
        return rank, message, hint

    def _say(self, message: str, hint: str) -> None:
        try:
            self._store.set(_FAILED, json.dumps([self.rank, message, hint]))
        except RuntimeError:
            return


@contextmanager
def join() -> Iterator[World]:
    """All processes of the run that this one belongs to.

    Raises:
        UserError: the others cannot be reached.
    """
    rank, size = process.place()
    if size == 1:
        yield ALONE
        return
    local_rank, local_size = (int(os.environ.get(name, 0)) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    with_gpus = torch.cuda.is_available() and dist.is_nccl_available()
    if with_gpus and local_rank < torch.cuda.device_count():
        torch.cuda.set_device(local_rank)
    try:
        store, _, _ = next(rendezvous("env://", timeout=_PATIENCE))
        # What lies on a CPU goes by gloo, on GPUs as well: controls never wait for one.
        backend = "cpu:gloo,cuda:nccl" if with_gpus else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"rank {rank} cannot join the other processes: {str(error).splitlines()[0]}",
            "start them by `torchrun --nproc-per-node N -m xray_tui train DATA`",
        ) from error
    ranks = Ranks(rank, size, local_rank, max(1, local_size), store)
    yield ranks
    if not ranks.failed:  # else it might wait for ranks that are gone
        dist.destroy_process_group()


def _as_bytes(tensor: Tensor) -> Tensor:
    """The same memory, contiguous: gloo does not know every number that a GPU does."""
    return tensor.view(-1).view(torch.uint8)

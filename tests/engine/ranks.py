"""Functions run in several processes at once, as torchrun would start them."""

import os
import socket
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

from tests.forked import CONTEXT, start

_PATIENCE_SECONDS = 60.0


def in_ranks(size: int, function: Callable[..., Any], *arguments: Any, hosts: bool = False) -> list[Any]:
    """What ``function(world, *arguments)`` returns in each rank, or the exception that it ends by.

    Args:
        hosts: each rank is on a host of its own, so to speak: all of them take this one's first GPU, and NCCL
            lets them, for it finds them by network.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {"WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ends, processes = [], []
    for rank in range(size):
        place = {"LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": size}
        if hosts:
            place = {"LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1, "NCCL_HOSTID": rank, "NCCL_SOCKET_IFNAME": "lo"}
        environment = {k: str(v) for k, v in (places | {"RANK": rank} | place).items()}
        ours, theirs = CONTEXT.Pipe(duplex=False)
        process = start(_be, environment, theirs, function, arguments)
        theirs.close()
        ends.append(ours)
        processes.append(process)
    try:
        found = []
        for rank, ours in enumerate(ends):
            assert wait([ours], _PATIENCE_SECONDS), f"rank {rank} hangs"
            try:
                found.append(ours.recv())
            except EOFError as killed:
                found.append(killed)
        return found
    finally:
        for process in processes:
            process.join(5)
            process.kill()


def _be(environment: dict[str, str], end: Connection, function: Callable[..., Any], arguments: Any) -> None:
    import torch

    from xray_tui.engine.distributed import join

    os.environ.update(environment)
    torch.set_num_threads(1)
    try:
        with join() as world:
            found = function(world, *arguments)
    except BaseException as error:
        traceback.print_exc()
        found = error
    end.send(found)
    end.close()
    os._exit(0)  # what pytest's fork has for the end of a process is not for this one

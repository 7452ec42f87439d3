"""Several GPUs, one process each: what torchrun tells a process of its place among the others."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from hemaline_shared.errors import PermanentError


@dataclass(frozen=True, slots=True)
class Rank:
    """One process of a run.

    Attributes:
        number: From 0; 0 judges and writes.
        count: Of all processes.
    """

    number: int
    count: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process judges and writes."""
        return self.number == 0

    def share(self, places: torch.Tensor) -> torch.Tensor:
        """Return this process's part of a batch."""
        return places[self.number :: self.count]

    def together(self, module: nn.Module) -> nn.Module:
        """Return the module so that gradients are averaged over all processes."""
        return module if self.count == 1 else DistributedDataParallel(module)


def device_named(name: str) -> torch.device:
    """Return what to compute on, for one process.

    Args:
        name: "cpu" or "cuda".

    Raises:
        PermanentError: `unknown-device`, or `no-gpu`: CUDA was asked for and is not there.
    """
    if name not in {"cpu", "cuda"}:
        raise PermanentError(
            "unknown-device", f"There is no device {name!r}: say --device cpu or --device cuda."
        )
    if name == "cuda" and not torch.cuda.is_available():
        raise PermanentError(
            "no-gpu", "CUDA was asked for, but PyTorch finds none. Say --device cpu to do without."
        )
    return torch.device(name)


@contextmanager
def joined_rank(device: str) -> Iterator[Rank]:
    """Join the other processes, if torchrun started several.

    Args:
        device: "cpu" or "cuda"; each process takes the GPU of its own number.

    Raises:
        PermanentError: `unknown-device` or `no-gpu`.
    """
    alone = device_named(device)
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Rank(0, 1, alone)
        return
    place = torch.device(f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" else "cpu")
    if device == "cuda":
        torch.cuda.set_device(place)
    distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield Rank(distributed.get_rank(), count, place)
    finally:
        distributed.destroy_process_group()

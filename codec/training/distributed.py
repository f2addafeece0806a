"""One process or many: what the parts of a training that see the whole batch need; started by torchrun."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Place:
    """This process among all: its number, how many there are, and where it computes."""

    rank: int
    processes: int
    device: torch.device


def join(device: str | None = None) -> Place:
    """Join the processes that torchrun started, or stand alone.

    Args:
        device: "cpu", "cuda" or "cuda:1"; None for a GPU of this process's own where there is one.
    """
    local = int(os.environ.get("LOCAL_RANK", 0))
    if device is None:
        device = f"cuda:{local}" if torch.cuda.is_available() else "cpu"
    place = torch.device(device)
    if "WORLD_SIZE" not in os.environ:
        return Place(0, 1, place)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    return Place(dist.get_rank(), dist.get_world_size(), place)


def leave() -> None:
    """Part from the processes that join() joined; without it the last of them may abort on leaving."""
    if dist.is_initialized():
        dist.destroy_process_group()


def average(tensors: Iterable[Tensor]) -> None:
    """Replace tensors by their mean over all processes, in one message for each type."""
    if not dist.is_initialized():
        return
    by_type: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        by_type.setdefault(tensor.dtype, []).append(tensor)
    for alike in by_type.values():
        joined = torch.cat([tensor.flatten() for tensor in alike])
        dist.all_reduce(joined)
        joined /= dist.get_world_size()
        for tensor, mean in zip(alike, joined.split([tensor.numel() for tensor in alike]), strict=True):
            tensor.copy_(mean.view_as(tensor))


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """The gradient of the joint batch's mean loss, on every process.

    One message after the backward pass instead of DistributedDataParallel: the balancer makes several backward passes,
    and each update leaves out other parameters (discriminators by bit rate), which that does not serve.
    """
    average(parameter.grad for parameter in parameters if parameter.grad is not None)

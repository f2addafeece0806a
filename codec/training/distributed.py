"""One process or many: what the parts of a training that see the whole batch need; started by torchrun."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from earmark.codec.errors import UserError
from earmark.codec.training.quantizers.joint_batch import add_up, spread

# A process that dies is noticed at once, by torchrun. The others wait this long for one that is at work alone: the
# first process decodes a corpus, or validates with ViSQOL.
LONGEST_WAIT = timedelta(days=1)


@dataclass(frozen=True)
class Place:
    """This process among all: its number, how many there are, and where it computes."""

    rank: int
    processes: int
    device: torch.device


def join(device: str | None = None) -> Place:
    """Join the processes that torchrun started, or stand alone.

    Args:
        device: "cpu", "cuda" or, without torchrun, "cuda:1"; None for a GPU where there is one. Each process of
            torchrun has a GPU of its own.

    Raises:
        UserError: no such device, or more processes than GPUs.
    """
    launched = "WORLD_SIZE" in os.environ
    place = _chosen(device, launched)
    if not launched:
        return Place(0, 1, place)
    dist.init_process_group("cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo", timeout=LONGEST_WAIT)
    return Place(dist.get_rank(), dist.get_world_size(), place)


def alone(command: str, device: str | None = None) -> Place:
    """The place of a command that trains in one process.

    Raises:
        UserError: torchrun started several, or no such device.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(f"{command}: trains in one process, but torchrun started several; run it without torchrun")
    return Place(0, 1, _chosen(device, launched=False))


def _chosen(device: str | None, launched: bool) -> torch.device:
    place = _device(device or ("cuda" if torch.cuda.is_available() else "cpu"), launched)
    if place.type == "cuda":
        torch.cuda.set_device(place)  # else whatever names no device goes to the first GPU, and takes memory there
    return place


def _device(name: str, launched: bool) -> torch.device:
    try:
        device = torch.device(name)
        if device.type != "cuda":
            torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--device {name}: {reason}; write cpu, or cuda where there is a GPU") from error
    if device.type != "cuda":
        return device
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if launched and device.index is not None:
        raise UserError(f"--device {name}: torchrun gives each process a GPU of its own; write cuda")
    index = int(os.environ["LOCAL_RANK"]) if launched else device.index or 0
    if launched and index >= count:
        processes = os.environ.get("LOCAL_WORLD_SIZE", "too many")
        raise UserError(f"torchrun: {processes} processes here, but {count} GPU(s); lower --nproc-per-node to that")
    if index >= count:
        raise UserError(f"--device {name}: PyTorch finds {count} GPU(s) here; write cpu, or one of them")
    return torch.device("cuda", index)


def leave() -> None:
    """Part from the processes that join() joined; without it the last of them may abort on leaving."""
    if spread():
        dist.destroy_process_group()


def largest(value: int) -> int:
    """The largest of what all processes give, on each of them; it waits for all, but for no GPU."""
    if not spread():
        return value
    every = torch.tensor(value)
    dist.all_reduce(every, dist.ReduceOp.MAX)
    return int(every)


def average(tensors: Iterable[Tensor]) -> None:
    """Replace tensors by their mean over all processes, in one message for each type."""
    if not spread():
        return
    by_type: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        by_type.setdefault(tensor.dtype, []).append(tensor)
    for alike in by_type.values():
        joined = add_up(torch.cat([tensor.flatten() for tensor in alike])) / dist.get_world_size()
        for tensor, mean in zip(alike, joined.split([tensor.numel() for tensor in alike]), strict=True):
            tensor.copy_(mean.view_as(tensor))


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """The gradient of the joint batch's mean loss, on every process.

    One message after the backward pass instead of DistributedDataParallel: the balancer makes several backward passes,
    and each update leaves out other parameters (discriminators by bit rate), which that does not serve.
    """
    average(parameter.grad for parameter in parameters if parameter.grad is not None)

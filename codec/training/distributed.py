"""The processes that share each batch of a training: one on its own, or several started by torchrun."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from earmark.codec.encodec.device import choose_device
from earmark.codec.errors import UserError
from earmark.codec.training.quantizers.joint_batch import is_distributed, sum_over_processes

# torchrun notices at once when a process dies. This limit is for processes that wait while rank 0 works alone: it
# decodes a corpus, or validates with ViSQOL.
LONGEST_WAIT = timedelta(days=1)


@dataclass(frozen=True)
class ProcessGroup:
    """One process's view of a training: its rank, the number of processes, and its device."""

    rank: int
    size: int
    device: torch.device


def join(device: str | None = None) -> ProcessGroup:
    """Join the processes that torchrun started; without torchrun, a group of one.

    Args:
        device: "cpu", "cuda" or, without torchrun, "cuda:1". Default: a GPU if there is one. torchrun gives each
            process a GPU of its own.

    Raises:
        UserError: no such device, or more processes than GPUs.
    """
    launched = "WORLD_SIZE" in os.environ
    chosen = choose_device(device, launched)
    if not launched:
        return ProcessGroup(0, 1, chosen)
    dist.init_process_group("cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo", timeout=LONGEST_WAIT)
    return ProcessGroup(dist.get_rank(), dist.get_world_size(), chosen)


def single_process(command: str, device: str | None = None) -> ProcessGroup:
    """The group of one for a command that cannot share its work.

    Raises:
        UserError: torchrun started several processes, or there is no such device.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(f"{command}: trains in one process, but torchrun started several; run it without torchrun")
    return ProcessGroup(0, 1, choose_device(device, launched=False))


def leave() -> None:
    """Leave the group that join() joined; without this the last process may abort at exit."""
    if is_distributed():
        dist.destroy_process_group()


def maximum(value: int) -> int:
    """The largest of the values that all processes give. Waits for all processes, but not for their GPUs."""
    if not is_distributed():
        return value
    largest = torch.tensor(value)
    dist.all_reduce(largest, dist.ReduceOp.MAX)
    return int(largest)


def maximum_of(values: Tensor) -> Tensor:
    """The largest of each value over all processes, on their device and without waiting for it."""
    if is_distributed():
        dist.all_reduce(values, dist.ReduceOp.MAX)
    return values


def average(tensors: Iterable[Tensor]) -> None:
    """Replace tensors by their means over all processes, with one message per data type."""
    if not is_distributed():
        return
    by_type: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        by_type.setdefault(tensor.dtype, []).append(tensor)
    for same_type in by_type.values():
        joined = sum_over_processes(torch.cat([tensor.flatten() for tensor in same_type])) / dist.get_world_size()
        for tensor, mean in zip(same_type, joined.split([tensor.numel() for tensor in same_type]), strict=True):
            tensor.copy_(mean.view_as(tensor))


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Give every process the gradient of the whole batch's mean loss.

    Replaces DistributedDataParallel, which supports neither the balancer's several backward passes nor updates that
    skip some parameters (the discriminators of other bit rates).
    """
    average(parameter.grad for parameter in parameters if parameter.grad is not None)

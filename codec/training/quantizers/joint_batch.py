"""A batch whose vectors are spread over processes, handled as if one process held them all."""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def is_distributed() -> bool:
    """Whether this process has joined others."""
    return distributed.is_available() and distributed.is_initialized()


def sum_over_processes(values: Tensor) -> Tensor:
    """Add up a tensor over all processes, in place, and return it."""
    if is_distributed():
        distributed.all_reduce(values)
    return values


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of a tensor over all processes."""
    return sum_over_processes(values.clone()) / distributed.get_world_size() if is_distributed() else values


class JointBatch:
    """The vectors of all processes, numbered consecutively in the order of the ranks.

    Args:
        size: number of vectors in this process; other processes may have more or fewer.
        device: device of the vectors.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self.start, self.size = 0, size
        if is_distributed():
            rank = distributed.get_rank()
            sizes = torch.zeros(distributed.get_world_size(), dtype=torch.int64, device=device)
            sizes[rank] = size
            all_sizes = sum_over_processes(sizes).tolist()
            self.start, self.size = sum(all_sizes[:rank]), sum(all_sizes)

    def pick(self, own: Tensor, index: Tensor) -> Tensor:
        """Gather vectors of the joint batch on every process.

        Args:
            own: the vectors of this process, [n, D].
            index: numbers of the wanted vectors in the joint batch, [m].

        Returns:
            The wanted vectors, [m, D], the same on every process.
        """
        local = index - self.start
        mine = (local >= 0) & (local < len(own))
        # Each vector lies in one process and is zero in the others, so the sum is exact.
        return sum_over_processes(torch.where(mine[:, None], own[local.clamp(0, len(own) - 1)], 0.0))

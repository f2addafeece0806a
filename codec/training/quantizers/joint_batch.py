"""A batch that is spread over processes, handled as if one process had it all."""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def spread() -> bool:
    """Whether there are other processes."""
    return distributed.is_available() and distributed.is_initialized()


def add_up(values: Tensor) -> Tensor:
    """The sum of a tensor over all processes, in place."""
    if spread():
        distributed.all_reduce(values)
    return values


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of a tensor over all processes."""
    return add_up(values.clone()) / distributed.get_world_size() if spread() else values


class JointBatch:
    """The vectors of all processes, numbered through in the order of their ranks.

    Args:
        size: how many vectors this process has; others may have more or fewer.
        device: of the vectors.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self.start, self.size = 0, size
        if spread():
            rank = distributed.get_rank()
            sizes = torch.zeros(distributed.get_world_size(), dtype=torch.int64, device=device)
            sizes[rank] = size
            every = add_up(sizes).tolist()
            self.start, self.size = sum(every[:rank]), sum(every)

    def pick(self, own: Tensor, index: Tensor) -> Tensor:
        """The vectors at `index` in the joint batch, [m, D] on every process, out of each one's `own`, [n, D]."""
        local = index - self.start
        mine = (local >= 0) & (local < len(own))
        # Every vector lies in one process and is zero in the others, so that the sum is exact.
        return add_up(torch.where(mine[:, None], own[local.clamp(0, len(own) - 1)], 0.0))

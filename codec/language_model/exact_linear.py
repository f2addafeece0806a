"""Linear layers of small integers that are exact on every machine."""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LARGEST = 127  # absolute value of inputs and weights
MANY = 4096  # rows of weights that are better left as they lie
SUM_LIMIT = 1 << 22  # up to here one unit in the last place of float32 is less than half


def integers(product: NDArray[np.float32]) -> NDArray[np.int32]:
    """The integers that a matrix product in floating point holds.

    No sum of absolute products reaches SUM_LIMIT: all partial sums are integers that float32 holds exactly, so that any
    order of adding, instruction set and number of threads give the same. Rounding would even undo an error of one unit
    in the last place.
    """
    return np.rint(product, out=product).astype(np.int32)


def products(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.int32]:
    """[B, T, K] @ [B, K, N] of such integers -> [B, T, N]."""
    if left.shape[1] == 1:  # numpy has done a product of one row before torch has begun
        return integers(left @ right)
    return integers(torch.bmm(torch.from_numpy(left), torch.from_numpy(right)).numpy())  # by torch's threads


class ExactLinear:
    """weight @ inputs, in 8-bit integer instructions where these are exact, else in float32.

    Args:
        weight: [rows, columns], -127 to 127; 127 times the sum of a row's absolute values stays below SUM_LIMIT.
    """

    def __init__(self, weight: NDArray[np.int8]) -> None:
        if (LARGEST * np.abs(weight.astype(np.int64)).sum(axis=1) >= SUM_LIMIT).any():
            raise ValueError("weights of which float32 could not hold every sum")
        weights = _laid_out(torch.from_numpy(weight))
        self._weights = weights if has_exact_bytes(*weight.shape) else weights.float()

    def __call__(self, inputs: NDArray[np.int8], rows: int | None = None) -> NDArray[np.int32]:
        """[n, columns] -> [n, rows], or the first `rows` of them."""
        weights = self._weights if rows is None else self._weights[:, :rows]
        if weights.dtype == torch.int8:
            return torch._int_mm(torch.from_numpy(inputs), weights).numpy()
        return integers((torch.from_numpy(inputs).float() @ weights).numpy())


def _laid_out(weight: Tensor) -> Tensor:
    """[rows, columns] -> [columns, rows], in the order that is faster for a few rows of inputs."""
    return weight.mT.contiguous() if len(weight) < MANY else weight.mT


@functools.cache
def has_exact_bytes(rows: int, columns: int) -> bool:
    """Whether torch multiplies 8-bit integers by weights of this shape here, and exactly.

    Without VNNI some sums of two products are cut off, so that all are as large as there can be.
    """
    draw = torch.Generator().manual_seed(0)
    weight = LARGEST * (2 * torch.randint(2, (rows, columns), generator=draw) - 1)
    try:
        for count in (1, 16, 128):  # one step of a segment, of several side by side, steps at once
            inputs = LARGEST * (2 * torch.randint(2, (count, columns), generator=draw) - 1)
            inputs[0] = weight[0]
            product = torch._int_mm(inputs.to(torch.int8), _laid_out(weight.to(torch.int8)))
            if not torch.equal(product.double(), inputs.double() @ weight.double().mT):  # exact below 2 ** 53
                return False
    except (AttributeError, RuntimeError):  # another version or build of torch
        return False
    return True

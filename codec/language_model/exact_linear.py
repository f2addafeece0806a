"""Matrix products of small integers that are exact on every machine."""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LARGEST = 127  # largest absolute value of inputs and weights
MANY = 4096  # rows from which on a weight is faster without a copy in another layout
SUM_LIMIT = 1 << 22  # below it, one unit in the last place of float32 is at most a quarter


def integers(product: NDArray[np.float32]) -> NDArray[np.int32]:
    """Convert a matrix product of integers, computed in floating point, to integers.

    No sum of absolute products reaches SUM_LIMIT, so float32 holds every partial sum exactly. The result is thus the
    same for any order of summation, instruction set and number of threads. Rounding would even correct an error of one
    unit in the last place.
    """
    return np.rint(product, out=product).astype(np.int32)


def products(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.int32]:
    """Product of small integers in float32, [B, T, K] @ [B, K, N] -> [B, T, N]; see `integers`."""
    if left.shape[1] == 1:  # for a single row numpy is faster
        return integers(left @ right)
    return integers(torch.bmm(torch.from_numpy(left), torch.from_numpy(right)).numpy())


class ExactLinear:
    """Product of a weight with inputs, by 8-bit integer instructions if they are exact here, otherwise in float32.

    Args:
        weight: [rows, columns], -127 to 127; 127 times the sum of absolute values in a row must be below SUM_LIMIT.

    Raises:
        ValueError: if a row is too large.
    """

    def __init__(self, weight: NDArray[np.int8]) -> None:
        if (LARGEST * np.abs(weight.astype(np.int64)).sum(axis=1) >= SUM_LIMIT).any():
            raise ValueError("weights too large: float32 could not hold every sum exactly")
        weights = _laid_out(torch.from_numpy(weight))
        self._weights = weights if has_exact_bytes(*weight.shape) else weights.float()

    def __call__(self, inputs: NDArray[np.int8], rows: int | None = None) -> NDArray[np.int32]:
        """Multiply inputs, [n, columns] -> [n, rows]; only the first `rows` rows of the weight if given."""
        weights = self._weights if rows is None else self._weights[:, :rows]
        if weights.dtype == torch.int8:
            return torch._int_mm(torch.from_numpy(inputs), weights).numpy()
        return integers((torch.from_numpy(inputs).float() @ weights).numpy())


def _laid_out(weight: Tensor) -> Tensor:
    """Transpose a weight, [rows, columns] -> [columns, rows], into the layout that is faster for few inputs."""
    return weight.mT.contiguous() if len(weight) < MANY else weight.mT


@functools.cache
def has_exact_bytes(rows: int, columns: int) -> bool:
    """Whether torch multiplies 8-bit integers with weights of this shape, and does so exactly on this CPU.

    Without VNNI instructions, sums of two products saturate, so the test uses the largest possible values.
    """
    draw = torch.Generator().manual_seed(0)
    weight = LARGEST * (2 * torch.randint(2, (rows, columns), generator=draw) - 1)
    try:
        for count in (1, 16, 128):  # one step of one segment, one step of a batch, a block of steps
            inputs = LARGEST * (2 * torch.randint(2, (count, columns), generator=draw) - 1)
            inputs[0] = weight[0]
            product = torch._int_mm(inputs.to(torch.int8), _laid_out(weight.to(torch.int8)))
            if not torch.equal(product.double(), inputs.double() @ weight.double().mT):  # exact below 2 ** 53
                return False
    except (AttributeError, RuntimeError):  # versions or builds of torch without this function
        return False
    return True

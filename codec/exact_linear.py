"""Linear layers of small integers that are exact on every machine."""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray

LARGEST = 127  # absolute value of inputs and weights
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
    """weight @ inputs + bias, in 8-bit integer instructions where these are exact, else in float32.

    Args:
        weight: [rows, columns], -127 to 127.
        bias: [rows]; 127 times the sum of a row's absolute weights, and its bias, stay below SUM_LIMIT together.
    """

    def __init__(self, weight: NDArray[np.int8], bias: NDArray[np.int32]) -> None:
        if (LARGEST * np.abs(weight.astype(np.int64)).sum(axis=1) + np.abs(bias.astype(np.int64)) >= SUM_LIMIT).any():
            raise ValueError("weights of which float32 could not hold every sum")
        weights = torch.from_numpy(weight).mT
        self._weights = weights if has_exact_bytes(*weight.shape) else weights.float()
        self._bias = bias

    def __call__(self, inputs: NDArray[np.int8], rows: int | None = None) -> NDArray[np.int32]:
        """[..., columns] -> [..., rows], or the first `rows` of them."""
        flat = torch.from_numpy(inputs.reshape(-1, inputs.shape[-1]))
        weights, bias = (self._weights, self._bias) if rows is None else (self._weights[:, :rows], self._bias[:rows])
        if weights.dtype == torch.int8:
            product = torch._int_mm(flat, weights).numpy()
        else:
            product = integers((flat.float() @ weights).numpy())
        product += bias
        return product.reshape(*inputs.shape[:-1], -1)


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
            product = torch._int_mm(inputs.to(torch.int8), weight.to(torch.int8).mT)
            if not torch.equal(product.double(), inputs.double() @ weight.double().mT):  # exact below 2 ** 53
                return False
    except (AttributeError, RuntimeError):  # another version or build of torch
        return False
    return True

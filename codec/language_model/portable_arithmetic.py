"""Integer arithmetic around the matrix products of the portable language model: scaling, norms, exponentials.

A single step has so little data that the number of numpy calls determines its time. So there are as few calls as
possible, and constants are 0-dimensional arrays, which numpy does not have to convert.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from earmark.codec.language_model.exact_linear import LARGEST, ExactLinear
from earmark.codec.language_model.portable_layout import FRACTION, RESIDUAL_LIMIT

SHIFT = 28  # factors are fixed-point numbers with 28 fractional bits
NORM_BITS = 44  # fractional bits of the reciprocal square root in a norm
FEW = 32  # values up to which a loop is faster than numpy

Integers = NDArray[np.int64]

HALF = np.array(1 << SHIFT - 1)
WHOLE = np.array(SHIFT)
BYTES = np.array(-LARGEST), np.array(LARGEST)
RESIDUALS = np.array(-RESIDUAL_LIMIT), np.array(RESIDUAL_LIMIT)
GAIN = np.array(FRACTION)
ROOT = np.array(1 << NORM_BITS)
NORMAL = np.array(NORM_BITS - FRACTION)


def square_root(squares: Integers) -> Integers:
    """Integer square roots, rounded down and at least 1."""
    if squares.size <= FEW:
        roots = [math.isqrt(value) or 1 for value in squares.ravel().tolist()]
        return np.array(roots).reshape(squares.shape)
    root = np.sqrt(squares.astype(np.float64)).astype(np.int64)  # at most 1 off, as the next two lines correct
    root -= root * root > squares
    root += (root + 1) * (root + 1) <= squares
    return np.maximum(root, 1)


class Norm:
    """Layer normalisation over the last axis: zero mean, unit variance, then a gain and an offset.

    Args:
        gain: [size], with FRACTION fractional bits, like the result.
        offset: likewise.
    """

    def __init__(self, gain: NDArray[np.integer], offset: NDArray[np.integer]) -> None:
        self._gain, self._offset = gain.astype(np.int64), offset.astype(np.int64)
        self._size = np.array(len(gain))

    def __call__(self, x: Integers) -> Integers:
        centred = x * self._size
        centred -= np.add.reduce(x, axis=-1, keepdims=True)
        variance = np.vecdot(centred, centred)[..., None]
        variance //= self._size
        centred *= ROOT // square_root(variance)
        centred >>= NORMAL
        centred *= self._gain
        centred >>= GAIN
        centred += self._offset
        return centred


class Projection:
    """Linear layer with 8-bit weights and inputs, and the scaling of its inputs and outputs.

    Args:
        weight: [rows, columns], -127 to 127.
        bias: [rows], in the units of the sums of products.
        unit: [columns], factor from the input's fixed point to 8-bit inputs; None if its inputs have 8 bits already.
        factor: [rows], factor from the sums to the output's fixed point; None if only `sums` is used.
    """

    def __init__(
        self,
        weight: NDArray[np.integer],
        bias: NDArray[np.integer],
        unit: NDArray[np.integer] | None,
        factor: NDArray[np.integer] | None,
    ) -> None:
        self._linear = ExactLinear(weight.astype(np.int8))
        self._bias = bias.astype(np.int32)
        self._unit = None if unit is None else unit.astype(np.int64)
        self._factor = None if factor is None else factor.astype(np.int64)
        self._offset = HALF if self._factor is None else bias * self._factor + HALF

    def bytes(self, x: Integers) -> NDArray[np.int8]:
        """Convert fixed-point inputs, [n, columns], to 8-bit inputs."""
        assert self._unit is not None
        return times(x, self._unit, limits=BYTES).astype(np.int8)

    def sums(self, inputs: NDArray[np.int8], rows: int) -> NDArray[np.int32]:
        """Unscaled outputs of the first `rows` rows, [n, columns] -> [n, rows]."""
        sums = self._linear(inputs, rows)
        sums += self._bias[:rows]
        return sums

    def __call__(
        self,
        inputs: NDArray[np.int8],
        shift: NDArray[np.int64] = WHOLE,
        limits: tuple[Integers, Integers] | None = RESIDUALS,
    ) -> Integers:
        """Scaled outputs, [n, columns] -> [n, rows]; see `times` for `shift` and `limits`."""
        assert self._factor is not None
        return times(self._linear(inputs), self._factor, self._offset, shift, limits)


def times(
    x: NDArray[np.integer],
    factor: Integers,
    offset: Integers = HALF,
    shift: NDArray[np.int64] = WHOLE,
    limits: tuple[Integers, Integers] | None = None,
) -> Integers:
    """(x * factor + offset) >> shift, clipped to `limits`; an offset of HALF rounds to the nearest integer."""
    product: Integers = x * factor
    product += offset
    product >>= shift
    if limits is not None:
        np.maximum(product, limits[0], out=product)  # these two calls are faster than np.clip
        np.minimum(product, limits[1], out=product)
    return product


class Exponential:
    """Tables of e ** -x, one for each row of the argument (a head or a codebook).

    Args:
        table: [rows, size].
        shift: [rows], right shift from a difference to an index of the table.
        inner: number of axes after that of the rows.
    """

    def __init__(self, table: NDArray[np.integer], shift: NDArray[np.integer], inner: int) -> None:
        rows, size = table.shape
        shape = (rows, *[1] * inner)
        self._table = table.astype(np.int32).reshape(-1)
        self._last = np.array(size - 1, np.int32)
        self._shift = shift.astype(np.int32).reshape(shape)
        self._start = (np.arange(rows, dtype=np.int32) * size).reshape(shape)

    def __call__(self, x: NDArray[np.int32], rows: int) -> NDArray[np.int32]:
        """Exponential of x minus its maximum along the last axis, for an x with `rows` rows."""
        below = np.maximum.reduce(x, axis=-1, keepdims=True) - x
        below >>= self._shift[:rows]
        np.minimum(below, self._last, out=below)
        below += self._start[:rows]
        return self._table.take(below)

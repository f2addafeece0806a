"""The integer arithmetic between the products of the portable language model: units, norms, exponentials.

A step of few segments is little data, so that it takes as long as its calls of numpy do: constants are arrays of no
dimensions, which numpy need not convert, and everything is done in as few calls as there can be.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from earmark.codec.language_model.exact_linear import LARGEST, ExactLinear
from earmark.codec.language_model.portable_layout import FRACTION, RESIDUAL_LIMIT

SHIFT = 28  # a factor f stands for f / 2 ** SHIFT
NORM_BITS = 44
FEW = 32  # values for which a loop is done before numpy has begun

Integers = NDArray[np.int64]

HALF = np.array(1 << SHIFT - 1)
WHOLE = np.array(SHIFT)
BYTES = np.array(-LARGEST), np.array(LARGEST)
RESIDUALS = np.array(-RESIDUAL_LIMIT), np.array(RESIDUAL_LIMIT)
GAIN = np.array(FRACTION)
ROOT = np.array(1 << NORM_BITS)
NORMAL = np.array(NORM_BITS - FRACTION)


def square_root(squares: Integers) -> Integers:
    """Largest integers whose squares do not exceed `squares`, at least 1."""
    if squares.size <= FEW:
        roots = [math.isqrt(value) or 1 for value in squares.ravel().tolist()]
        return np.array(roots).reshape(squares.shape)
    root = np.sqrt(squares.astype(np.float64)).astype(np.int64)  # right but for 1
    root -= root * root > squares
    root += (root + 1) * (root + 1) <= squares
    return np.maximum(root, 1)


class Norm:
    """Zero mean and unit variance over the last axis, then a gain and an offset.

    Args:
        gain, offset: [size], with FRACTION bits behind the point, as the results have.
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
    """A linear layer between units of its own.

    Args:
        weight, bias: of the layer.
        unit: [columns], factor that turns what it is given into bytes; none if it is given bytes.
        factor: [rows], factor that its sums are multiplied by; none for the sums themselves.
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
        """What it is given, [n, columns], in its units."""
        assert self._unit is not None
        return times(x, self._unit, limits=BYTES).astype(np.int8)

    def sums(self, inputs: NDArray[np.int8], rows: int) -> NDArray[np.int32]:
        """The first `rows`, [n, rows], as they are."""
        sums = self._linear(inputs, rows)
        sums += self._bias[:rows]
        return sums

    def __call__(
        self,
        inputs: NDArray[np.int8],
        shift: NDArray[np.int64] = WHOLE,
        limits: tuple[Integers, Integers] | None = RESIDUALS,
    ) -> Integers:
        """[n, columns] -> [n, rows]; see `times`."""
        assert self._factor is not None
        return times(self._linear(inputs), self._factor, self._offset, shift, limits)


def times(
    x: NDArray[np.integer],
    factor: Integers,
    offset: Integers = HALF,
    shift: NDArray[np.int64] = WHOLE,
    limits: tuple[Integers, Integers] | None = None,
) -> Integers:
    """(x * factor + offset) / 2 ** shift, rounded down, which an offset of HALF makes nearest, within the limits."""
    product: Integers = x * factor
    product += offset
    product >>= shift
    if limits is not None:
        np.maximum(product, limits[0], out=product)  # both together are done before np.clip is
        np.minimum(product, limits[1], out=product)
    return product


class Exponential:
    """A table of e ** -x for each row of its argument.

    Args:
        table: [rows, size].
        shift: [rows], by which differences are shifted to become indices.
        inner: axes behind that of the rows.
    """

    def __init__(self, table: NDArray[np.integer], shift: NDArray[np.integer], inner: int) -> None:
        rows, size = table.shape
        shape = (rows, *[1] * inner)
        self._table = table.astype(np.int32).reshape(-1)
        self._last = np.array(size - 1, np.int32)
        self._shift = shift.astype(np.int32).reshape(shape)
        self._start = (np.arange(rows, dtype=np.int32) * size).reshape(shape)

    def __call__(self, x: NDArray[np.int32], rows: int) -> NDArray[np.int32]:
        """Of how far x, with `rows` rows, lies below its largest along the last axis."""
        below = np.maximum.reduce(x, axis=-1, keepdims=True) - x
        below >>= self._shift[:rows]
        np.minimum(below, self._last, out=below)
        below += self._start[:rows]
        return self._table.take(below)

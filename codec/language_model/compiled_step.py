"""A step of the integer language model for several segments in one compiled function: the numbers of PortableModel.

A step has so little data that in numpy the calls take most of its time. All is integer arithmetic, so that no order of
operations can change a result.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from earmark.codec.language_model.compiled_layout import HALF, Bytes, Integers, Linear, Model
from earmark.codec.language_model.exact_linear import LARGEST
from earmark.codec.language_model.packed_products import DEPTH, OFFSET, ROWS, multiply
from earmark.codec.language_model.portable_arithmetic import NORM_BITS, SHIFT
from earmark.codec.language_model.portable_layout import FRACTION, GELU_BITS, RESIDUAL_LIMIT, WEIGHT_BITS
from earmark.codec.language_model.portable_model import Frequencies

INDEX = SHIFT + FRACTION - GELU_BITS  # shift from a sum of products to an index of the table of GELU


class CompiledSteps:
    """The steps of a batch of segments, one after the other.

    Args:
        model: from `laid_out`.
        heads, context: of the model's configuration.
        batch: number of segments B.
        codebooks: number of codebooks that are coded.
        steps: maximum number of steps per segment.
    """

    def __init__(self, model: Model, heads: int, context: int, batch: int, codebooks: int, steps: int) -> None:
        self._model, self._context, self._steps = model, context, 0
        layers, size = model.norm1.shape[0], model.norm_in.shape[1]
        shape = (layers, batch, heads, size // heads, 1 + steps)
        self._keys, self._values = np.zeros(shape, np.int8), np.zeros(shape, np.int8)
        codewords = model.embedding.shape[1] - 1
        # The head is computed for whole pairs of blocks; what lies beyond the codebooks is not used.
        self._head = model.head[: 2 * -(-codebooks * codewords // (2 * ROWS))]
        self._cumulative = np.zeros((batch, codebooks, codewords), np.int32)
        _start(model.attend, self._keys, self._values)

    def cumulative(self, previous: Integers) -> Frequencies:
        """Cumulative frequencies of the next step, [B, codebooks, codebook_size]; valid until the next call.

        Args:
            previous: codes + 1 of the step before, [B, codebooks]; 0 if there is none.
        """
        _step(self._model, self._head, previous, self._keys, self._values, self._steps, self._context, self._cumulative)
        self._steps += 1
        return self._cumulative


@njit(cache=True, error_model="numpy")
def _root(square: np.int64) -> np.int64:
    """Integer square root, rounded down and at least 1."""
    root = np.int64(np.sqrt(np.float64(square)))  # at most 1 off, as the next two lines correct
    if root * root > square:
        root -= 1
    if (root + 1) * (root + 1) <= square:
        root += 1
    return max(root, np.int64(1))


@njit(cache=True, error_model="numpy")
def _normalise(x: Integers, norm: Integers) -> None:
    """Layer normalisation of [D] in place."""
    total, square = np.int64(0), np.int64(0)
    for channel in range(x.size):
        total += x[channel]
    for channel in range(x.size):
        x[channel] = x[channel] * x.size - total
        square += x[channel] * x[channel]
    scale = np.int64(1 << NORM_BITS) // _root(square // np.int64(x.size))
    for channel in range(x.size):
        x[channel] = (((x[channel] * scale >> NORM_BITS - FRACTION) * norm[0, channel]) >> FRACTION) + norm[1, channel]


@njit(cache=True, error_model="numpy")
def _to_bytes(x: Integers, unit: Integers, result: NDArray[np.uint8]) -> None:
    """Inputs of a product, from fixed point."""
    for column in range(unit.size):
        scaled = (x[column] * unit[column] + HALF) >> SHIFT
        result[column] = np.uint8(min(max(scaled, -LARGEST), LARGEST) + OFFSET)


@njit(cache=True, error_model="numpy")
def _scaled(sum_: int, factor: int, offset: int, limit: int) -> int:
    return min(max((sum_ * factor + offset) >> SHIFT, -limit), limit)


@njit(cache=True, error_model="numpy")
def _remember(
    sums: NDArray[np.int32], factor: Integers, offset: Integers, keys: Bytes, values: Bytes, at: int, queries: Bytes
) -> None:  # fmt: skip
    """Store the keys and values of a step; `queries` is [heads, width], `keys` and `values` [heads, width, steps]."""
    heads, width = queries.shape
    size = heads * width
    for head in range(heads):
        for channel in range(width):
            row = head * width + channel
            queries[head, channel] = _scaled(sums[row], factor[row], offset[row], LARGEST)
            row += size
            keys[head, channel, at] = _scaled(sums[row], factor[row], offset[row], LARGEST)
            row += size
            values[head, channel, at] = _scaled(sums[row], factor[row], offset[row], LARGEST)


@njit(cache=True, error_model="numpy")
def _attend(
    query: Bytes, keys: Bytes, values: Bytes, start: int, end: int, table: NDArray[np.int32], shift: int,
    weights: NDArray[np.int32], mixed: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Attention of one head: `query` [width] to `keys` and `values` [width, steps] from `start` to before `end`."""
    count = end - start
    scores = weights[:count]  # compilers vectorise loops whose index is that of the array
    scores[:] = 0
    for channel in range(query.size):
        factor, line = np.int32(query[channel]), keys[channel, start:end]
        for index in range(count):
            scores[index] = np.int32(scores[index] + factor * np.int32(line[index]))
    highest = np.int32(-(1 << 31))
    for index in range(count):
        highest = max(highest, scores[index])
    last, total = np.int32(table.size - 1), np.int32(0)
    for index in range(count):
        scores[index] = table[min(np.int32(highest - scores[index]) >> shift, last)]
        total = np.int32(total + scores[index])
    share = np.int32(np.int32(1 << 2 * WEIGHT_BITS) // total)
    for index in range(count):
        scores[index] = np.int32(scores[index] * share) >> WEIGHT_BITS
    for channel in range(query.size):
        sum_, line = np.int32(1 << WEIGHT_BITS - 1), values[channel, start:end]
        for index in range(count):
            sum_ = np.int32(sum_ + scores[index] * np.int32(line[index]))
        mixed[channel] = np.uint8((sum_ >> WEIGHT_BITS) + OFFSET)


@njit(cache=True, error_model="numpy")
def _start(attend: Linear, keys: Bytes, values: Bytes) -> None:
    """Store the projections of the vector of zeros that precedes each segment."""
    layers, batch, heads, width, _ = keys.shape
    inputs = np.full((1, attend.weight.shape[2] * DEPTH), np.uint8(OFFSET))
    sums = np.empty((1, attend.weight.shape[1] * ROWS), np.int32)
    queries = np.empty((heads, width), np.int8)
    for layer in range(layers):
        multiply(attend.weight[layer], inputs, sums)
        for segment in range(batch):
            _remember(
                sums[0], attend.factor[layer], attend.offset[layer], keys[layer, segment], values[layer, segment], 0,
                queries,
            )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _cumulate(
    sums: NDArray[np.int32], offset: NDArray[np.int32], table: NDArray[np.int32], shift: int, result: NDArray[np.int32]
) -> None:  # fmt: skip
    """Cumulative frequencies of a codebook from the head's sums of products."""
    highest = np.int32(-(1 << 31))
    for codeword in range(result.size):
        result[codeword] = np.int32(sums[codeword] + offset[codeword])
        highest = max(highest, result[codeword])
    last, total = np.int32(table.size - 1), np.int32(0)
    for codeword in range(result.size):
        total = np.int32(total + table[min(np.int32(highest - result[codeword]) >> shift, last)])
        result[codeword] = total


@njit(cache=True, error_model="numpy")
def _step(
    model: Model, head: Bytes, previous: Integers, keys: Bytes, values: Bytes, step: int, context: int,
    cumulative: NDArray[np.int32],
) -> None:  # fmt: skip
    """See `CompiledSteps.cumulative`."""
    layers, batch, heads, width, _ = keys.shape
    size, codebooks = heads * width, previous.shape[1]
    x = np.zeros((batch, size), np.int64)
    narrow = np.zeros((batch, model.attend.weight.shape[2] * DEPTH), np.uint8)
    wide = np.zeros((batch, model.contract.weight.shape[2] * DEPTH), np.uint8)
    sums = np.empty((batch, model.attend.weight.shape[1] * ROWS), np.int32)
    hidden = np.empty((batch, model.expand.weight.shape[1] * ROWS), np.int32)
    added = np.empty((batch, model.join.weight.shape[1] * ROWS), np.int32)
    logits = np.empty((batch, head.shape[0] * ROWS), np.int32)
    queries = np.empty((heads, width), np.int8)
    weights = np.empty(keys.shape[4], np.int32)
    end = step + 2  # the vector before the segment, and this step
    start = max(0, end - 1 - context)
    for segment in range(batch):
        for codebook in range(codebooks):
            for channel in range(size):
                x[segment, channel] += model.embedding[codebook, previous[segment, codebook], channel]
        _normalise(x[segment], model.norm_in)
        for channel in range(size):
            x[segment, channel] += model.positions[step, channel]
    for layer in range(layers):
        for segment in range(batch):
            _to_bytes(x[segment], model.attend.unit[layer], narrow[segment])
        multiply(model.attend.weight[layer], narrow, sums)
        for segment in range(batch):
            _remember(
                sums[segment], model.attend.factor[layer], model.attend.offset[layer], keys[layer, segment],
                values[layer, segment], end - 1, queries,
            )  # fmt: skip
            for number in range(heads):
                _attend(
                    queries[number], keys[layer, segment, number], values[layer, segment, number], start, end,
                    model.softmax_table[layer, number], model.softmax_shift[layer, number], weights,
                    narrow[segment, number * width : (number + 1) * width],
                )  # fmt: skip
        multiply(model.join.weight[layer], narrow, added)
        for segment in range(batch):
            for channel in range(size):
                x[segment, channel] += _scaled(
                    added[segment, channel], model.join.factor[layer, channel], model.join.offset[layer, channel],
                    RESIDUAL_LIMIT,
                )  # fmt: skip
            _normalise(x[segment], model.norm1[layer])
            _to_bytes(x[segment], model.expand.unit[layer], narrow[segment])
        multiply(model.expand.weight[layer], narrow, hidden)
        for segment in range(batch):
            for channel in range(model.contract.unit.shape[1]):
                argument = hidden[segment, channel] * model.expand.factor[layer, channel]
                argument = (argument + model.expand.offset[layer, channel]) >> INDEX
                index = min(max(argument + model.gelu.size // 2, 0), model.gelu.size - 1)
                value = (model.gelu[index] * model.contract.unit[layer, channel] + HALF) >> SHIFT
                wide[segment, channel] = np.uint8(min(max(value, -LARGEST), LARGEST) + OFFSET)
        multiply(model.contract.weight[layer], wide, added)
        for segment in range(batch):
            for channel in range(size):
                x[segment, channel] += _scaled(
                    added[segment, channel], model.contract.factor[layer, channel],
                    model.contract.offset[layer, channel], RESIDUAL_LIMIT,
                )  # fmt: skip
            _normalise(x[segment], model.norm2[layer])
    for segment in range(batch):
        _to_bytes(x[segment], model.head_unit, narrow[segment])
    multiply(head, narrow, logits)
    codewords = cumulative.shape[2]
    for segment in range(batch):
        for codebook in range(codebooks):
            first = codebook * codewords
            _cumulate(
                logits[segment, first : first + codewords], model.head_offset[first : first + codewords],
                model.head_table[codebook], model.head_shift[codebook], cumulative[segment, codebook],
            )  # fmt: skip

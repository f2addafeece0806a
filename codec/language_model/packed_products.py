"""Products of 8-bit weights with the inputs of several segments, compiled for processors with instructions for them.

The instruction VPDPBUSD multiplies 64 pairs of bytes and adds them, four by four, to 16 sums of 32 bits, without
saturation. Weights are stored in the order in which it takes them, and each is read once for up to eight segments.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

ROWS, DEPTH = 16, 4  # rows and columns of the weights that one instruction takes
OFFSET = 128  # added to inputs, which the instruction takes without sign

INDEX, BYTE, WORD = ir.IntType(64), ir.IntType(8), ir.IntType(32)
SUMS = ir.VectorType(WORD, ROWS)


def is_supported() -> bool:
    """Whether this processor has the instruction for 64 bytes."""
    return bool(binding.get_host_cpu_features().get("avx512vnni", False))


def packed(weight: NDArray[np.int8]) -> NDArray[np.int8]:
    """Weights [rows, columns] as [blocks of ROWS, groups of DEPTH, ROWS * DEPTH], padded with zeros.

    The number of blocks is even, as `multiply` takes two at a time.
    """
    rows, columns = weight.shape
    blocks, groups = 2 * -(-rows // (2 * ROWS)), -(-columns // DEPTH)
    padded = np.zeros((blocks * ROWS, groups * DEPTH), np.int8)
    padded[:rows, :columns] = weight
    return np.ascontiguousarray(
        padded.reshape(blocks, ROWS, groups, DEPTH).swapaxes(1, 2).reshape(blocks, groups, ROWS * DEPTH)
    )


def _tile(segments: int) -> Any:
    """A function that computes the sums of two blocks of rows for some segments, all in registers."""

    @intrinsic
    def compute(context: Any, weights: Any, inputs: Any, sums: Any, block: Any, segment: Any) -> Any:
        """Arguments: weights [blocks, groups, 64], inputs [B, columns], sums [B, rows]; all contiguous."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            arrays = [
                context.make_array(kind)(context, builder, value)
                for kind, value in zip(signature.args[:3], arguments[:3], strict=True)
            ]
            _generate(builder, arrays, arguments[3:], segments)
            return context.get_dummy_value()

        return types.void(weights, inputs, sums, block, segment), generate

    return compute


def _generate(builder: Any, arrays: list[Any], first: list[Any], segments: int) -> None:
    """The loop over groups of columns in LLVM's intermediate representation."""
    weights, inputs, sums = arrays
    groups = cgutils.unpack_tuple(builder, weights.shape)[1]
    columns, rows = (cgutils.unpack_tuple(builder, one.shape)[1] for one in (inputs, sums))
    block, segment = first
    step = builder.mul(groups, INDEX(ROWS * DEPTH))
    starts = [builder.gep(weights.data, [builder.mul(builder.add(block, INDEX(index)), step)]) for index in (0, 1)]
    lines = [
        builder.gep(inputs.data, [builder.mul(builder.add(segment, INDEX(index)), columns)])
        for index in range(segments)
    ]
    name = "llvm.x86.avx512.vpdpbusd.512"
    multiply = cgutils.get_or_insert_function(builder.module, ir.FunctionType(SUMS, [SUMS, *_operands()]), name)
    before = builder.block
    loop, after = (builder.append_basic_block(name) for name in ("groups", "done"))
    builder.branch(loop)
    builder.position_at_end(loop)
    group = builder.phi(INDEX)
    group.add_incoming(INDEX(0), before)
    totals = [[builder.phi(SUMS) for _ in starts] for _ in range(segments)]
    pieces = [_loaded(builder, start, builder.mul(group, INDEX(ROWS * DEPTH)), _operands()[1]) for start in starts]
    for line, row in zip(lines, totals, strict=True):
        piece = _in_all_lanes(builder, _loaded(builder, line, builder.mul(group, INDEX(DEPTH)), WORD))
        piece = builder.bitcast(piece, _operands()[0])
        for total, weight in zip(row, pieces, strict=True):
            total.add_incoming(SUMS([0] * ROWS), before)
            total.add_incoming(builder.call(multiply, [total, piece, weight]), loop)
    following = builder.add(group, INDEX(1))
    group.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, groups), loop, after)
    builder.position_at_end(after)
    for index, row in enumerate(totals):
        for number, total in enumerate(row):
            at = builder.add(
                builder.mul(builder.add(segment, INDEX(index)), rows),
                builder.mul(builder.add(block, INDEX(number)), INDEX(ROWS)),
            )
            place = builder.bitcast(builder.gep(sums.data, [at]), SUMS.as_pointer())
            builder.store(total.incomings[1][0], place).align = 4


def _operands() -> tuple[ir.VectorType, ir.VectorType]:
    """Types of inputs and weights in LLVM's function for the instruction, which changed with LLVM 21."""
    kind = ir.VectorType(BYTE, ROWS * DEPTH) if binding.llvm_version_info >= (21, 0, 0) else SUMS
    return kind, kind


def _loaded(builder: Any, start: Any, offset: Any, kind: Any) -> Any:
    """A value from a number of bytes behind an address, aligned for one byte only."""
    value = builder.load(builder.bitcast(builder.gep(start, [offset]), kind.as_pointer()))
    value.align = 1
    return value


def _in_all_lanes(builder: Any, value: Any) -> Any:
    undefined = ir.Constant(SUMS, ir.Undefined)
    first = builder.insert_element(undefined, value, WORD(0))
    return builder.shuffle_vector(first, undefined, ir.VectorType(WORD, ROWS)([0] * ROWS))


_eight_segments, _four_segments, _one_segment = _tile(8), _tile(4), _tile(1)


@njit(cache=True)
def multiply(weights: NDArray[np.int8], inputs: NDArray[np.uint8], sums: NDArray[np.int32]) -> None:
    """Multiply all segments: sums[b, r] = sum of weights[r, c] * inputs[b, c] over the columns.

    Args:
        weights: from `packed`.
        inputs: [B, groups * DEPTH].
        sums: [B, blocks * ROWS], the result.
    """
    batch = inputs.shape[0]
    for block in range(0, weights.shape[0], 2):
        segment = 0
        while segment < batch:
            if batch - segment >= 8:
                _eight_segments(weights, inputs, sums, block, segment)
                segment += 8
            elif batch - segment >= 4:
                _four_segments(weights, inputs, sums, block, segment)
                segment += 4
            else:
                _one_segment(weights, inputs, sums, block, segment)
                segment += 1

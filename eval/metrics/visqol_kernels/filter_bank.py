"""The gammatone filter bank of ViSQOL, eight bands side by side in the lanes of vector registers.

A recursive filter cannot be vectorised over time, and compilers do not vectorise the loop over bands by themselves: the
state of the filters has to stay in registers. The loop over samples is therefore given to LLVM as vector instructions,
which it lowers to whatever the processor has. Every lane does the operations of the library in their order, without
fused multiply-add and without reassociation, so that the results are equal to the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray
from visqol.analysis_window import AnalysisWindow
from visqol.gammatone import SPEECH_MODE_MAX_FREQ, make_erb_filters

LANES = 8  # bands at once; 4 and 16 were slower on AVX-512 and AVX2
STAGES = 4  # second-order sections in cascade

# Rows of the coefficients: b0 of the first section (divided by the gain) and of the others, b1 of each section, and the
# feedback a1 and -a2 that all sections share. b2 is 0 in this filter bank.
FIRST_B0, B0, FIRST_B1, A1, MINUS_A2, ROWS = 0, 1, 2, 6, 7, 8

VECTOR = ir.VectorType(ir.DoubleType(), LANES)
INDEX = ir.IntType(64)


def coefficients(sample_rate: int, bands: int, lowest: float, *, speech_mode: bool) -> NDArray[np.float64]:
    """The library's filters as [groups, ROWS, LANES], in the order of the bands of its spectrogram."""
    highest = SPEECH_MODE_MAX_FREQ if speech_mode else sample_rate / 2
    a0, a11, a12, a13, a14, _, _, b1, b2, gain = make_erb_filters(
        sample_rate, bands, lowest, highest
    ).filter_coeffs[:, ::-1]  # fmt: skip
    packed = np.zeros((-(-bands // LANES) * LANES, ROWS))  # lanes without a band yield zeros
    packed[:bands] = np.column_stack([a0 / gain, a0, a11 / gain, a12, a13, a14, b1, -b2])
    return np.ascontiguousarray(packed.reshape(-1, LANES, ROWS).swapaxes(1, 2))


def amplitudes(signal: NDArray[np.float64], window: AnalysisWindow, filters: NDArray[np.float64], bands: int) -> (
    NDArray[np.float64]
):  # fmt: skip
    """Root mean square of each band in each windowed frame, [bands, frames].

    Args:
        signal: [time], longer than the window.
        window: gives the length of a frame, the hop and the Hann window.
        filters: from `coefficients`.
        bands: how many of the lanes are bands.
    """
    hop = window.hop_size
    frames = 1 + (signal.size - window.size) // hop
    result: NDArray[np.float64] = _spectrogram(
        np.ascontiguousarray(signal), window.hann_window, filters, hop, bands, frames
    )
    return result


@intrinsic
def _energies(typing_context: Any, frame: Any, filters: Any, energies: Any) -> Any:
    """Filter `frame` [time] by `filters` [ROWS, LANES], and store each lane's sum of squares in `energies` [LANES].

    All three are contiguous arrays of float64, and `frame` is not empty. Direct form II transposed, as in the library:
    y = b0 x + z0; z0 = b1 x - a1 y + z1; z1 = b2 x - a2 y, where b2 x is zero and left out.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        arrays = [
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args, arguments, strict=True)
        ]
        _generate_loop(builder, *arrays)
        return context.get_dummy_value()

    return types.void(frame, filters, energies), generate


def _generate_loop(builder: Any, frame: Any, filters: Any, energies: Any) -> None:
    """The loop over the samples of a frame in LLVM's intermediate representation."""
    rows = builder.bitcast(filters.data, VECTOR.as_pointer())
    row = [_load(builder, builder.gep(rows, [INDEX(index)])) for index in range(ROWS)]
    samples = cgutils.unpack_tuple(builder, frame.shape)[0]
    before, loop, after = builder.block, *(builder.append_basic_block(name) for name in ("samples", "done"))
    builder.branch(loop)
    builder.position_at_end(loop)
    position = builder.phi(INDEX)
    position.add_incoming(INDEX(0), before)
    states = [builder.phi(VECTOR) for _ in range(2 * STAGES + 1)]  # z0 and z1 of each section, and the energy
    for state in states:
        state.add_incoming(VECTOR([0.0] * LANES), before)
    signal = _in_all_lanes(builder, builder.load(builder.gep(frame.data, [position])))
    following = []
    for stage in range(STAGES):
        b0, b1 = row[B0 if stage else FIRST_B0], row[FIRST_B1 + stage]
        filtered = builder.fadd(builder.fmul(b0, signal), states[2 * stage])
        feedback = builder.fsub(builder.fmul(b1, signal), builder.fmul(row[A1], filtered))
        following.append(builder.fadd(feedback, states[2 * stage + 1]))
        following.append(builder.fmul(row[MINUS_A2], filtered))
        signal = filtered
    following.append(builder.fadd(states[-1], builder.fmul(signal, signal)))
    for state, value in zip(states, following, strict=True):
        state.add_incoming(value, loop)
    next_position = builder.add(position, INDEX(1))
    position.add_incoming(next_position, loop)
    builder.cbranch(builder.icmp_signed("<", next_position, samples), loop, after)
    builder.position_at_end(after)
    builder.store(following[-1], builder.bitcast(energies.data, VECTOR.as_pointer())).align = 8


def _load(builder: Any, pointer: Any) -> Any:
    """A vector from memory that is aligned for one double only."""
    vector = builder.load(pointer)
    vector.align = 8
    return vector


def _in_all_lanes(builder: Any, value: Any) -> Any:
    undefined = ir.Constant(VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.IntType(32)(0))
    return builder.shuffle_vector(first, undefined, ir.VectorType(ir.IntType(32), LANES)([0] * LANES))


@njit(cache=True)
def _spectrogram(
    signal: NDArray[np.float64], hann: NDArray[np.float64], filters: NDArray[np.float64], hop: int, bands: int,
    frames: int,
) -> NDArray[np.float64]:  # fmt: skip
    """See `amplitudes`; the filters start at zero in every frame."""
    result = np.empty((bands, frames))
    frame = np.empty(hann.size)
    energies = np.empty(LANES)
    for index in range(frames):
        for sample in range(hann.size):
            frame[sample] = signal[index * hop + sample] * hann[sample]
        for group in range(filters.shape[0]):
            _energies(frame, filters[group], energies)  # type: ignore[call-arg]  # numba passes the first
            for lane in range(min(LANES, bands - group * LANES)):
                result[group * LANES + lane, index] = np.sqrt(energies[lane] / hann.size)
    return result

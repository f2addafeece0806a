"""Quantisation of a float language model to the integers of portable_model.py.

It needs no data: the range of each channel follows from the norm before it, whose outputs have unit variance apart from
gain and offset. Sums are correctly rounded (math.fsum), so the same weights give the same integers on every machine.
Only the tables depend on the C library's exp, erf, sin and cos, and their rounding to integers hides its differences.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from earmark.codec.errors import UserError
from earmark.codec.language_model.exact_linear import LARGEST, SUM_LIMIT
from earmark.codec.language_model.network import PERIOD, LanguageModel
from earmark.codec.language_model.portable_arithmetic import SHIFT
from earmark.codec.language_model.portable_layout import (
    FRACTION,
    FREQUENCY_BITS,
    GELU_BITS,
    GELU_RANGE,
    HEAD_TABLE,
    MOST_STEPS,
    SOFTMAX_TABLE,
    WEIGHT_BITS,
)
from earmark.codec.language_model.portable_model import PortableModel

SPREAD = 5.0  # standard deviations that 8 bits span; values beyond are clipped
EMBEDDING_LIMIT = 1 << 13  # largest absolute value in the embeddings

Reals = NDArray[np.float64]
Tensors = dict[str, NDArray[np.integer]]


def quantized(model: LanguageModel) -> PortableModel:
    """Convert a float model to an integer one.

    Raises:
        UserError: if a weight is not finite, or if the shape or gains exceed the bounds of the integer arithmetic.
    """
    config = model.config
    state = {name: value.double().cpu().numpy() for name, value in model.state_dict().items()}
    for name, values in state.items():
        if not np.isfinite(values).all():
            raise UserError(f"language model: {name} contains NaN or infinity; train it again")
    tensors = _embedding(state, config.codebooks)
    tensors |= _norm(state, "transformer.norm_in", "norm_in")
    tensors["positions"] = _fixed(_positions(config.dimension), FRACTION, np.int16)
    tensors["gelu.table"] = _gelu_table()
    inputs = _Inputs(state["transformer.norm_in.weight"], state["transformer.norm_in.bias"])
    inputs = _Inputs(np.sqrt(inputs.gain**2 + 0.5), inputs.offset)  # sinusoidal positions add a variance of 1/2
    for layer in range(config.layers):
        inputs = _layer(state, f"transformer.layers.{layer}", f"layers.{layer}", inputs, config.heads, tensors)
    weight = np.concatenate([state[f"linears.{k}.weight"] for k in range(config.codebooks)])
    bias = np.concatenate([state[f"linears.{k}.bias"] for k in range(config.codebooks)])
    scales = _linear(weight, bias, inputs.unit, "head", tensors, config.codebooks)
    scales = scales.reshape(config.codebooks, -1)[:, 0]
    shifts, table = _exponentials(scales, FREQUENCY_BITS, HEAD_TABLE)
    tensors["head.shift"], tensors["head.table"] = shifts, np.maximum(table, 1)
    tensors["head.unit"] = _factor(2.0**-FRACTION / inputs.unit)
    try:
        return PortableModel(config, tensors)
    except ValueError as error:
        raise UserError(f"language model: {error}; train one in the paper's shape") from error


class _Inputs:
    """Distribution of the inputs of a linear layer.

    Attributes:
        gain: standard deviation of each channel.
        offset: mean of each channel.
        unit: value that 1 in the 8-bit input of each channel stands for.
    """

    def __init__(self, gain: Reals, offset: Reals) -> None:
        self.gain, self.offset = gain, offset
        self.unit = np.maximum(np.abs(offset) + SPREAD * np.abs(gain), 1e-6) / LARGEST

    def outputs(self, weight: Reals, bias: Reals) -> tuple[Reals, Reals]:
        """Mean and standard deviation of weight @ inputs + bias."""
        mean = np.array([math.fsum(row) for row in (weight * self.offset).tolist()]) + bias
        variance = np.array([math.fsum(row) for row in np.square(weight * self.gain).tolist()])
        return mean, np.sqrt(variance)


def _layer(
    state: dict[str, Reals], source: str, name: str, inputs: _Inputs, heads: int, tensors: Tensors
) -> _Inputs:  # fmt: skip
    """Quantise layer `source` of the float model to the tensors `name`.

    Args:
        state: weights of the float model.
        inputs: distribution of the layer's inputs.
        heads: number of attention heads.
        tensors: receives the tensors of the layer.

    Returns:
        Distribution of the layer's outputs.
    """
    _attention(state, source, name, inputs, heads, tensors)
    tensors |= _norm(state, f"{source}.norm1", f"{name}.norm1")
    inputs = _Inputs(state[f"{source}.norm1.weight"], state[f"{source}.norm1.bias"])
    _feed_forward(state, source, name, inputs, tensors)
    tensors |= _norm(state, f"{source}.norm2", f"{name}.norm2")
    return _Inputs(state[f"{source}.norm2.weight"], state[f"{source}.norm2.bias"])


def _attention(
    state: dict[str, Reals], source: str, name: str, inputs: _Inputs, heads: int, tensors: Tensors
) -> None:  # fmt: skip
    """Quantise the attention of a layer."""
    weight, bias = state[f"{source}.self_attn.in_proj_weight"], state[f"{source}.self_attn.in_proj_bias"]
    mean, deviation = inputs.outputs(weight, bias)
    span = np.abs(mean) + SPREAD * deviation
    query, key, value = np.split(np.maximum(span, 1e-6) / LARGEST, 3)
    width = len(query) // heads
    # A product of query and key sums the channels of a head, so these need a common unit.
    query, key = (unit.reshape(heads, width).max(axis=1) for unit in (query, key))
    units = np.concatenate([np.repeat(query, width), np.repeat(key, width), value])
    scales = _linear(weight, bias, inputs.unit, f"{name}.attend", tensors)
    tensors[f"{name}.attend.unit"] = _factor(2.0**-FRACTION / inputs.unit)
    tensors[f"{name}.attend.factor"] = _factor(scales / units)
    shifts, table = _exponentials(query * key / math.sqrt(width), WEIGHT_BITS, SOFTMAX_TABLE)
    table[:, -1] = 0  # for all differences beyond the table
    tensors[f"{name}.softmax.shift"], tensors[f"{name}.softmax.table"] = shifts, table
    _to_residual(state, f"{source}.self_attn.out_proj", f"{name}.join", value, tensors)


def _feed_forward(state: dict[str, Reals], source: str, name: str, inputs: _Inputs, tensors: Tensors) -> None:
    """Quantise the feed-forward network of a layer."""
    weight, bias = state[f"{source}.linear1.weight"], state[f"{source}.linear1.bias"]
    _to_residual(state, f"{source}.linear1", f"{name}.expand", inputs.unit, tensors)
    tensors[f"{name}.expand.unit"] = _factor(2.0**-FRACTION / inputs.unit)
    mean, deviation = inputs.outputs(weight, bias)
    hidden = np.maximum(mean + SPREAD * deviation, 0.25) / LARGEST  # GELU is never below -0.17
    _to_residual(state, f"{source}.linear2", f"{name}.contract", hidden, tensors)
    tensors[f"{name}.contract.unit"] = _factor(2.0**-FRACTION / hidden)


def _to_residual(state: dict[str, Reals], source: str, name: str, units: Reals, tensors: Tensors) -> None:
    """Quantise a linear layer whose outputs are added to the residual stream or looked up, with FRACTION bits."""
    scales = _linear(state[f"{source}.weight"], state[f"{source}.bias"], units, name, tensors)
    tensors[f"{name}.factor"] = _factor(scales * 2.0**FRACTION)


def _linear(weight: Reals, bias: Reals, units: Reals, name: str, tensors: Tensors, groups: int | None = None) -> Reals:
    """Quantise a weight to 8 bits, and its bias to the scale of the products.

    Rows for which float32 could not hold every sum get a larger scale.

    Args:
        weight: [rows, columns].
        bias: [rows].
        units: value that 1 in each 8-bit input stands for, [columns].
        name: name of the tensors `weight` and `bias` to add.
        tensors: receives them.
        groups: number of groups of consecutive rows with a common scale; None gives each row its own.

    Returns:
        Value that 1 in the output of each row stands for, [rows].
    """
    scaled = weight * units
    largest = np.abs(scaled).max(axis=1)
    if groups is not None:
        largest = np.repeat(largest.reshape(groups, -1).max(axis=1), len(largest) // groups)
    scales = np.maximum(largest, 1e-12) / LARGEST
    while True:
        rows, offsets = np.rint(scaled / scales[:, None]), np.rint(bias / scales)
        reach = LARGEST * np.abs(rows).sum(axis=1) + np.abs(offsets)
        if (reach < SUM_LIMIT).all():
            break
        scales = scales * np.where(reach < SUM_LIMIT, 1.0, 1.25)
        if groups is not None:
            scales = np.repeat(scales.reshape(groups, -1).max(axis=1), len(scales) // groups)
    tensors[f"{name}.weight"], tensors[f"{name}.bias"] = rows.astype(np.int8), offsets.astype(np.int32)
    return scales


def _embedding(state: dict[str, Reals], codebooks: int) -> Tensors:
    """Quantise the embeddings to 14 bits; the norm after them cancels their scale."""
    tables = np.stack([state[f"emb.{k}.weight"] for k in range(codebooks)])
    scale = EMBEDDING_LIMIT / max(np.abs(tables).max(), 1e-12)
    return {"embedding": np.rint(tables * scale).astype(np.int16)}


def _norm(state: dict[str, Reals], source: str, name: str) -> Tensors:
    """Quantise gain and offset of a layer normalisation."""
    return {
        f"{name}.gain": _fixed(state[f"{source}.weight"], FRACTION, np.int32),
        f"{name}.offset": _fixed(state[f"{source}.bias"], FRACTION, np.int32),
    }


def _exponentials(scales: Reals, bits: int, size: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Tables of 2 ** bits * exp(-x) with the index (x / scale) >> shift.

    The shift makes the last value about 1, or makes the table cover all differences that can occur.

    Args:
        scales: value that a difference of 1 stands for, one per table.
        bits: fractional bits of the values.
        size: values per table.

    Returns:
        Shifts, [tables], and tables, [tables, size].
    """
    wanted = bits * math.log(2) / (size - 1)  # in x per index
    most = (SUM_LIMIT // size).bit_length()  # differences are below 2 * SUM_LIMIT
    shifts = [min(max(0, math.ceil(math.log2(wanted / scale))), most) for scale in scales.tolist()]
    table = [
        [round(2**bits * math.exp(-index * scale * 2**shift)) for index in range(size)]
        for scale, shift in zip(scales.tolist(), shifts, strict=True)
    ]
    return np.array(shifts, np.int32), np.array(table, np.int32)


def _gelu_table() -> NDArray[np.int32]:
    """GELU at the centre of every interval of its argument, x Phi(x) with Phi the normal distribution function."""
    half = GELU_RANGE << GELU_BITS
    arguments = [(index + 0.5) / (1 << GELU_BITS) for index in range(-half, half)]
    return np.array([round((1 << FRACTION) * x * 0.5 * (1 + math.erf(x / math.sqrt(2)))) for x in arguments], np.int32)


def _positions(dimension: int) -> Reals:
    """Position channels, [MOST_STEPS, dimension]; the same as `network.positions`, in float64."""
    half = dimension // 2
    phases = [[time / PERIOD ** (index / (half - 1)) for index in range(half)] for time in range(MOST_STEPS)]
    return np.array([[f(phase) for f in (math.cos, math.sin) for phase in row] for row in phases])


def _fixed(values: Reals, bits: int, dtype: type[np.integer]) -> NDArray[np.integer]:
    """Fixed-point numbers with `bits` fractional bits, clipped to the range of `dtype`."""
    limits = np.iinfo(dtype)
    return np.rint(values * 2.0**bits).clip(limits.min, limits.max).astype(dtype)


def _factor(values: Reals) -> NDArray[np.int32]:
    """Factors with SHIFT fractional bits."""
    return np.rint(values * 2.0**SHIFT).clip(0, (1 << 31) - 1).astype(np.int32)

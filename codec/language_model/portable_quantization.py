"""From a float language model to the integers of codec/portable_model.py.

No data are needed: what each channel spans follows from the norm in front of it, whose outputs have unit variance but
for gain and offset. All sums are rounded correctly (math.fsum), so that the same weights give the same integers
wherever they are converted; only the tables rest on the C library's exp, erf, sin and cos, far from where these differ.
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

SPREAD = 5.0  # standard deviations that 8 bits span; what lies beyond is limited
EMBEDDING_LIMIT = 1 << 13

Reals = NDArray[np.float64]
Tensors = dict[str, NDArray[np.integer]]


def quantized(model: LanguageModel) -> PortableModel:
    """The integer model closest to a float one.

    Raises:
        UserError: weights that are not finite, or a shape or gains that 64 bits have no room for.
    """
    config = model.config
    state = {name: value.double().cpu().numpy() for name, value in model.state_dict().items()}
    for name, values in state.items():
        if not np.isfinite(values).all():
            raise UserError(f"language model: {name} holds what is not a finite number; train it anew")
    tensors = _embedding(state, config.codebooks)
    tensors |= _norm(state, "transformer.norm_in", "norm_in")
    tensors["positions"] = _fixed(_positions(config.dimension), FRACTION, np.int16)
    tensors["gelu.table"] = _gelu_table()
    inputs = _Inputs(state["transformer.norm_in.weight"], state["transformer.norm_in.bias"])
    inputs = _Inputs(np.sqrt(inputs.gain**2 + 0.5), inputs.offset)  # the positions' variance is a half
    for layer in range(config.layers):
        inputs = _layer(state, f"transformer.layers.{layer}", f"layers.{layer}", inputs, config.heads, tensors)
    weight = np.concatenate([state[f"linears.{k}.weight"] for k in range(config.codebooks)])
    bias = np.concatenate([state[f"linears.{k}.bias"] for k in range(config.codebooks)])
    steps = _linear(weight, bias, inputs.unit, "head", tensors, config.codebooks)
    steps = steps.reshape(config.codebooks, -1)[:, 0]
    shifts, table = _exponentials(steps, FREQUENCY_BITS, HEAD_TABLE)
    tensors["head.shift"], tensors["head.table"] = shifts, np.maximum(table, 1)
    tensors["head.unit"] = _factor(2.0**-FRACTION / inputs.unit)
    try:
        return PortableModel(config, tensors)
    except ValueError as error:
        raise UserError(f"language model: {error}; train one of the paper's shape anew") from error


class _Inputs:
    """What a linear layer takes: channels of the variance `gain` squared around `offset`; `unit` is that of a byte."""

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
    """Quantise one layer; returns what the next one takes."""
    weight, bias = state[f"{source}.self_attn.in_proj_weight"], state[f"{source}.self_attn.in_proj_bias"]
    mean, deviation = inputs.outputs(weight, bias)
    span = np.abs(mean) + SPREAD * deviation
    query, key, value = np.split(np.maximum(span, 1e-6) / LARGEST, 3)
    width = len(query) // heads
    # The channels of a head are added up, so that they share their unit.
    query, key = (unit.reshape(heads, width).max(axis=1) for unit in (query, key))
    units = np.concatenate([np.repeat(query, width), np.repeat(key, width), value])
    steps = _linear(weight, bias, inputs.unit, f"{name}.attend", tensors)
    tensors[f"{name}.attend.unit"] = _factor(2.0**-FRACTION / inputs.unit)
    tensors[f"{name}.attend.factor"] = _factor(steps / units)
    shifts, table = _exponentials(query * key / math.sqrt(width), WEIGHT_BITS, SOFTMAX_TABLE)
    table[:, -1] = 0  # all that lies beyond
    tensors[f"{name}.softmax.shift"], tensors[f"{name}.softmax.table"] = shifts, table
    _to_residual(state, f"{source}.self_attn.out_proj", f"{name}.join", value, tensors)
    tensors |= _norm(state, f"{source}.norm1", f"{name}.norm1")

    inputs = _Inputs(state[f"{source}.norm1.weight"], state[f"{source}.norm1.bias"])
    weight, bias = state[f"{source}.linear1.weight"], state[f"{source}.linear1.bias"]
    _to_residual(state, f"{source}.linear1", f"{name}.expand", inputs.unit, tensors)
    tensors[f"{name}.expand.unit"] = _factor(2.0**-FRACTION / inputs.unit)
    mean, deviation = inputs.outputs(weight, bias)
    hidden = np.maximum(mean + SPREAD * deviation, 0.25) / LARGEST  # GELU is never below -0.17
    _to_residual(state, f"{source}.linear2", f"{name}.contract", hidden, tensors)
    tensors[f"{name}.contract.unit"] = _factor(2.0**-FRACTION / hidden)
    tensors |= _norm(state, f"{source}.norm2", f"{name}.norm2")
    return _Inputs(state[f"{source}.norm2.weight"], state[f"{source}.norm2.bias"])


def _to_residual(state: dict[str, Reals], source: str, name: str, units: Reals, tensors: Tensors) -> None:
    """A linear layer whose outputs have FRACTION bits behind the point."""
    steps = _linear(state[f"{source}.weight"], state[f"{source}.bias"], units, name, tensors)
    tensors[f"{name}.factor"] = _factor(steps * 2.0**FRACTION)


def _linear(weight: Reals, bias: Reals, units: Reals, name: str, tensors: Tensors, groups: int | None = None) -> Reals:
    """Quantise weights to 8 bits, and the bias to the units of their products.

    Args:
        weight: [rows, columns].
        units: what 1 in each input channel stands for, [columns].
        groups: of consecutive rows, each with one step; every row has its own for None.

    Returns:
        What 1 in each row's output stands for, [rows].
    """
    scaled = weight * units
    largest = np.abs(scaled).max(axis=1)
    if groups is not None:
        largest = np.repeat(largest.reshape(groups, -1).max(axis=1), len(largest) // groups)
    steps = np.maximum(largest, 1e-12) / LARGEST
    while True:
        rows, offsets = np.rint(scaled / steps[:, None]), np.rint(bias / steps)
        reach = LARGEST * np.abs(rows).sum(axis=1) + np.abs(offsets)
        if (reach < SUM_LIMIT).all():
            break
        steps = steps * np.where(reach < SUM_LIMIT, 1.0, 1.25)
        if groups is not None:
            steps = np.repeat(steps.reshape(groups, -1).max(axis=1), len(steps) // groups)
    tensors[f"{name}.weight"], tensors[f"{name}.bias"] = rows.astype(np.int8), offsets.astype(np.int32)
    return steps


def _embedding(state: dict[str, Reals], codebooks: int) -> Tensors:
    """The norm behind them takes out their scale, whatever it is."""
    tables = np.stack([state[f"emb.{k}.weight"] for k in range(codebooks)])
    scale = EMBEDDING_LIMIT / max(np.abs(tables).max(), 1e-12)
    return {"embedding": np.rint(tables * scale).astype(np.int16)}


def _norm(state: dict[str, Reals], source: str, name: str) -> Tensors:
    return {
        f"{name}.gain": _fixed(state[f"{source}.weight"], FRACTION, np.int32),
        f"{name}.offset": _fixed(state[f"{source}.bias"], FRACTION, np.int32),
    }


def _exponentials(steps: Reals, bits: int, size: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Tables of 2 ** bits e ** -x, whose index is x / step >> shift, so wide that they end near 1 or hold all there is.

    Args:
        steps: natural units of 1 in what is looked up, one for each table.

    Returns:
        The shifts, [tables], and the tables, [tables, size].
    """
    wanted = bits * math.log(2) / (size - 1)
    most = (SUM_LIMIT // size).bit_length()  # no difference, less than 2 * SUM_LIMIT, is beyond the table
    shifts = [min(max(0, math.ceil(math.log2(wanted / step))), most) for step in steps.tolist()]
    table = [
        [round(2**bits * math.exp(-index * step * 2**shift)) for index in range(size)]
        for step, shift in zip(steps.tolist(), shifts, strict=True)
    ]
    return np.array(shifts, np.int32), np.array(table, np.int32)


def _gelu_table() -> NDArray[np.int32]:
    half = GELU_RANGE << GELU_BITS
    arguments = [(index + 0.5) / (1 << GELU_BITS) for index in range(-half, half)]
    return np.array([round((1 << FRACTION) * x * 0.5 * (1 + math.erf(x / math.sqrt(2)))) for x in arguments], np.int32)


def _positions(dimension: int) -> Reals:
    """[MOST_STEPS, dimension]; see codec.language_model.positions."""
    half = dimension // 2
    phases = [[time / PERIOD ** (index / (half - 1)) for index in range(half)] for time in range(MOST_STEPS)]
    return np.array([[f(phase) for f in (math.cos, math.sin) for phase in row] for row in phases])


def _fixed(values: Reals, bits: int, dtype: type[np.integer]) -> NDArray[np.integer]:
    limits = np.iinfo(dtype)
    return np.rint(values * 2.0**bits).clip(limits.min, limits.max).astype(dtype)


def _factor(values: Reals) -> NDArray[np.int32]:
    return np.rint(values * 2.0**SHIFT).clip(0, (1 << 31) - 1).astype(np.int32)

"""Tensors of an integer language model in the layout of the compiled step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earmark.codec.language_model.packed_products import OFFSET, packed
from earmark.codec.language_model.portable_arithmetic import SHIFT
from earmark.codec.language_model.portable_model import PortableModel

Bytes = NDArray[np.int8]
Integers = NDArray[np.int64]

HALF = 1 << SHIFT - 1  # rounds a shift by SHIFT to the nearest integer


class Linear(NamedTuple):
    """A linear layer of all Transformer layers [L], see `portable_arithmetic.Projection`.

    Args:
        weight: [L, blocks, groups, ROWS * DEPTH], packed.
        unit: [L, columns]; empty if the inputs have 8 bits already.
        factor, offset: [L, rows], from sums of products with unsigned inputs to the output.
    """

    weight: Bytes
    unit: Integers
    factor: Integers
    offset: Integers


class Model(NamedTuple):
    """The tensors of a model in the layout of the kernel; norms are [gain and offset, D], with [L] before."""

    embedding: NDArray[np.int16]
    positions: Integers
    norm_in: Integers
    attend: Linear
    softmax_shift: NDArray[np.int32]
    softmax_table: NDArray[np.int32]
    join: Linear
    norm1: Integers
    expand: Linear
    gelu: Integers
    contract: Linear
    norm2: Integers
    head: Bytes
    head_unit: Integers
    head_offset: NDArray[np.int32]
    head_shift: NDArray[np.int32]
    head_table: NDArray[np.int32]


def laid_out(model: PortableModel) -> Model:
    """The tensors of a model for the kernel."""
    tensors, config = model.tensors, model.config
    layers = [f"layers.{number}" for number in range(config.layers)]

    def stacked(name: str) -> Integers:
        return np.stack([tensors[f"{layer}.{name}"] for layer in layers]).astype(np.int64)

    def norm(*names: str) -> Integers:
        parts = [np.stack([tensors[f"{name}.{part}"] for part in ("gain", "offset")]) for name in names]
        return np.stack(parts).astype(np.int64)

    def linear(name: str) -> Linear:
        weights = [tensors[f"{layer}.{name}.weight"].astype(np.int8) for layer in layers]
        factor = stacked(f"{name}.factor")
        bias = stacked(f"{name}.bias") - OFFSET * np.stack([one.sum(axis=1, dtype=np.int64) for one in weights])
        known = f"{layers[0]}.{name}.unit" in tensors
        unit = stacked(f"{name}.unit") if known else np.zeros((config.layers, 0), np.int64)
        return Linear(np.stack([packed(one) for one in weights]), unit, factor, bias * factor + HALF)

    head = tensors["head.weight"].astype(np.int8)
    head_bias = tensors["head.bias"].astype(np.int64) - OFFSET * head.sum(axis=1, dtype=np.int64)
    return Model(
        embedding=tensors["embedding"].astype(np.int16),
        positions=tensors["positions"].astype(np.int64),
        norm_in=norm("norm_in")[0],
        attend=linear("attend"),
        softmax_shift=stacked("softmax.shift").astype(np.int32),
        softmax_table=stacked("softmax.table").astype(np.int32),
        join=linear("join"),
        norm1=norm(*(f"{layer}.norm1" for layer in layers)),
        expand=linear("expand"),
        gelu=tensors["gelu.table"].astype(np.int64),
        contract=linear("contract"),
        norm2=norm(*(f"{layer}.norm2" for layer in layers)),
        head=packed(head),
        head_unit=tensors["head.unit"].astype(np.int64),
        head_offset=head_bias.astype(np.int32),
        head_shift=tensors["head.shift"].astype(np.int32),
        head_table=tensors["head.table"].astype(np.int32),
    )

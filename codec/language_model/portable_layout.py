"""Tensors of an integer language model, and the bounds within which its arithmetic is exact.

`check` refuses a model before anything is computed, because a single value that is too large would overflow silently.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from earmark.codec.language_model.exact_linear import LARGEST, SUM_LIMIT
from earmark.codec.language_model.network import LanguageModelConfig

FRACTION = 12  # fractional bits of the residual stream
WEIGHT_BITS = 15  # attention weights sum to 2 ** 15, which times 127 is below SUM_LIMIT
RESIDUAL_LIMIT = 1 << 19  # limit of what a layer adds to the residual stream
GELU_BITS = 7  # fractional bits of the argument in the table of GELU
GELU_RANGE = 16  # largest absolute argument in the table
FREQUENCY_BITS = 20  # the most probable codeword has the frequency 2 ** 20
SOFTMAX_TABLE, HEAD_TABLE = 2048, 4096  # values per table of exponentials
MOST_CODEWORDS = 1024  # per codebook: their frequencies then sum to at most 2 ** 30
MOST_STEPS = 1023  # per segment, since positions are a table
MOST_SHIFT = 22  # the difference of two sums with their biases is below 4 * SUM_LIMIT

Tensors = Mapping[str, NDArray[np.integer]]


class Expected(NamedTuple):
    """Required type and shape of a tensor, and its smallest and largest permitted value."""

    dtype: DTypeLike
    shape: tuple[int, ...]
    least: int
    largest: int


def check(config: LanguageModelConfig, tensors: Tensors) -> None:
    """Check that tensors are those of a model of this shape and keep its arithmetic exact.

    Raises:
        ValueError: if a tensor is missing, unknown, of another type or shape, or out of bounds; it names the tensor.
    """
    if config.codebook_size > MOST_CODEWORDS:
        raise ValueError(f"{config.codebook_size} codewords, where frequencies have room for {MOST_CODEWORDS}")
    if LARGEST**2 * (config.dimension // config.heads) >= SUM_LIMIT:  # the product of a query and a key
        raise ValueError(f"heads of {config.dimension // config.heads} channels, where 260 can be summed exactly")
    names = set()
    for name, expected in _layout(config):  # a generator, as a nonsensical shape could have billions of tensors
        names.add(name)
        if name not in tensors:
            raise ValueError(f"no {name}")
        value = tensors[name]
        if value.dtype != expected.dtype or value.shape != expected.shape:
            raise ValueError(f"{name} is not of the type or shape that the model's shape requires")
        if value.min() < expected.least or value.max() > expected.largest:
            raise ValueError(f"{name} holds values beyond {expected.least} to {expected.largest}")
    if unknown := tensors.keys() - names:
        raise ValueError(f"{min(unknown)} is not part of such a model")
    _check_tables(config, tensors)
    _check_norms(config, tensors)


def _layout(config: LanguageModelConfig) -> Iterator[tuple[str, Expected]]:
    """Names of all tensors and the requirements on them."""
    size, hidden, wide = config.dimension, config.feed_forward, 1 << 31
    rows = config.codebooks * config.codebook_size
    yield "embedding", Expected(np.int16, (config.codebooks, config.codebook_size + 1, size), -(1 << 15), (1 << 15) - 1)
    yield "positions", Expected(np.int16, (MOST_STEPS, size), -(1 << FRACTION), 1 << FRACTION)
    yield "gelu.table", Expected(np.int32, (2 * GELU_RANGE << GELU_BITS,), -wide, wide)
    yield from _norm("norm_in", size)
    for layer in range(config.layers):
        name = f"layers.{layer}"
        yield from _linear(f"{name}.attend", 3 * size, size)
        yield f"{name}.softmax.shift", Expected(np.int32, (config.heads,), 0, MOST_SHIFT)
        yield f"{name}.softmax.table", Expected(np.int32, (config.heads, SOFTMAX_TABLE), 0, 1 << WEIGHT_BITS)
        yield from _linear(f"{name}.join", size, size, unit=False)
        yield from _norm(f"{name}.norm1", size)
        yield from _linear(f"{name}.expand", hidden, size)
        yield from _linear(f"{name}.contract", size, hidden)
        yield from _norm(f"{name}.norm2", size)
    yield from _linear("head", rows, size, factor=False)
    yield "head.shift", Expected(np.int32, (config.codebooks,), 0, MOST_SHIFT)
    # At least 1: a codeword of frequency 0 could not be coded.
    yield "head.table", Expected(np.int32, (config.codebooks, HEAD_TABLE), 1, 1 << FREQUENCY_BITS)


def _linear(
    name: str, rows: int, columns: int, *, unit: bool = True, factor: bool = True
) -> Iterator[tuple[str, Expected]]:  # fmt: skip
    most = (1 << 31) - 1
    yield f"{name}.weight", Expected(np.int8, (rows, columns), -LARGEST, LARGEST)
    yield f"{name}.bias", Expected(np.int32, (rows,), -SUM_LIMIT, SUM_LIMIT)
    if unit:
        yield f"{name}.unit", Expected(np.int32, (columns,), 0, most)
    if factor:
        yield f"{name}.factor", Expected(np.int32, (rows,), 0, most)


def _norm(name: str, size: int) -> Iterator[tuple[str, Expected]]:
    for part in ("gain", "offset"):
        yield f"{name}.{part}", Expected(np.int32, (size,), -(1 << 31), 1 << 31)


def _check_tables(config: LanguageModelConfig, tensors: Tensors) -> None:
    for layer in range(config.layers):
        if not tensors[f"layers.{layer}.softmax.table"][:, 0].all():  # attention divides by the sum
            raise ValueError(f"layers.{layer}.softmax.table begins with 0")


def _check_norms(config: LanguageModelConfig, tensors: Tensors) -> None:
    """Raise ValueError if the sum of squares in a norm could exceed 64 bits.

    For x, [n], with a root mean square of at most r, the sum is n ** 2 * sum((x - mean) ** 2) <= n ** 3 * r ** 2. The
    root mean square of a norm's output is at most 2 * gain + offset; the factor 2 allows for the rounding of small
    square roots.
    """

    def require(name: str, root_mean_square: int) -> None:
        if config.dimension**3 * root_mean_square**2 >= 1 << 63:
            raise ValueError(f"{name} sums squares beyond 64 bits: too many channels, or gains that are too large")

    def largest(name: str) -> int:
        return int(np.abs(tensors[name].astype(np.int64)).max())

    require("norm_in", config.codebooks * largest("embedding"))
    before = 2 * largest("norm_in.gain") + largest("norm_in.offset") + largest("positions")
    for layer in range(config.layers):
        for norm in ("norm1", "norm2"):
            name = f"layers.{layer}.{norm}"
            require(name, before + RESIDUAL_LIMIT)
            before = 2 * largest(f"{name}.gain") + largest(f"{name}.offset")
    # This also keeps the outputs of the norms below 2 ** 26, so that their products with a unit of 31 bits fit.
    require("the head", before)

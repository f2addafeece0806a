"""The language model in integers, so that every machine gets the same frequencies (EnCodec paper, section 3.3).

Matrix products are exact (codec/exact_linear.py), and where floating point computes them it only ever holds integers.
Everything else is integer arithmetic and tables:

    residual stream, outputs of norms      int64, 12 fractional bits
    inputs of linear layers                -127 to 127, each channel in a unit of its own, which its weights undo
    softmax, GELU                          tables of the model file
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray

from codec.exact_linear import LARGEST, SUM_LIMIT, ExactLinear, products
from codec.language_model import LanguageModelConfig
from codec.portable_layout import FRACTION, GELU_BITS, RESIDUAL_LIMIT, WEIGHT_BITS, check

SHIFT = 28  # a factor f stands for f / 2 ** SHIFT
NORM_BITS = 44
FEW = 32  # values for which a loop is done before numpy has begun

Integers = NDArray[np.int64]
Frequencies = NDArray[np.int32]
Floats = NDArray[np.float32]  # that hold integers


def square_root(squares: Integers) -> Integers:
    """Largest integers whose squares do not exceed `squares`, at least 1."""
    if squares.size <= FEW:
        roots = [math.isqrt(value) or 1 for value in squares.ravel().tolist()]
        return np.array(roots).reshape(squares.shape)
    root = np.sqrt(squares.astype(np.float64)).astype(np.int64)  # right but for 1
    root -= root * root > squares
    root += (root + 1) * (root + 1) <= squares
    return np.maximum(root, 1)


def normalized(x: Integers) -> Integers:
    """Zero mean and unit variance over the last axis, with FRACTION bits behind the point."""
    size = x.shape[-1]
    centred = size * x
    centred -= x.sum(axis=-1, keepdims=True)
    variance = np.einsum("...i,...i->...", centred, centred)[..., None] // size
    centred *= (1 << NORM_BITS) // square_root(variance)
    centred >>= NORM_BITS - FRACTION
    return centred


def times(x: NDArray[np.integer], factor: Integers, drop: int = 0) -> Integers:
    """x * factor / 2 ** SHIFT, rounded, and then without its last `drop` bits."""
    product = x * factor
    product += 1 << SHIFT - 1
    product >>= SHIFT + drop
    return product


def scaled(x: NDArray[np.integer], factor: Integers, limit: int) -> Integers:
    """x * factor / 2 ** SHIFT, rounded, from -limit to limit."""
    product = times(x, factor)
    np.maximum(product, -limit, out=product)  # for a few values half as long as np.clip
    return np.minimum(product, limit, out=product)


class Exponential:
    """A table of e ** -x for each row of its argument.

    Args:
        table: [rows, size].
        shift: [rows], by which differences are shifted to become indices.
        inner: axes behind that of the rows.
    """

    def __init__(self, table: NDArray[np.int32], shift: NDArray[np.int32], inner: int) -> None:
        rows, size = table.shape
        shape = (rows, *[1] * inner)
        self._table = table.reshape(-1)
        self._last = size - 1
        self._shift = shift.reshape(shape)
        self._start = (np.arange(rows, dtype=np.int32) * size).reshape(shape)

    def __call__(self, x: NDArray[np.int32], rows: int) -> NDArray[np.int32]:
        """Of how far x, with `rows` rows, lies below its largest along the last axis."""
        below = x.max(axis=-1, keepdims=True) - x
        below >>= self._shift[:rows]
        np.minimum(below, self._last, out=below)
        below += self._start[:rows]
        return self._table.take(below)


class Cache:
    """Keys and values of the segments that are being coded side by side.

    Args:
        batch: how many.
        steps: the most that each has.
    """

    def __init__(self, model: PortableModel, batch: int, steps: int) -> None:
        config = model.config
        rows, width = batch * config.heads, config.dimension // config.heads
        # Each in the order in which products of one row with it are fastest.
        self.keys = np.zeros((config.layers, rows, width, 1 + steps), np.float32)
        self.values = np.zeros((config.layers, rows, 1 + steps, width), np.float32)
        self.steps = 0
        # The vector of zeros in front of a segment: of its projections only the biases are left.
        empty = np.zeros((batch, 1, config.dimension), np.int8)
        for layer in range(config.layers):
            _, keys, self.values[layer, :, :1] = model.projected(layer, empty)
            self.keys[layer, :, :, :1] = keys.swapaxes(1, 2)


class PortableModel:
    """An integer language model.

    Args:
        tensors: as codec/portable_quantization.py makes them and the model file keeps them; integers all.

    Raises:
        ValueError: they are not those of such a model, or beyond what its arithmetic holds (portable_layout.py).
    """

    def __init__(self, config: LanguageModelConfig, tensors: Mapping[str, NDArray[np.integer]]) -> None:
        check(config, tensors)
        self.config = config
        self.tensors = dict(tensors)
        self._numbers: dict[str, Integers] = {}
        self._linears: dict[str, ExactLinear] = {}
        self._exponentials: dict[str, Exponential] = {}
        for name, value in self.tensors.items():
            part, _, kind = name.rpartition(".")
            if kind == "weight":
                self._linears[part] = ExactLinear(value.astype(np.int8), self.tensors[f"{part}.bias"].astype(np.int32))
            elif kind == "shift":
                table = self.tensors[f"{part}.table"].astype(np.int32)
                self._exponentials[part] = Exponential(table, value.astype(np.int32), 1 if part == "head" else 2)
            elif kind not in ("bias", "table"):
                self._numbers[name] = value.astype(np.int64)
        self._gelu = self.tensors["gelu.table"].astype(np.int64)

    @property
    def identity(self) -> str:
        """SHA-256 of the shape, in lines NAME=COUNT, and of each tensor: name, type, shape, little-endian values."""
        digest = hashlib.sha256()
        for name, count in asdict(self.config).items():
            digest.update(f"{name}={count}\n".encode())
        for name, value in sorted(self.tensors.items()):
            digest.update(f"{name} {value.dtype.name} {'x'.join(map(str, value.shape))}\n".encode())
            digest.update(np.ascontiguousarray(value, value.dtype.newbyteorder("<")).data)
        return digest.hexdigest()

    @torch.inference_mode()
    def frequencies(self, before: NDArray[np.integer], cache: Cache) -> Frequencies:
        """Frequencies of the entries in the next steps of some segments.

        Args:
            before: codes + 1 of the step before each, 0 where there is none, [B, codebooks, T].
            cache: of these segments; it goes T steps on.

        Returns:
            [B, T, codebooks, entries], 1 to 2 ** FREQUENCY_BITS each.
        """
        batch, count, steps = before.shape
        x = self._embedded(before) + self._numbers["positions"][cache.steps : cache.steps + steps]
        for layer in range(self.config.layers):
            x = self._layer(f"layers.{layer}", layer, x, cache)
        cache.steps += steps
        logits = self._linears["head"](self._bytes(x, "head"), count * self.config.entries)
        return self._exponentials["head"](logits.reshape(batch, steps, count, -1), count)

    def projected(self, layer: int, inputs: NDArray[np.int8]) -> tuple[Floats, Floats, Floats]:
        """Queries, keys and values, [B * heads, T, width] each, of inputs [B, T, dimension]."""
        batch, steps, _ = inputs.shape
        name, heads = f"layers.{layer}.attend", self.config.heads
        joined = scaled(self._linears[name](inputs), self._numbers[f"{name}.factor"], LARGEST).astype(np.float32)
        parts = joined.reshape(batch, steps, 3, heads, -1).transpose(2, 0, 3, 1, 4)
        queries, keys, values = parts.reshape(3, batch * heads, steps, -1)
        return queries, keys, values

    def _embedded(self, before: NDArray[np.integer]) -> Integers:
        """Sum over codebooks, normalised, [B, T, dimension]."""
        codebooks = np.arange(before.shape[1])[:, None]
        return self._norm(self.tensors["embedding"][codebooks, before].sum(axis=1, dtype=np.int64), "norm_in")

    def _layer(self, name: str, layer: int, x: Integers, cache: Cache) -> Integers:
        attended = self._attention(layer, self._bytes(x, f"{name}.attend"), cache)
        x = self._norm(x + self._residual(attended, f"{name}.join"), f"{name}.norm1")
        expanded = self._linears[f"{name}.expand"](self._bytes(x, f"{name}.expand"))
        index = times(expanded, self._numbers[f"{name}.expand.factor"], drop=FRACTION - GELU_BITS)
        index += len(self._gelu) // 2
        hidden = self._bytes(self._gelu.take(index, mode="clip"), f"{name}.contract")
        return self._norm(x + self._residual(hidden, f"{name}.contract"), f"{name}.norm2")

    def _attention(self, layer: int, inputs: NDArray[np.int8], cache: Cache) -> NDArray[np.int8]:
        batch, steps, _ = inputs.shape
        heads = self.config.heads
        queries, keys, values = self.projected(layer, inputs)
        end = 1 + cache.steps + steps
        start = max(0, end - steps - self.config.context)
        cache.keys[layer, :, :, end - steps : end] = keys.swapaxes(1, 2)
        cache.values[layer, :, end - steps : end] = values
        scores = products(queries, cache.keys[layer, :, :, start:end])
        if steps > 1:
            ages = np.arange(end - steps, end)[:, None] - np.arange(start, end)
            hidden = (ages < 0) | (ages > self.config.context)
            scores[:, hidden] = -SUM_LIMIT  # none is the largest
        weights = self._exponentials[f"layers.{layer}.softmax"](scores.reshape(batch, heads, steps, -1), heads)
        if steps > 1:
            weights[..., hidden] = 0
        weights *= (1 << 2 * WEIGHT_BITS) // weights.sum(axis=-1, keepdims=True, dtype=np.int32)
        weights >>= WEIGHT_BITS
        mixed = products(weights.reshape(scores.shape).astype(np.float32), cache.values[layer, :, start:end])
        mixed += 1 << WEIGHT_BITS - 1
        mixed >>= WEIGHT_BITS
        return mixed.astype(np.int8).reshape(batch, heads, steps, -1).swapaxes(1, 2).reshape(batch, steps, -1)

    def _bytes(self, x: Integers, name: str) -> NDArray[np.int8]:
        """Inputs of a linear layer, in its units."""
        return scaled(x, self._numbers[f"{name}.unit"], LARGEST).astype(np.int8)

    def _residual(self, inputs: NDArray[np.int8], name: str) -> Integers:
        """A linear layer's output with FRACTION bits behind the point."""
        return scaled(self._linears[name](inputs), self._numbers[f"{name}.factor"], RESIDUAL_LIMIT)

    def _norm(self, x: Integers, name: str) -> Integers:
        y = normalized(x)
        y *= self._numbers[f"{name}.gain"]
        y >>= FRACTION
        y += self._numbers[f"{name}.offset"]
        return y

"""The language model in integers, so that every machine gets the same frequencies (EnCodec paper, section 3.3).

Floating point only ever holds integers: the matrix products, where float32 is fast. Their factors have 8 bits (the
weights of attention 15), and no sum of absolute products reaches 2 ** 22. All partial sums are then integers that
float32 holds exactly, so that any order of adding, any instruction set and any number of threads give the same; even an
error of one unit in the last place would be gone after rounding. Everything else is integer arithmetic and tables.

    residual stream, outputs of norms      int64, 12 fractional bits
    inputs of products                     -127 to 127, each channel in a unit of its own, which its weights undo
    softmax, GELU                          tables of the model file
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.language_model import LanguageModelConfig

FRACTION = 12  # bits of the residual stream behind the point
SHIFT = 28  # a factor f stands for f / 2 ** SHIFT
LARGEST = 127
SUM_LIMIT = 1 << 22  # up to here one unit in the last place of float32 is less than half
WEIGHT_BITS = 15  # of attention: 2 ** 15 * 127 is below SUM_LIMIT
NORM_BITS = 44
RESIDUAL_LIMIT = 1 << 19
GELU_BITS = 7  # fractional bits of GELU's argument in its table
FREQUENCY_BITS = 20  # of the likeliest entry
MOST_ENTRIES = 1024  # so that the frequencies add up to at most 2 ** 30
MOST_STEPS = 1023  # of a segment: positions are a table too

Integers = NDArray[np.int64]
Frequencies = NDArray[np.int32]


def integers(product: Tensor) -> NDArray[np.int32]:
    """The integers that a matrix product holds: all that floating point gives to this model."""
    return torch.round(product).to(torch.int32).numpy()


def square_root(squares: Integers) -> Integers:
    """Largest integers whose squares do not exceed `squares`, at least 1."""
    root = np.sqrt(squares.astype(np.float64)).astype(np.int64)  # right but for 1
    root -= root * root > squares
    root += (root + 1) * (root + 1) <= squares
    return np.maximum(root, 1)


def normalized(x: Integers) -> Integers:
    """Zero mean and unit variance over the last axis, with FRACTION bits behind the point."""
    size = x.shape[-1]
    centred = size * x - x.sum(axis=-1, keepdims=True)
    variance = np.einsum("...i,...i->...", centred, centred)[..., None] // size
    inverse = (1 << NORM_BITS) // square_root(variance)
    return centred * inverse >> NORM_BITS - FRACTION


class Cache:
    """Keys and values of the segments that are being coded side by side.

    Args:
        batch: how many.
        steps: the most that each has.
    """

    def __init__(self, model: PortableModel, batch: int, steps: int) -> None:
        config = model.config
        width = config.dimension // config.heads
        shape = (config.layers, batch, config.heads, 1 + steps, width)
        self.keys, self.values = torch.zeros(shape), torch.zeros(shape)
        self.steps = 0
        for layer in range(config.layers):
            # The vector of zeros in front of a segment: of its projections only the biases are left.
            empty = np.zeros((1, 1, config.dimension), np.float32)
            _, key, value = model.projected(layer, empty)
            self.keys[layer, :, :, :1] = key
            self.values[layer, :, :, :1] = value


class PortableModel:
    """An integer language model.

    Args:
        tensors: as codec/portable_quantization.py makes them and the model file keeps them; integers all.
    """

    def __init__(self, config: LanguageModelConfig, tensors: Mapping[str, NDArray[np.integer]]) -> None:
        self.config = config
        self.tensors = dict(tensors)
        self._integers = {
            name: value.astype(np.int64) for name, value in tensors.items() if not name.endswith(("weight", "table"))
        }
        self._tables = {name: value.astype(np.int32) for name, value in tensors.items() if name.endswith("table")}
        self._weights = {
            name: torch.from_numpy(value.astype(np.float32)).mT
            for name, value in tensors.items()
            if name.endswith("weight")
        }
        self._biases = {
            name: torch.from_numpy(value.astype(np.float32)) for name, value in tensors.items() if name.endswith("bias")
        }

    @property
    def identity(self) -> str:
        """SHA-256 of the shape and of every tensor, by name, type, shape and little-endian values."""
        digest = hashlib.sha256(repr(self.config).encode())
        for name, value in sorted(self.tensors.items()):
            digest.update(f"{name} {value.dtype.name} {'x'.join(map(str, value.shape))}\n".encode())
            digest.update(np.ascontiguousarray(value, value.dtype.newbyteorder("<")).data)
        return digest.hexdigest()

    def frequencies(self, before: NDArray[np.integer], cache: Cache) -> Frequencies:
        """Frequencies of the entries in the next steps of some segments.

        Args:
            before: codes + 1 of the step before each, 0 where there is none, [B, codebooks, T].
            cache: of these segments; it goes T steps on.

        Returns:
            [B, T, codebooks, entries], 1 to 2 ** FREQUENCY_BITS each.
        """
        batch, count, steps = before.shape
        x = self._embedded(before) + self._integers["positions"][cache.steps : cache.steps + steps]
        for layer in range(self.config.layers):
            x = self._layer(layer, x, cache)
        cache.steps += steps
        entries = self.config.entries
        inputs = self._bytes(x, "head.unit").reshape(batch * steps, -1)
        weight = self._weights["head.weight"][:, : count * entries]
        bias = self._biases["head.bias"][: count * entries]
        logits = integers(torch.addmm(bias, torch.from_numpy(inputs), weight)).reshape(-1, count, entries)
        return self._exponential(logits, "head", count).reshape(batch, steps, count, entries)

    def projected(self, layer: int, inputs: NDArray[np.float32]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, [B, heads, T, width] each, of inputs [B, T, dimension]."""
        batch, steps, _ = inputs.shape
        name = f"layers.{layer}.attend"
        scaled = self._product(inputs, name) * self._integers[f"{name}.factor"] + (1 << SHIFT - 1) >> SHIFT
        limited = np.clip(scaled, -LARGEST, LARGEST).astype(np.float32)
        heads = torch.from_numpy(limited).reshape(batch, steps, 3, self.config.heads, -1)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)
        return queries, keys, values

    def _embedded(self, before: NDArray[np.integer]) -> Integers:
        """Sum over codebooks, normalised, [B, T, dimension]."""
        total = np.zeros((before.shape[0], before.shape[2], self.config.dimension), np.int64)
        for table, entries in zip(self.tensors["embedding"], before.swapaxes(0, 1), strict=False):
            total += table[entries]
        return self._norm(total, "norm_in")

    def _layer(self, layer: int, x: Integers, cache: Cache) -> Integers:
        name = f"layers.{layer}"
        x = self._norm(x + self._attention(layer, self._bytes(x, f"{name}.attend.unit"), cache), f"{name}.norm1")
        argument = self._residual(self._bytes(x, f"{name}.expand.unit"), f"{name}.expand") >> FRACTION - GELU_BITS
        table = self._tables["gelu.table"]
        hidden = table[np.clip(argument + len(table) // 2, 0, len(table) - 1)]
        contracted = self._residual(self._bytes(hidden, f"{name}.contract.unit"), f"{name}.contract")
        return self._norm(x + contracted, f"{name}.norm2")

    def _attention(self, layer: int, inputs: NDArray[np.float32], cache: Cache) -> Integers:
        batch, steps, _ = inputs.shape
        queries, keys, values = self.projected(layer, inputs)
        end = 1 + cache.steps + steps
        start = max(0, end - steps - self.config.context)
        cache.keys[layer, :, :, end - steps : end] = keys
        cache.values[layer, :, :, end - steps : end] = values
        scores = integers(queries @ cache.keys[layer, :, :, start:end].mT)
        if steps > 1:
            ages = np.arange(end - steps, end)[:, None] - np.arange(start, end)
            scores = np.where((ages < 0) | (ages > self.config.context), -SUM_LIMIT, scores)
        name = f"layers.{layer}"
        weights = self._exponential(scores.swapaxes(1, 2), f"{name}.softmax", self.config.heads).swapaxes(1, 2)
        share = (1 << 2 * WEIGHT_BITS) // weights.sum(axis=-1, keepdims=True, dtype=np.int32)
        weights = weights * share >> WEIGHT_BITS
        mixed = integers(torch.from_numpy(weights.astype(np.float32)) @ cache.values[layer, :, :, start:end])
        mixed = mixed + (1 << WEIGHT_BITS - 1) >> WEIGHT_BITS
        joined = mixed.swapaxes(1, 2).reshape(batch, steps, -1).astype(np.float32)
        return self._residual(joined, f"{name}.join")

    def _exponential(self, x: NDArray[np.int32], name: str, rows: int) -> NDArray[np.int32]:
        """Table `name` of how far x, [..., rows, n], lies below its largest along the last axis."""
        table = self._tables[f"{name}.table"]
        below = x.max(axis=-1, keepdims=True) - x
        below >>= self._integers[f"{name}.shift"][:rows, None].astype(np.int32)
        np.minimum(below, table.shape[1] - 1, out=below)
        below += (np.arange(rows, dtype=np.int32) * table.shape[1])[:, None]
        return table.reshape(-1).take(below)

    def _bytes(self, x: NDArray[np.integer], unit: str) -> NDArray[np.float32]:
        """Inputs of a product: `x` in its units, -127 to 127."""
        scaled = x * self._integers[unit] + (1 << SHIFT - 1) >> SHIFT
        return np.clip(scaled, -LARGEST, LARGEST).astype(np.float32)

    def _product(self, inputs: NDArray[np.float32], name: str) -> NDArray[np.int32]:
        rows = torch.from_numpy(inputs.reshape(-1, inputs.shape[-1]))
        product = integers(torch.addmm(self._biases[f"{name}.bias"], rows, self._weights[f"{name}.weight"]))
        return product.reshape(*inputs.shape[:-1], -1)

    def _residual(self, inputs: NDArray[np.float32], name: str) -> Integers:
        """A linear layer's output with FRACTION bits behind the point."""
        output = self._product(inputs, name) * self._integers[f"{name}.factor"] + (1 << SHIFT - 1) >> SHIFT
        limited: Integers = np.clip(output, -RESIDUAL_LIMIT, RESIDUAL_LIMIT)
        return limited

    def _norm(self, x: Integers, name: str) -> Integers:
        gain, offset = self._integers[f"{name}.gain"], self._integers[f"{name}.offset"]
        scaled: Integers = (normalized(x) * gain >> FRACTION) + offset
        return scaled

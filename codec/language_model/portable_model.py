"""Integer version of the language model, with the same frequencies on every machine (EnCodec paper, section 3.3).

Matrix products are exact (exact_linear.py): if floating point computes them, it only holds integers. All else is
integer arithmetic and tables:

    residual stream, outputs of norms      int64, 12 fractional bits
    inputs of linear layers                -127 to 127, with a scale per channel that the weights compensate
    softmax, GELU                          tables in the model file
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.codec.encodec.config import to_stored
from earmark.codec.language_model.exact_linear import SUM_LIMIT, products
from earmark.codec.language_model.network import LanguageModelConfig
from earmark.codec.language_model.portable_arithmetic import BYTES, SHIFT, Exponential, Integers, Norm, Projection
from earmark.codec.language_model.portable_layout import FRACTION, GELU_BITS, WEIGHT_BITS, check

Frequencies = NDArray[np.int32]
Floats = NDArray[np.float32]  # values are integers

INDEX = np.array(SHIFT + FRACTION - GELU_BITS)  # shift from a sum of products to an index of the table of GELU


class Cache:
    """Keys and values of a batch of segments.

    Attributes:
        keys: [layers, B * heads, width, 1 + steps].
        values: [layers, B * heads, 1 + steps, width].
        steps: number of steps so far.

    Args:
        model: model to be used.
        batch: number of segments B.
        steps: maximum number of steps per segment.
    """

    def __init__(self, model: PortableModel, batch: int, steps: int) -> None:
        config = model.config
        rows, width = batch * config.heads, config.dimension // config.heads
        # Each has the layout in which its product with a single row is fastest.
        self.keys = np.zeros((config.layers, rows, width, 1 + steps), np.float32)
        self.values = np.zeros((config.layers, rows, 1 + steps, width), np.float32)
        self.batch, self.steps = batch, 0
        # A vector of zeros precedes each segment. Its projections are the biases.
        empty = np.zeros((batch, config.dimension), np.int8)
        for layer in range(config.layers):
            _, keys, self.values[layer, :, :1] = model.projected(layer, empty, batch)
            self.keys[layer, :, :, :1] = keys.swapaxes(1, 2)


class Layer(NamedTuple):
    """Parts of a Transformer layer, in the order of computation."""

    attend: Projection
    softmax: Exponential
    join: Projection
    norm1: Norm
    expand: Projection
    contract: Projection
    norm2: Norm


class PortableModel:
    """Integer version of a `LanguageModel`; `quantized` makes it, and a model file can store it.

    Attributes:
        config: shape of the model.
        tensors: integer tensors by name; portable_layout.py lists them.

    Args:
        config: shape of the model.
        tensors: integer tensors by name.

    Raises:
        ValueError: if the tensors do not belong to a model of this shape, or exceed the bounds of its arithmetic.
    """

    def __init__(self, config: LanguageModelConfig, tensors: Mapping[str, NDArray[np.integer]]) -> None:
        check(config, tensors)
        self.config = config
        self.tensors = dict(tensors)
        self._embedding = self.tensors["embedding"]
        self._positions = self.tensors["positions"].astype(np.int64)
        self._gelu = self.tensors["gelu.table"].astype(np.int64)
        self._norm_in = self._norm("norm_in")
        self._layers = [self._layer(f"layers.{layer}") for layer in range(config.layers)]
        self._head, self._head_exponential = self._projection("head"), self._exponential("head", 1)

    def _norm(self, name: str) -> Norm:
        return Norm(self.tensors[f"{name}.gain"], self.tensors[f"{name}.offset"])

    def _projection(self, name: str) -> Projection:
        unit, factor = self.tensors.get(f"{name}.unit"), self.tensors.get(f"{name}.factor")
        return Projection(self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"], unit, factor)

    def _exponential(self, name: str, inner: int) -> Exponential:
        return Exponential(self.tensors[f"{name}.table"], self.tensors[f"{name}.shift"], inner)

    def _layer(self, name: str) -> Layer:
        return Layer(
            attend=self._projection(f"{name}.attend"),
            softmax=self._exponential(f"{name}.softmax", 2),
            join=self._projection(f"{name}.join"),
            norm1=self._norm(f"{name}.norm1"),
            expand=self._projection(f"{name}.expand"),
            contract=self._projection(f"{name}.contract"),
            norm2=self._norm(f"{name}.norm2"),
        )

    @property
    def identity(self) -> str:
        """SHA-256 of the shape, in lines NAME=COUNT, and of all tensors: name, type, shape, little-endian values."""
        digest = hashlib.sha256()
        for name, count in to_stored(self.config).items():
            digest.update(f"{name}={count}\n".encode())
        for name, value in sorted(self.tensors.items()):
            digest.update(f"{name} {value.dtype.name} {'x'.join(map(str, value.shape))}\n".encode())
            digest.update(np.ascontiguousarray(value, value.dtype.newbyteorder("<")).data)
        return digest.hexdigest()

    @torch.inference_mode()
    def frequencies(self, previous: NDArray[np.integer], cache: Cache) -> Frequencies:
        """Frequencies of all codewords in the next T steps of a batch of segments.

        Args:
            previous: codes + 1 of the step before each predicted step, [B, codebooks, T]; 0 if there is none.
            cache: keys and values of these segments; updated.

        Returns:
            Frequencies from 1 to 2 ** FREQUENCY_BITS, [B, T, codebooks, codebook_size].
        """
        batch, count, steps = previous.shape
        embedded = self._embedding[np.arange(count)[:, None], previous].sum(axis=1, dtype=np.int64)
        x = self._norm_in(embedded) + self._positions[cache.steps : cache.steps + steps]
        x = x.reshape(batch * steps, -1)
        for index, layer in enumerate(self._layers):
            x = self._run(layer, index, x, cache)
        cache.steps += steps
        logits = self._head.sums(self._head.bytes(x), count * self.config.codebook_size)
        return self._head_exponential(logits.reshape(batch, steps, count, -1), count)

    def projected(self, layer: int, inputs: NDArray[np.int8], batch: int) -> tuple[Floats, Floats, Floats]:
        """Queries, keys and values of a layer, each [B * heads, T, width], from inputs [B * T, dimension]."""
        heads = self.config.heads
        joined = self._layers[layer].attend(inputs, limits=BYTES).astype(np.float32)
        parts = joined.reshape(batch, -1, 3, heads, joined.shape[1] // (3 * heads)).transpose(2, 0, 3, 1, 4)
        queries, keys, values = parts.reshape(3, batch * heads, len(inputs) // batch, -1)
        return queries, keys, values

    def _run(self, layer: Layer, index: int, x: Integers, cache: Cache) -> Integers:
        """Run layer number `index`, [B * T, dimension] -> [B * T, dimension]."""
        x = layer.norm1(x + layer.join(self._attention(layer, index, x, cache)))
        arguments = layer.expand(layer.expand.bytes(x), shift=INDEX, limits=None)  # `take` clips them to the table
        arguments += len(self._gelu) // 2
        hidden = layer.contract.bytes(self._gelu.take(arguments, mode="clip"))
        return layer.norm2(x + layer.contract(hidden))

    def _attention(self, layer: Layer, index: int, x: Integers, cache: Cache) -> NDArray[np.int8]:
        """Attention of layer number `index` to the context and the new steps, [B * T, dimension]; extends the cache."""
        heads, batch = self.config.heads, cache.batch
        queries, keys, values = self.projected(index, layer.attend.bytes(x), batch)
        steps = queries.shape[1]
        end = 1 + cache.steps + steps
        start = max(0, end - steps - self.config.context)
        cache.keys[index, :, :, end - steps : end] = keys.swapaxes(1, 2)
        cache.values[index, :, end - steps : end] = values
        scores = products(queries, cache.keys[index, :, :, start:end])
        if steps > 1:
            ages = np.arange(end - steps, end)[:, None] - np.arange(start, end)
            hidden = (ages < 0) | (ages > self.config.context)
            scores[:, hidden] = -SUM_LIMIT  # below all other scores
        weights = layer.softmax(scores.reshape(batch, heads, steps, -1), heads).reshape(scores.shape)
        if steps > 1:
            weights[:, hidden] = 0
        weights *= (1 << 2 * WEIGHT_BITS) // np.add.reduce(weights, axis=-1, keepdims=True, dtype=np.int32)
        weights >>= WEIGHT_BITS
        mixed = products(weights.astype(np.float32), cache.values[index, :, start:end])
        mixed += 1 << WEIGHT_BITS - 1
        mixed >>= WEIGHT_BITS
        return mixed.astype(np.int8).reshape(batch, heads, steps, -1).swapaxes(1, 2).reshape(len(x), -1)

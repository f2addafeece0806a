"""A float language model from an integer one, to train on: the inverse of portable_quantization.py but for rounding."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.codec.language_model.exact_linear import LARGEST
from earmark.codec.language_model.network import LanguageModel
from earmark.codec.language_model.portable_arithmetic import SHIFT
from earmark.codec.language_model.portable_layout import FRACTION, FREQUENCY_BITS, WEIGHT_BITS
from earmark.codec.language_model.portable_model import PortableModel
from earmark.codec.language_model.portable_quantization import SPREAD

EMBEDDING_DEVIATION = 1.0  # as at the start of a training; the norm after the embeddings cancels their scale
VALUE_DEVIATION = 0.5  # of the values of attention, whose scale the layer after them cancels

Reals = NDArray[np.float64]
State = dict[str, Reals]


def restored(model: PortableModel) -> LanguageModel:
    """Convert an integer model to a float one with the same predictions, apart from rounding.

    An integer model holds products of weights and scales. Scales that no prediction depends on are lost, and chosen
    here: those of the embeddings, of the values of attention, and of queries against keys.

    Args:
        model: as in the file in the package.

    Returns:
        Model in evaluation mode, on the CPU.
    """
    tensors = {name: value.astype(np.float64) for name, value in model.tensors.items()}
    config = model.config
    embedding = tensors["embedding"] * (EMBEDDING_DEVIATION / max(tensors["embedding"].std(), 1e-12))
    state: State = {f"emb.{k}.weight": embedding[k] for k in range(config.codebooks)}
    state |= _norm(tensors, "norm_in", "transformer.norm_in")
    for layer in range(config.layers):
        state |= _layer(tensors, f"layers.{layer}", f"transformer.layers.{layer}", config.heads)
    scales = _scales(tensors["head.table"], tensors["head.shift"], FREQUENCY_BITS)
    rows = np.repeat(scales, config.codebook_size)
    weight, bias = rows[:, None] * tensors["head.weight"] * _per_unit(tensors, "head"), rows * tensors["head.bias"]
    for k in range(config.codebooks):
        part = slice(k * config.codebook_size, (k + 1) * config.codebook_size)
        state |= {f"linears.{k}.weight": weight[part], f"linears.{k}.bias": bias[part]}
    result = LanguageModel(config)
    result.load_state_dict({name: torch.from_numpy(value).float() for name, value in state.items()})
    return result.eval()


def _layer(tensors: State, source: str, name: str, heads: int) -> State:
    """Weights of a layer of the float model."""
    attend = _factor(tensors, f"{source}.attend", SHIFT)  # 8-bit outputs per sum of products
    weight = attend[:, None] * tensors[f"{source}.attend.weight"] * _per_unit(tensors, f"{source}.attend")
    bias = attend * tensors[f"{source}.attend.bias"]
    width = len(bias) // 3 // heads
    # Softmax sees query * key / sqrt(width) in the scale of its table, which query and key share equally.
    products = _scales(tensors[f"{source}.softmax.table"], tensors[f"{source}.softmax.shift"], WEIGHT_BITS)
    shared = np.repeat(np.sqrt(products * np.sqrt(width)), width)
    value = VALUE_DEVIATION * SPREAD / LARGEST
    units = np.concatenate([shared, shared, np.full(len(shared), value)])
    state = {
        f"{name}.self_attn.in_proj_weight": units[:, None] * weight,
        f"{name}.self_attn.in_proj_bias": units * bias,
    }
    state |= _to_residual(tensors, f"{source}.join", f"{name}.self_attn.out_proj", np.array(1 / value))
    state |= _to_residual(tensors, f"{source}.expand", f"{name}.linear1", _per_unit(tensors, f"{source}.expand"))
    state |= _to_residual(tensors, f"{source}.contract", f"{name}.linear2", _per_unit(tensors, f"{source}.contract"))
    for norm in ("norm1", "norm2"):
        state |= _norm(tensors, f"{source}.{norm}", f"{name}.{norm}")
    return state


def _to_residual(tensors: State, source: str, name: str, per_unit: Reals) -> State:
    scales = _factor(tensors, source, SHIFT + FRACTION)
    weight = scales[:, None] * tensors[f"{source}.weight"] * per_unit
    return {f"{name}.weight": weight, f"{name}.bias": scales * tensors[f"{source}.bias"]}


def _factor(tensors: State, source: str, bits: int) -> Reals:
    """Value of 1 in each sum of products of a linear layer."""
    return tensors[f"{source}.factor"] / 2.0**bits


def _per_unit(tensors: State, source: str) -> Reals:
    """8-bit input of a linear layer for an input of 1, per channel."""
    return tensors[f"{source}.unit"] / 2.0 ** (SHIFT - FRACTION)


def _scales(tables: Reals, shifts: Reals, bits: int) -> Reals:
    """Value of a difference of 1 in each table of 2 ** bits * exp(-x); see `portable_quantization._exponentials`.

    It is read where the table has fallen to about a thousandth, where its integers are still exact to 1e-2 or better.
    """
    index = np.argmin(np.abs(tables - 2.0 ** (bits - 10)), axis=1)
    value = np.take_along_axis(tables, index[:, None], axis=1)[:, 0]
    return (bits * np.log(2) - np.log(value)) / np.maximum(index, 1) / 2.0**shifts


def _norm(tensors: State, source: str, name: str) -> State:
    gain, offset = (tensors[f"{source}.{part}"] / 2.0**FRACTION for part in ("gain", "offset"))
    return {f"{name}.weight": gain, f"{name}.bias": offset}

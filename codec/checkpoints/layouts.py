"""The three layouts of EnCodec checkpoints, and their conversion to ours.

The keys of the tensors identify the layout:

    official        encoder.model.0.conv.conv.weight      quantizer.vq.layers.0._codebook.embed
    hugging face    encoder.layers.0.conv.weight          quantizer.layers.0.codebook.embed
    ours            encoder.layers.0.conv.weight          quantizer.codebooks, one tensor of all codebooks

The weight of a convolution is stored in one of three ways: plain, or with weight norm as `weight_g` and `weight_v`, or
with weight norm as `parametrizations.weight.original0` and `original1`. Sources: `encodec` 0.1.1 and `transformers`
5.23.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from earmark.codec.encodec.config import ENCODEC_24KHZ, PRESETS, EncodecConfig
from earmark.codec.encodec.layers import ConvTranspose1d, fold
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError

Layout = Literal["official", "hugging face", "ours"]
Shape = tuple[int, ...]

CODEBOOKS = "quantizer.codebooks"
WEIGHT_NORMS = (  # magnitude g and direction v of weight = g v / |v|
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)
CODEBOOK = {  # key of a codebook's tensors, without their last part
    "official": "quantizer.vq.layers.{}._codebook.",
    "hugging face": "quantizer.layers.{}.codebook.",
}
ONLY_FOR_TRAINING = re.compile(r"quantizer\..*codebook\.(inited|cluster_size|embed_avg)")
FIRST_WEIGHT = re.compile(
    r"encoder\.(model\.0\.conv|layers\.0)\.conv\.(weight|weight_v|parametrizations\.weight\.original1)"
)


def layout_of(path: Path, tensors: Mapping[str, Tensor]) -> Layout:
    """The layout of the tensors in a file.

    Raises:
        UserError: the tensors are not those of an EnCodec model.
    """
    if any(key.startswith(("encoder.model.", "decoder.model.", "quantizer.vq.")) for key in tensors):
        return "official"
    if CODEBOOKS in tensors:
        return "ours"
    if any(key.startswith(("encoder.layers.", "decoder.layers.", "quantizer.layers.")) for key in tensors):
        return "hugging face"
    first = next(iter(tensors), None)
    raise UserError(
        f"{path}: "
        + ("no tensors in it" if first is None else f"key {first[:120]!r} does not belong to EnCodec")
        + "; give an official, Hugging Face or Earmark checkpoint"
    )


def public_config(tensors: Mapping[str, Tensor]) -> EncodecConfig:
    """The public model with the number of audio channels of a checkpoint; encodec_24khz if there is no such model."""
    for key, value in tensors.items():
        if FIRST_WEIGHT.fullmatch(key) and isinstance(value, Tensor) and value.ndim == 3:
            return next((config for config in PRESETS.values() if config.channels == value.shape[1]), ENCODEC_24KHZ)
    return ENCODEC_24KHZ


def state_of(tensors: Mapping[str, Tensor], layout: Layout, model: EncodecModel, file: str) -> dict[str, Tensor]:
    """Convert tensors of any layout to a state dict for `model`: folded weights, as float32 copies in main memory.

    Args:
        model: a model with the names and shapes of folded weights; its values are not used.
        file: origin of the tensors, for messages.

    Raises:
        UserError: a key is missing, unexpected, of another shape, or no tensor of numbers; names the first such key.
    """
    spelling = next((pair for pair in WEIGHT_NORMS if any(key.endswith(f".{pair[0]}") for key in tensors)), None)
    expected = model.state_dict()
    sources = {name: _sources(name, tensor.shape, model, layout, spelling) for name, tensor in expected.items()}
    known: set[str] = set()
    for keys in sources.values():
        for key, shape in keys.items():
            if problem := _problem(tensors, key, shape):
                raise _misfit(file, key, problem, model.config)
            known.add(key)
    for key in tensors:
        if key not in known and not ONLY_FOR_TRAINING.fullmatch(key):
            raise _misfit(file, key, "does not belong there", model.config)
    state = {}
    for name, keys in sources.items():
        parts = [tensors[key].detach().to("cpu", torch.float32) for key in keys]
        if name == CODEBOOKS and layout != "ours":
            state[name] = torch.stack(parts)
        elif len(parts) == 2:
            state[name] = fold(*parts)
        else:
            state[name] = parts[0].clone(memory_format=torch.contiguous_format)
        if not _is_finite(state[name]):
            bad = [key for key, part in zip(keys, parts, strict=True) if not _is_finite(part)]
            raise _misfit(file, (bad or [*keys])[0], "gives NaN or infinite weights", model.config)
    return state


def _sources(
    name: str, shape: Shape, model: EncodecModel, layout: Layout, spelling: tuple[str, str] | None
) -> dict[str, Shape]:
    """Keys and shapes of the tensors in a file from which our tensor `name` is made.

    Args:
        spelling: names of the two tensors of a weight with weight norm; None if weights are stored plain.
    """
    shape = tuple(shape)
    if name.startswith("quantizer.") and layout == "ours":
        return {name: shape}
    if name == CODEBOOKS:
        return {CODEBOOK[layout].format(index) + "embed": shape[1:] for index in range(shape[0])}
    owner = owner_in(layout, name, model)
    if name.endswith(".conv.weight") and spelling:
        g, v = spelling
        return {f"{owner}.{g}": (shape[0], *[1] * (len(shape) - 1)), f"{owner}.{v}": shape}
    return {f"{owner}.{name.rpartition('.')[2]}": shape}


def owner_in(layout: Layout, name: str, model: EncodecModel) -> str:
    """Key, without its last part, that a layout has for our tensor `name`."""
    owner, part, _ = name.rsplit(".", 2)  # "encoder.layers.0", "conv", "weight"
    if layout == "official":
        if part in ("conv", "norm"):
            wrapper = "convtr" if isinstance(model.get_submodule(owner), ConvTranspose1d) else "conv"
            part = f"{wrapper}.{wrapper if part == 'conv' else 'norm'}"
        owner = owner.replace(".layers.", ".model.")
    return f"{owner}.{part}"


def _problem(tensors: Mapping[str, Tensor], key: str, shape: Shape) -> str:
    """Return the fault of the tensor of a key, or "" if it has none."""
    if key not in tensors:
        return "is missing"
    value = tensors[key]
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_meta or not value.is_floating_point():
        return "is not a plain tensor of floating-point numbers"
    if tuple(value.shape) != shape:
        return f"has the shape {list(value.shape)} instead of {list(shape)}"
    return ""


def _is_finite(tensor: Tensor) -> bool:
    return all(map(math.isfinite, tensor.aminmax()))  # much faster than isfinite().all()


def _misfit(file: str, key: str, problem: str, config: EncodecConfig) -> UserError:
    return UserError(f"{file}: key {key[:120]!r} {problem}: not a checkpoint of {config.name}; give one of that model")

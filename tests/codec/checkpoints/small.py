"""A small model, and tensors of checkpoints in every layout."""

from __future__ import annotations

import re
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from earmark.codec.encodec.config import EncodecConfig, SEANetConfig
from earmark.codec.encodec.model import EncodecModel

TINY = EncodecConfig(
    "tiny", 1600, (8.0, 16.0), SEANetConfig(dimension=8, filters=2, ratios=(4, 2), lstm=1), codebook_size=16
)  # 200 steps a second of 4 bits: 0.8 kbps a codebook


def tiny_model(config: EncodecConfig = TINY, seed: int = 0) -> EncodecModel:
    torch.manual_seed(seed)
    model = EncodecModel(config)
    torch.nn.init.normal_(model.quantizer.codebooks)
    return model


def written(state: dict[str, Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        state = {key: value.clone() for key, value in state.items()}
        safetensors.torch.save_file(state, path, {"format": "pt"})
    else:
        torch.save(state, path)
    return path


def rewritten(path: Path, **metadata: str | None) -> Path:
    """The same tensors with other metadata; None removes a field."""
    with safetensors.safe_open(path, "pt") as file:
        about = {**file.metadata(), **metadata}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    safetensors.torch.save_file(tensors, path, {key: value for key, value in about.items() if value is not None})
    return path


def parametrized(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weight norm with the keys of torch.nn.utils.parametrizations."""
    ends = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    return {re.sub(r"weight_[gv]$", lambda end: ends[end[0]], key): value for key, value in state.items()}


def hugging_face(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The keys of transformers' convert_encodec_checkpoint_to_pytorch.py; a test compares them with its model."""
    renamed = {}
    for key, value in state.items():
        key = re.sub(r"^(encoder|decoder)\.model\.", r"\1.layers.", key)
        key = key.replace(".conv.conv.", ".conv.").replace(".convtr.convtr.", ".conv.")
        key = key.replace(".conv.norm.", ".norm.").replace(".convtr.norm.", ".norm.")
        renamed[key.replace("quantizer.vq.", "quantizer.").replace("._codebook.", ".codebook.")] = value
    return renamed

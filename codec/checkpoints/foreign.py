"""Hugging Face folders and audiocraft's packages: where their weights and their shape are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from earmark.codec.checkpoints.foreign_configs import from_audiocraft, from_transformers
from earmark.codec.checkpoints.hub import CONFIG, WEIGHTS
from earmark.codec.encodec.config import EncodecConfig
from earmark.codec.errors import UserError

XP_CONFIG, STATE, POINTER = "xp.cfg", "best_state", "pretrained"  # keys of audiocraft's packages (1.3)


def weights_in(folder: Path) -> Path:
    """The weights of a Hugging Face folder.

    Raises:
        UserError: the folder lacks its configuration or its weights.
    """
    if not (folder / CONFIG).is_file():
        raise UserError(f"{folder}: no {CONFIG} in it; give a checkpoint file or a Hugging Face folder")
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise UserError(f"{folder}: neither {' nor '.join(WEIGHTS)} in it; download the model again")
    return weights


def shape_beside(weights: Path) -> EncodecConfig | None:
    """The shape that the configuration beside the weights of a Hugging Face folder describes; None without one."""
    path = weights.with_name(CONFIG)
    if weights.name not in WEIGHTS or not path.is_file():
        return None
    try:
        return from_transformers(path.read_text(encoding="utf-8", errors="replace"))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def from_package(path: Path, package: Mapping[str, Any]) -> tuple[dict[str, Tensor], EncodecConfig]:
    """Tensors and shape of a compression checkpoint that audiocraft exported.

    Raises:
        UserError: a package without weights, or of a model that Earmark cannot compute.
    """
    if POINTER in package:
        name = str(package[POINTER])[:100]
        raise UserError(f"{path}: holds no weights, only the name {name!r}; give that name instead")
    state, text = package.get(STATE), package.get(XP_CONFIG)
    if not isinstance(state, Mapping) or not isinstance(text, str):
        raise UserError(f"{path}: not a compression checkpoint that audiocraft's `export_encodec` wrote")
    if isinstance(state.get("model"), Mapping):  # a checkpoint of a training has one level more
        state = state["model"]
    try:
        return dict(state), from_audiocraft(text)
    except UserError as error:
        raise UserError(f"{path}: {XP_CONFIG}: {error}") from error

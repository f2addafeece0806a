"""Metadata of Earmark's own checkpoints, read without loading the weights and without torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

DEFINE_CODES = ("encoder.", "quantizer.")  # beginnings of the names of tensors


def bit_rates(path: Path) -> tuple[float, ...] | None:
    """The bit rates in kbps that the weights were trained for, ascending; None if the file is not Earmark's."""
    try:
        return tuple(float(kbps) for kbps in _config(path)["kbps"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):  # loading.load reports what is wrong
        return None


def filters(path: Path) -> int:
    """Channels of the encoder's first layer; every down-sampling doubles them.

    Raises:
        OSError, SafetensorError, KeyError: the file is not Earmark's.
    """
    return int(_config(path)["seanet"]["filters"])


def identity(path: Path) -> str | None:
    """The SHA-256 that identifies the weights, as stored in the file; None if the file is not Earmark's.

    A language model has one only if it is stored in integers. Loading the file verifies it.
    """
    try:
        metadata = _metadata(path)
    except (SafetensorError, OSError):  # loading.load reports what is wrong
        return None
    ours = metadata.get("format", "").startswith("earmark.")
    return metadata.get("identity") if ours and metadata.get("arithmetic") != "float32" else None


def recipe(path: Path) -> str | None:
    """The tables of the recipe that a model was trained by, as JSON; None if the file does not hold them."""
    try:
        return _metadata(path).get("recipe")
    except (SafetensorError, OSError):
        return None


def identities(path: Path) -> tuple[str, ...]:
    """The identities by which .ecdc files name one of Earmark's checkpoints: of its codes, and of all its weights.

    See `checkpoints.identities`; computed here from the file, without torch. Empty if the file is not Earmark's.
    """
    whole = identity(path)
    if whole is None:
        return ()
    hashed = hashlib.sha256()
    with safe_open(path, framework="np") as file:
        for name in sorted(file.keys()):
            if name.startswith(DEFINE_CODES):
                tensor = np.ascontiguousarray(file.get_tensor(name), "<f4")
                hashed.update(f"{name} {'x'.join(map(str, tensor.shape))}\n".encode("ascii"))
                hashed.update(tensor.data)
    return hashed.hexdigest(), whole


def _config(path: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(_metadata(path)["config"])
    return config


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="np") as file:
        return file.metadata() or {}

"""What one of our checkpoints tells of itself without its weights being loaded, and without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open


def bit_rates(path: Path) -> tuple[float, ...] | None:
    """The bit rates in kbps that the weights were trained for, ascending; None where the file is not ours."""
    try:
        return tuple(float(kbps) for kbps in _config(path)["kbps"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):  # codec.checkpoints.load says what is wrong
        return None


def filters(path: Path) -> int:
    """Channels of the encoder's first layer, which all others double.

    Raises:
        OSError, SafetensorError, KeyError: the file is not ours.
    """
    return int(_config(path)["seanet"]["filters"])


def identity(path: Path) -> str | None:
    """The SHA-256 that names the weights, as the file tells; None where it is not ours.

    Of a language model it is the integer one's. Whoever loads the file checks it.
    """
    try:
        metadata = _metadata(path)
    except (SafetensorError, OSError):  # codec.checkpoints.load says what is wrong
        return None
    ours = metadata.get("format", "").startswith("earmark.")
    return metadata.get("identity") if ours and metadata.get("arithmetic") != "float32" else None


def _config(path: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(_metadata(path)["config"])
    return config


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="np") as file:
        return file.metadata() or {}

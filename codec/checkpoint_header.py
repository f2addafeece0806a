"""What one of our checkpoints tells of itself without its weights being loaded, and without torch."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open


def bit_rates(path: Path) -> tuple[float, ...] | None:
    """The bit rates in kbps that the weights were trained for, ascending; None where the file is not ours."""
    try:
        with safe_open(path, framework="np") as file:
            config = json.loads((file.metadata() or {})["config"])
        return tuple(float(kbps) for kbps in config["kbps"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):  # codec.checkpoints.load says what is wrong
        return None

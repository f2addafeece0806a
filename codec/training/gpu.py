"""Fast training on a GPU: switches of its libraries, and updates that do not wait for its results."""

from __future__ import annotations

import torch


def set_up(device: torch.device, tf32: bool) -> None:
    """Set PyTorch's switches for a training on a GPU; nothing on other devices.

    cuDNN measures its algorithms, as all batches have one shape. TF32 rounds the factors of float32 products to 10 bits
    of mantissa and adds up in float32.

    Args:
        tf32: use TF32 in products and convolutions of float32.
    """
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32


def reading_waits(device: torch.device) -> bool:
    """Whether reading a value waits for a device, which works behind the process."""
    return device.type != "cpu"

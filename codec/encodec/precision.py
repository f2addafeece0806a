"""Which precision a processor computes fast."""

from __future__ import annotations

import functools
import platform

import torch


@functools.cache
def cpu_has_bfloat16() -> bool:
    """Whether the CPU has instructions for products in bfloat16.

    Without them, torch computes in float32 and converts: on a Xeon with AVX-512 alone, EnCodec then takes twice the
    time of float32.
    """
    if platform.machine().lower() in ("x86_64", "amd64", "x86"):
        return bool(torch.cpu._is_avx512_bf16_supported())
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 faster than in float32."""
    if device.type == "cpu":
        return cpu_has_bfloat16()
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)

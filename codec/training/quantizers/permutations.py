"""Random permutations that are the same on every device, and whose seed may be on the device."""

from __future__ import annotations

import torch
from torch import Tensor

# SplitMix64 (Steele, Lea and Flood 2014), with its constants as signed integers.
STEP = 0x9E3779B97F4A7C15 - (1 << 64)
FIRST, SECOND = 0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64)


def permutations(rows: int, size: int, seed: int, number: Tensor) -> Tensor:
    """Permutations of the integers below `size`, int64 [rows, size], that depend on `seed` and `number`.

    Args:
        number: int64 scalar on the device of the result, e.g. the number of an update; it is not read.
    """
    device = number.device
    start = mixed(mixed(torch.full((), seed % (1 << 63), device=device)) + number)
    keys = mixed(start + STEP * torch.arange(1, rows * size + 1, device=device))
    return keys.view(rows, size).argsort(dim=1, stable=True)


def mixed(numbers: Tensor) -> Tensor:
    """The output function of SplitMix64, int64 -> int64 modulo 2^64."""
    numbers = (numbers ^ _shifted(numbers, 30)) * FIRST
    numbers = (numbers ^ _shifted(numbers, 27)) * SECOND
    return numbers ^ _shifted(numbers, 31)


def _shifted(numbers: Tensor, bits: int) -> Tensor:
    """Logical shift to the right, which int64 lacks."""
    return (numbers >> bits) & ((1 << (64 - bits)) - 1)

"""Segments back into one signal: overlap-add with linear cross-fades (EnCodec paper, section 3.1, 48 kHz)."""

from __future__ import annotations

import torch
from torch import Tensor


def cross_fade_weight(length: int, like: Tensor) -> Tensor:
    """Triangular weight of a segment of `length` samples in `overlap_add`, [length]."""
    position = torch.linspace(0, 1, length + 2, device=like.device, dtype=like.dtype)[1:-1]
    return 0.5 - (position - 0.5).abs()


def overlap_add(parts: list[Tensor], stride: int) -> Tensor:
    r"""Join overlapping segments, cross-faded linearly where they overlap.

    Every segment has a triangular weight, and the sum is divided by the sum of the weights:

        weight   /\    /\    /\          where one segment stands alone it comes out as it is,
                /  \  /  \  /  \         where two overlap from S to T the second has the weight
               /    \/    \/    \        (t - S) / (T - S) and the first the rest
                    S T

    Args:
        parts: segments, [B, channels, T], all of the first one's length but for the last, which may be shorter.
        stride: samples from the start of one to that of the next.
    """
    if len(parts) == 1:
        return parts[0]
    weight = cross_fade_weight(parts[0].shape[-1], parts[0])
    total = parts[0].new_zeros(*parts[0].shape[:-1], stride * (len(parts) - 1) + parts[-1].shape[-1])
    weights = total.new_zeros(total.shape[-1])
    for index, part in enumerate(parts):
        place = slice(index * stride, index * stride + part.shape[-1])
        total[..., place] += weight[: part.shape[-1]] * part
        weights[place] += weight[: part.shape[-1]]
    return total / weights

"""Overlap-add of decoded segments with linear cross-fades (EnCodec paper, section 3.1, model for 48 kHz)."""

from __future__ import annotations

import torch
from torch import Tensor


def cross_fade_weight(length: int, like: Tensor) -> Tensor:
    """Triangular weight of a segment of `length` samples in `overlap_add`, [length]. In 16 bits some would be 0."""
    position = torch.linspace(0, 1, length + 2, device=like.device, dtype=torch.float32)[1:-1]
    return 0.5 - (position - 0.5).abs()


def overlap_add(parts: list[Tensor], stride: int) -> Tensor:
    r"""Join overlapping segments with linear cross-fades.

    Every segment gets a triangular weight, and the weighted sum is divided by the sum of the weights:

        weight   /\    /\    /\          A single segment comes out unchanged.
                /  \  /  \  /  \         Where two segments overlap, from S to T, the second has the
               /    \/    \/    \        weight (t - S) / (T - S) and the first has the rest.
                    S T

    Args:
        parts: segments, [B, channels, T], all of the same length except the last, which may be shorter.
        stride: samples from the start of one segment to the start of the next.

    Returns:
        The whole signal, [B, channels, stride * (segments - 1) + length of the last segment].
    """
    if len(parts) == 1:
        return parts[0]
    weight = cross_fade_weight(parts[0].shape[-1], parts[0])
    length = stride * (len(parts) - 1) + parts[-1].shape[-1]
    total = weight.new_zeros(*parts[0].shape[:-1], length)
    weights = weight.new_zeros(length)
    for index, part in enumerate(parts):
        span = slice(index * stride, index * stride + part.shape[-1])
        total[..., span] += weight[: part.shape[-1]] * part
        weights[span] += weight[: part.shape[-1]]
    return (total / weights).to(parts[0].dtype)

"""Segments of several signals in one batch: signals of different lengths, and segments that run together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TypeVar

import torch

from earmark.codec.encodec.codes import Segment

_Item = TypeVar("_Item")


def runs_of_one_shape(
    items: Sequence[_Item], shape: Callable[[_Item], torch.Size], count: int
) -> Iterator[list[_Item]]:
    """Split items into runs of neighbours with the same shape, [B, ...].

    Args:
        count: maximum number of signals per run; a run has at least one item, of B signals.
    """
    for (batch, *_), group in groupby(items, shape):
        run, size = list(group), max(1, count // batch)
        yield from (run[start : start + size] for start in range(0, len(run), size))


def stack(parts: Sequence[Segment | None]) -> Segment:
    """Combine the segments of several signals, [1, codebooks, T_i], into a batch padded with code 0 and its mask.

    Args:
        parts: the same segment of each signal; None for a signal that ends before it.
    """
    present = [part for part in parts if part is not None]
    steps = max(part.codes.shape[-1] for part in present)
    codes = present[0].codes.new_zeros(len(parts), present[0].codes.shape[1], steps)
    mask = torch.zeros(len(parts), steps, dtype=torch.bool, device=codes.device)
    scale = None if present[0].scale is None else present[0].scale.new_zeros(len(parts))
    for index, part in enumerate(parts):
        if part is not None:
            length = part.codes.shape[-1]
            codes[index, :, :length] = part.codes[0]
            mask[index, :length] = True
            if scale is not None and part.scale is not None:
                scale[index] = part.scale[0]
    return Segment(codes, scale, mask)


def unstack(segment: Segment, index: int) -> Segment | None:
    """One signal's segment, [1, codebooks, T_i], from a batch made by `stack`; None if the signal ends before it."""
    assert segment.mask is not None
    length = int(segment.mask[index].sum())
    if length == 0:
        return None
    scale = None if segment.scale is None else segment.scale[index : index + 1]
    return Segment(segment.codes[index : index + 1, :, :length], scale)

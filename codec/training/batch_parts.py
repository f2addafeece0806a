"""Parts of a batch, which are computed one after the other to save memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class BatchPart:
    """Examples of a batch: what is coded and what it should become, [B, channels, T] each.

    Args:
        denoise: whether the switch for denoising is on for each example, [B]; None for models without one.
    """

    source: Tensor
    target: Tensor
    denoise: Tensor | None


def split(batch: BatchPart, count: int) -> Iterator[BatchPart]:
    """Divide a batch into `count` parts of equal size."""
    denoise = [None] * count if batch.denoise is None else batch.denoise.chunk(count)
    for each in zip(batch.source.chunk(count), batch.target.chunk(count), denoise, strict=True):
        yield BatchPart(*each)


def means(metrics: Sequence[dict[str, float | Tensor]]) -> dict[str, float | Tensor]:
    """Means of the metrics of the parts of a batch."""
    if len(metrics) == 1:
        return metrics[0]
    return {name: sum(part[name] for part in metrics) / len(metrics) for name in metrics[0]}

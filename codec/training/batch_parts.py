"""A batch, its parts, which are computed one after the other to save memory, and the metrics of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from earmark.codec.training.distributed import average


@dataclass(frozen=True)
class BatchPart:
    """Examples of a batch: what is coded and what it should become, [B, channels, T] each.

    Args:
        denoise: whether the switch for denoising is on for each example, [B]; None for models without one.
    """

    source: Tensor
    target: Tensor
    denoise: Tensor | None


def whole(audio: Tensor, denoise: bool, draws: np.random.Generator) -> BatchPart:
    """A batch as one part.

    Args:
        audio: examples, [B, channels, T]; with `denoise`, [B, 2 channels, T], whose second half are the clean targets.
        denoise: turn the switch for denoising on for a random half of the examples.
    """
    if not denoise:
        return BatchPart(audio, audio, None)
    source, clean = audio.chunk(2, dim=1)
    chosen = torch.from_numpy(draws.random(len(audio)) < 0.5).to(audio.device)
    return BatchPart(source, torch.where(chosen[:, None, None], clean, source), chosen)


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


def joint(metrics: dict[str, float | Tensor], bad: Tensor | None) -> dict[str, float | Tensor]:
    """Means of the metrics over the processes; NaN instead of tensors if `bad` is 1 (see `FiniteCheck`)."""
    tensors = {name: value for name, value in metrics.items() if isinstance(value, Tensor)}
    values = torch.stack([value.detach().float() for value in tensors.values()])
    average([values])
    if bad is not None:
        values = torch.where(bad > 0, torch.nan, values)
    return {**metrics, **dict(zip(tensors, values, strict=True))}

"""Coded signals: the codes of every segment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch takes seconds to import, and a light install does without it
    from torch import Tensor


@dataclass(frozen=True)
class Segment:
    """Codes of one segment.

    Args:
        codes: [B, codebooks, T], the entry of each codebook at each latent step.
        scale: [B], by which the decoded segment is multiplied; None where the model does not normalise.
        mask: [B, T], False where a shorter signal of the batch has ended; None where all are of one length.
    """

    codes: Tensor
    scale: Tensor | None
    mask: Tensor | None = None


@dataclass(frozen=True)
class Codes:
    """A coded signal, or a batch of them.

    Args:
        samples: length, of the longest in a batch.
        lengths: of each signal of a batch where they differ.
        from_numpy: the signal was a numpy array, so that its decoding will be one too.
    """

    segments: tuple[Segment, ...]
    samples: int
    lengths: tuple[int, ...] | None = None
    from_numpy: bool = False

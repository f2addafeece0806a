"""How evenly a quantiser chooses its codewords, for the log of a training."""

from __future__ import annotations

import torch
from torch import Tensor


class CodewordUsage:
    """Statistics of recent choices, for a quantiser with codebooks.

    Attributes:
        usage: moving average of the share of each codeword in the choices, [codebooks, codebook_size].
        dead_below: share of the average below which a codeword counts as unused.
    """

    usage: Tensor
    dead_below: float

    @property
    def bits(self) -> int:
        """Bits per code."""
        return (self.usage.shape[1] - 1).bit_length()

    def bits_per_step(self, codes: Tensor) -> float:
        """Bits per step of `codes`, [B, K, T]."""
        return float(codes.shape[1] * self.bits)

    @property
    def perplexity(self) -> Tensor:
        """2^entropy of the recent choices in each codebook, [codebooks]; its size if all codewords are used equally."""
        return torch.special.entr(self._recent_choices()).sum(dim=1).exp()

    @property
    def used(self) -> Tensor:
        """Share of codewords in each codebook that are chosen often enough, [codebooks]."""
        return (self._recent_choices() * self.usage.shape[1] >= self.dead_below).float().mean(dim=1)

    def _recent_choices(self) -> Tensor:
        return self.usage / self.usage.sum(dim=1, keepdim=True).clamp(min=torch.finfo().tiny)

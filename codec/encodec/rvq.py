"""Residual vector quantisation (EnCodec paper, section 3.2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class ResidualVectorQuantizer(nn.Module):
    """Codebooks that quantise in turn what those before them left over.

    The buffer `codebooks` holds all codewords, [codebooks, codebook_size, dimension].
    """

    codebooks: Tensor

    def __init__(self, dimension: int, codebooks: int, codebook_size: int = 1024) -> None:
        super().__init__()
        if codebook_size & (codebook_size - 1):
            raise ValueError(f"{codebook_size} codewords: a code must be a whole number of bits")
        self.register_buffer("codebooks", torch.zeros(codebooks, codebook_size, dimension))

    @property
    def bits(self) -> int:
        """Bits of one code."""
        return int(math.log2(self.codebooks.shape[1]))

    def encode(self, latent: Tensor, count: int | None = None) -> Tensor:
        """Nearest codewords of the first `count` codebooks (all if None), [B, dimension, T] -> codes [B, count, T]."""
        batch, dimension, steps = latent.shape
        residual = latent.transpose(1, 2).reshape(-1, dimension)
        codes = []
        for book in self.codebooks[:count]:
            codes.append(nearest(residual, book))
            residual = residual - book[codes[-1]]
        return torch.stack(codes).reshape(-1, batch, steps).transpose(0, 1)

    def decode(self, codes: Tensor) -> Tensor:
        """The sum of the codewords, codes [B, count, T] -> [B, dimension, T]."""
        latent = torch.zeros(codes.shape[0], codes.shape[2], self.codebooks.shape[2]).to(self.codebooks)
        for book, code in zip(self.codebooks, codes.unbind(1), strict=False):
            latent = latent + book[code]
        return latent.transpose(1, 2)


def nearest(vectors: Tensor, codewords: Tensor) -> Tensor:
    """Which of the codewords, [N, D], lies nearest to each vector, [n, D] -> [n]; the first of those equally near."""
    # argmin |v - e|^2 = argmin |e|^2 / 2 - v.e: one product and no square of v, which moves no minimum.
    return torch.addmm(codewords.square().sum(1) / 2, vectors, codewords.T, alpha=-1).argmin(dim=1)

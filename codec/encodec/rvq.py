"""Residual vector quantisation (EnCodec paper, section 3.2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class ResidualVectorQuantizer(nn.Module):
    """Sequence of codebooks, each of which quantises the residual that those before it leave.

    Attributes:
        codebooks: buffer of all codewords, [codebooks, codebook_size, dimension], float32.

    Args:
        dimension: channels of the latent.
        codebooks: number of codebooks.
        codebook_size: codewords per codebook.

    Raises:
        ValueError: if `codebook_size` is not a power of two.
    """

    codebooks: Tensor

    def __init__(self, dimension: int, codebooks: int, codebook_size: int = 1024) -> None:
        super().__init__()
        if codebook_size & (codebook_size - 1):
            raise ValueError(f"{codebook_size} codewords: a code must be a whole number of bits")
        self.register_buffer("codebooks", torch.zeros(codebooks, codebook_size, dimension))

    @property
    def like(self) -> Tensor:
        """A tensor with the type and device of the weights."""
        return self.codebooks

    @property
    def sizes(self) -> list[int]:
        """Number of codewords of each codebook."""
        return [self.codebooks.shape[1]] * len(self.codebooks)

    def codes_per_step(self, count: int) -> int:
        """Number of codes of a step for a bit rate of `count` codebooks."""
        return count

    @property
    def bits(self) -> int:
        """Bits per code."""
        return int(math.log2(self.codebooks.shape[1]))

    def encode(self, latent: Tensor, count: int | None = None) -> Tensor:
        """Choose the nearest codeword of each codebook at each step.

        Args:
            latent: [B, dimension, T].
            count: number of codebooks to use; all if None.

        Returns:
            Codes, [B, count, T], int64.
        """
        batch, dimension, steps = latent.shape
        residual = latent.transpose(1, 2).reshape(-1, dimension)
        codes = []
        for book in self.codebooks[:count]:
            codes.append(nearest(residual, book))
            residual = residual - book[codes[-1]]
        return torch.stack(codes).reshape(-1, batch, steps).transpose(0, 1)

    def decode(self, codes: Tensor) -> Tensor:
        """Sum of the chosen codewords, codes [B, count, T] -> latent [B, dimension, T]."""
        latent = self.codebooks.new_zeros(codes.shape[0], codes.shape[2], self.codebooks.shape[2])
        for book, code in zip(self.codebooks, codes.unbind(1), strict=False):
            latent = latent + book[code]
        return latent.transpose(1, 2)


class FactorizedVectorQuantizer(ResidualVectorQuantizer):
    """Codebooks that are searched in few dimensions: "factorized codes", "L2-normalized codes" of DAC.

    A codebook projects the residual to `codebook_dim` dimensions, and chooses the codeword with the nearest direction
    there; the codeword is projected back. From Kumar et al. 2023 (arXiv 2306.06546, section 3.2), after Yu et al. 2021.

    Attributes:
        codebooks: buffer of all codewords as the decoder gets them, [codebooks, codebook_size, dimension].
        codewords: buffer of the codewords before their projection, [codebooks, codebook_size, codebook_dim].
        inward, inward_bias: projection of the residual, [codebooks, codebook_dim, dimension] and its bias.
        outward, outward_bias: projection of the codewords, [codebooks, dimension, codebook_dim] and its bias.
    """

    codewords: Tensor
    inward: Tensor
    inward_bias: Tensor
    outward: Tensor
    outward_bias: Tensor

    def __init__(self, dimension: int, codebooks: int, codebook_size: int, codebook_dim: int) -> None:
        super().__init__(dimension, codebooks, codebook_size)
        self.register_buffer("codewords", torch.zeros(codebooks, codebook_size, codebook_dim))
        self.register_buffer("inward", torch.zeros(codebooks, codebook_dim, dimension))
        self.register_buffer("inward_bias", torch.zeros(codebooks, codebook_dim))
        self.register_buffer("outward", torch.zeros(codebooks, dimension, codebook_dim))
        self.register_buffer("outward_bias", torch.zeros(codebooks, dimension))

    def encode(self, latent: Tensor, count: int | None = None) -> Tensor:
        batch, dimension, steps = latent.shape
        residual = latent.transpose(1, 2).reshape(-1, dimension)
        codes = []
        for book, codewords, weight, bias in zip(
            self.codebooks[:count], self.codewords, self.inward, self.inward_bias, strict=False
        ):
            codes.append(nearest_direction(residual @ weight.T + bias, codewords))
            residual = residual - book[codes[-1]]
        return torch.stack(codes).reshape(-1, batch, steps).transpose(0, 1)


def nearest_direction(vectors: Tensor, codewords: Tensor) -> Tensor:
    """Index of the codeword, [N, D], with the smallest angle to each vector, [n, D] -> [n]."""
    return (vectors @ nn.functional.normalize(codewords, dim=1).T).argmax(dim=1)


def nearest(vectors: Tensor, codewords: Tensor) -> Tensor:
    """Index of the codeword, [N, D], nearest to each vector, [n, D] -> [n]; the first of several at equal distance."""
    # argmin |v - e|^2 = argmin |e|^2 / 2 - v.e: a single product, and |v|^2 does not move the minimum.
    return torch.addmm(codewords.square().sum(1) / 2, vectors, codewords.T, alpha=-1).argmin(dim=1)

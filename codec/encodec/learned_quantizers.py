"""DiffQ and Gumbel quantisers for inference (EnCodec paper, sections A.2.1 and A.2.2), whose bit rate is learned.

Their codes are not equally probable, so that they come with the frequencies of an arithmetic coder
(`earmark.codec.language_model.prior_coder`). Frequencies and numbers of levels are stored as integers: any machine
decodes what another has encoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from earmark.codec.encodec.config import EncodecConfig
from earmark.codec.encodec.rvq import FactorizedVectorQuantizer, ResidualVectorQuantizer
from earmark.codec.errors import UserError

LIMIT = 3.0  # L: standard deviations on either side of the mean that the quantised range covers
MOST_LEVELS = 1 << 15  # of DiffQ: 15 bits
MOST_FREQUENCY = 1 << 24  # integers up to here are exact in float32


class LearnedQuantizer(nn.Module):
    """A quantiser whose codes have frequencies of their own."""

    def codes_per_step(self, count: int) -> int:
        """Number of codes of a step for a bit rate of `count` codebooks."""
        raise NotImplementedError

    def cumulative(self) -> list[Sequence[int]]:
        """Cumulative frequencies of each code of a step, each including its value's; the last is the total."""
        raise NotImplementedError

    def encode(self, latent: Tensor, count: int | None = None) -> Tensor:
        """Latent [B, dimension, T] -> codes [B, codes, T], int64."""
        raise NotImplementedError

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, codes, T] -> latent [B, dimension, T]."""
        raise NotImplementedError

    @property
    def like(self) -> Tensor:
        """A tensor with the type and device of the weights."""
        return next(self.buffers())

    @property
    def sizes(self) -> list[int]:
        """Number of values of each code of a step."""
        raise NotImplementedError

    @property
    def bits(self) -> int:
        """Bits that hold any code, though the arithmetic coder takes fewer."""
        return (max(self.sizes) - 1).bit_length()


class DiffQuantizer(LearnedQuantizer):
    """Rounds each dimension of the latent to its own number of levels, which are equally probable (A.2.1).

    A dimension of `levels` levels takes log2(levels) bits; one of a single level takes none, and equals its mean.

    Attributes:
        mean, deviation: of each dimension, [dimension].
        scale: factor of the deviation from the mean for dimensions of less than one bit, [dimension].
        levels: number of levels, integers, [dimension].
    """

    mean: Tensor
    deviation: Tensor
    scale: Tensor
    levels: Tensor

    def __init__(self, dimension: int) -> None:
        super().__init__()
        for name in ("mean", "deviation", "scale", "levels"):
            self.register_buffer(name, torch.ones(dimension))

    def codes_per_step(self, count: int) -> int:
        return len(self.levels)

    def cumulative(self) -> list[Sequence[int]]:
        return [range(1, count + 1) for count in self.sizes]

    @property
    def sizes(self) -> list[int]:
        return _integers(self.levels, MOST_LEVELS, "levels")

    def encode(self, latent: Tensor, count: int | None = None) -> Tensor:
        """Equation (7): the level of every value."""
        return diffq_codes(latent, self.mean, self.deviation, self.levels)

    def decode(self, codes: Tensor) -> Tensor:
        """The middle of every level."""
        return diffq_values(codes, self.mean, self.deviation, self.levels, self.scale)


def diffq_codes(latent: Tensor, mean: Tensor, deviation: Tensor, levels: Tensor) -> Tensor:
    """Equation (7): the level of every value, [B, D, T] -> codes [B, D, T]; the other arguments are [D]."""
    u = (LIMIT + (latent - mean[:, None]) / deviation[:, None]) / (2 * LIMIT)
    return torch.minimum((levels[:, None] * u.clamp(0, 1)).floor(), levels[:, None] - 1).long()


def diffq_values(codes: Tensor, mean: Tensor, deviation: Tensor, levels: Tensor, scale: Tensor) -> Tensor:
    """The middle of every level, codes [B, D, T] -> [B, D, T]; the other arguments are [D]."""
    deviations = LIMIT * (2 * (codes + 0.5) / levels[:, None] - 1)
    return mean[:, None] + scale[:, None] * deviation[:, None] * deviations


class GumbelQuantizer(LearnedQuantizer):
    """Codebooks whose most probable codewords are summed; an arithmetic coder knows their prior (A.2.2).

    Attributes:
        codebooks: [codebooks, codebook_size, dimension].
        bias: [codebooks, codebook_size].
        frequencies: of the prior, integers of at least 1, [codebooks, codebook_size].
    """

    codebooks: Tensor
    bias: Tensor
    frequencies: Tensor

    def __init__(self, dimension: int, codebooks: int, codebook_size: int) -> None:
        super().__init__()
        self.register_buffer("codebooks", torch.zeros(codebooks, codebook_size, dimension))
        self.register_buffer("bias", torch.zeros(codebooks, codebook_size))
        self.register_buffer("frequencies", torch.ones(codebooks, codebook_size))

    def codes_per_step(self, count: int) -> int:
        return count

    def cumulative(self) -> list[Sequence[int]]:
        return [list(accumulate(_integers(row, MOST_FREQUENCY, "frequencies"))) for row in self.frequencies]

    @property
    def sizes(self) -> list[int]:
        return [self.codebooks.shape[1]] * len(self.codebooks)

    def encode(self, latent: Tensor, count: int | None = None) -> Tensor:
        """The most probable codewords, argmax of C z + b."""
        logits = torch.einsum("bdt,knd->bktn", latent, self.codebooks[:count]) + self.bias[:count, None]
        return logits.argmax(dim=-1)

    def decode(self, codes: Tensor) -> Tensor:
        """The sum of the codewords."""
        chosen = [book[code] for book, code in zip(self.codebooks, codes.unbind(1), strict=False)]
        return torch.stack(chosen).sum(dim=0).transpose(1, 2)


def frequencies_of(prior: Tensor) -> Tensor:
    """Integer frequencies of a prior, of at least 1 and with a sum near 2^20.

    Args:
        prior: probabilities, [codebooks, codebook_size].
    """
    return (prior.double() * (1 << 20)).round().clamp(min=1).float()


def _integers(values: Tensor, most: int, name: str) -> list[int]:
    if values.is_meta:
        return [1] * len(values)
    listed: list[float] = values.tolist()
    if not all(1 <= value <= most and value == int(value) for value in listed):
        raise UserError(f"the checkpoint is damaged: {name} of its quantiser must be whole numbers from 1 to {most}")
    return [int(value) for value in listed]


def build(config: EncodecConfig) -> ResidualVectorQuantizer | LearnedQuantizer:
    """The quantiser of a configuration, without trained weights."""
    dimension = config.seanet.dimension
    if config.quantizer == "diffq":
        return DiffQuantizer(dimension)
    if config.quantizer == "gumbel":
        return GumbelQuantizer(dimension, config.codebooks(), config.codebook_size)
    if config.codebook_dim:
        return FactorizedVectorQuantizer(dimension, config.codebooks(), config.codebook_size, config.codebook_dim)
    return ResidualVectorQuantizer(dimension, config.codebooks(), config.codebook_size)

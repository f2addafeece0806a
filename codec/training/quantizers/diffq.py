"""DiffQ: scalar quantisation with a learned number of bits per dimension (EnCodec paper, section A.2.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from earmark.codec.encodec import learned_quantizers as inference
from earmark.codec.encodec.learned_quantizers import LIMIT
from earmark.codec.training.quantizers.joint_batch import mean_over_processes
from earmark.codec.training.quantizers.quantized import Quantized

MAX_BITS = 15.0
BOOST = 5.0  # alpha: increases the learning rate of the bits
DECAY = 0.9  # of the moving averages of mean and standard deviation, which are used at test time


class DiffQuantizer(nn.Module):
    """Rounds each dimension of the latent to a number of levels that is learned.

    A dimension has B = 15 sigmoid(5 v) bits, where v is learned. In training mode, noise in the size of the rounding
    error is added instead of rounding, so that everything is differentiable, B included. In evaluation mode, values are
    rounded to round(2^B) levels.

    If B is below 1, the deviation from the mean is scaled by B and the noise by sqrt(B) ("Sparsity"), so that a
    dimension without bits equals its mean. The paper defines this for training only. Decoding scales in the same way,
    so that the decoder network gets the range that it was trained on. There is one bit rate: the parameter `count` of
    `encode` exists for compatibility with the other quantisers.

    Args:
        dimension: size of the latent.
        bits_per_codebook: bits per step that one codebook of a budget stands for.
    """

    mean: Tensor
    deviation: Tensor
    learns = True  # whether mean and deviation change in training mode

    def __init__(self, dimension: int, bits_per_codebook: int = 10) -> None:
        super().__init__()
        self.bits_per_codebook = bits_per_codebook
        self.v = nn.Parameter(torch.zeros(dimension))
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("deviation", torch.ones(dimension))

    @property
    def bits_per_dimension(self) -> Tensor:
        """B, [D]."""
        return MAX_BITS * torch.sigmoid(BOOST * self.v)

    @property
    def levels(self) -> Tensor:
        """round(2^B), the number of levels of each dimension at test time, [D]; one level carries no information."""
        return torch.exp2(self.bits_per_dimension).round()

    def forward(self, latent: Tensor, codebooks: int) -> Quantized:
        """Equation (6) in training mode, rounding in evaluation mode.

        `bits` is the estimated bandwidth, the sum of B, in excess of the budget; 0 within the budget.

        Args:
            latent: [B, D, T] of any floating-point type; computed in float32.
            codebooks: budget, in codebooks.
        """
        with torch.autocast(latent.device.type, enabled=False):
            z = latent.float()
            codes = self.encode(z.detach())
            quantized = self._pseudo_quantized(z) if self.training else self.decode(codes)
            over = (self.bits_per_dimension.sum() - codebooks * self.bits_per_codebook).relu()
        return Quantized(quantized, codes, commitment=z.new_zeros(()), bits=over)

    def _pseudo_quantized(self, z: Tensor) -> Tensor:
        mean = z.mean(dim=(0, 2))
        # The constant keeps the gradient finite if a dimension is constant.
        deviation = (z.var(dim=(0, 2), correction=0) + 1e-8).sqrt()
        if self.learns:
            self._learn(mean_over_processes(mean.detach()), mean_over_processes(deviation.detach()))
        mean, reach = mean[:, None], LIMIT * deviation[:, None]
        bits = self.bits_per_dimension[:, None]
        noise = (2 * torch.rand_like(z) - 1) * reach * torch.exp2(-bits)
        scale = bits.clamp(max=1)
        return mean + scale * (z.clamp(mean - reach, mean + reach) - mean) + scale.sqrt() * noise

    def _learn(self, mean: Tensor, deviation: Tensor) -> None:
        """Include the statistics of a batch in the moving averages, which would never forget NaN or infinity."""
        finite = mean.isfinite().all() & deviation.isfinite().all()
        for average, value in ((self.mean, mean), (self.deviation, deviation)):
            average.copy_(torch.where(finite, average.lerp(value, 1 - DECAY), average))

    def encode(self, latent: Tensor, count: int | None = None) -> Tensor:
        """Equation (7): the level of every value, [B, D, T] -> codes [B, D, T]."""
        return inference.diffq_codes(latent, self.mean, self.deviation, self.levels)

    def decode(self, codes: Tensor) -> Tensor:
        """The middle of every level, codes [B, D, T] -> [B, D, T]."""
        scale = self.bits_per_dimension.clamp(max=1)
        return inference.diffq_values(codes, self.mean, self.deviation, self.levels, scale)

    @torch.no_grad()
    def start_from(self, quantizer: inference.DiffQuantizer) -> None:
        """Start from the quantiser of a model: the same levels, and the same values in decoding."""
        self.mean.copy_(quantizer.mean)
        self.deviation.copy_(quantizer.deviation)
        # A dimension of less than one bit has its bits as its scale. The quotient stays where its logit is finite.
        bits = torch.where(quantizer.scale < 1, quantizer.scale, quantizer.levels.log2())
        self.v.copy_(torch.logit((bits / MAX_BITS).clamp(1e-6, 1 - 1e-6)) / BOOST)

    @torch.no_grad()
    def plain(self) -> inference.DiffQuantizer:
        """A copy for inference, on the same device."""
        plain = inference.DiffQuantizer(len(self.mean))
        plain.mean, plain.deviation = self.mean.clone(), self.deviation.clone()
        plain.scale = self.bits_per_dimension.detach().clamp(max=1)
        plain.levels = self.levels.detach().clone()
        return plain

    @torch.no_grad()
    def bits_per_step(self, codes: Tensor) -> float:
        """Bits per step, the same for all codes."""
        return float(self.levels.log2().sum())

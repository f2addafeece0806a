"""Trainable codebooks that are searched in few dimensions, "factorized" and "L2-normalized" codes as in DAC."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from earmark.codec.encodec.rvq import FactorizedVectorQuantizer, nearest_direction
from earmark.codec.training.quantizers.joint_batch import sum_over_processes
from earmark.codec.training.quantizers.quantized import Quantized
from earmark.codec.training.quantizers.usage import CodewordUsage

COMMITMENT = 0.25  # weight of the latent's loss relative to the codewords', as in DAC
TENSORS = ("codewords", "inward", "inward_bias", "outward", "outward_bias")


class TrainableFactorizedQuantizer(CodewordUsage, nn.Module):
    """`FactorizedVectorQuantizer` in training; `plain()` returns the trained quantiser.

    Codewords and projections are parameters, which follow the gradient of the commitment loss and, through the
    projection outward, that of all losses (Kumar et al. 2023, arXiv 2306.06546, section 3.2 and appendix; the
    projections have no weight norm here).

    Args:
        dimension: size of a vector.
        codebooks: number of codebooks.
        codebook_size: codewords per codebook.
        codebook_dim: dimension of the search; 8 in DAC.
        decay: decay of the moving average of the choices, for the log.
        dead_below: share of the average below which a codeword counts as unused in the log.
    """

    usage: Tensor
    learns = True

    def __init__(
        self, dimension: int, codebooks: int, codebook_size: int, codebook_dim: int,
        *, decay: float = 0.99, dead_below: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__()
        self._decay, self.dead_below = decay, dead_below
        # Projections that keep the variance of what they get.
        self.codewords = nn.Parameter(torch.randn(codebooks, codebook_size, codebook_dim))
        self.inward = nn.Parameter(torch.randn(codebooks, codebook_dim, dimension) / dimension**0.5)
        self.inward_bias = nn.Parameter(torch.zeros(codebooks, codebook_dim))
        self.outward = nn.Parameter(torch.randn(codebooks, dimension, codebook_dim) / codebook_dim**0.5)
        self.outward_bias = nn.Parameter(torch.zeros(codebooks, dimension))
        self.register_buffer("usage", torch.zeros(codebooks, codebook_size))

    def forward(self, latent: Tensor, codebooks: int) -> Quantized:
        """Quantise with the first `codebooks` codebooks.

        The gradient passes straight through the choice of codewords. The commitment loss is the sum over the codebooks
        of |q - sg(z)|^2 + 0.25 |z - sg(q)|^2, each as the mean over batch, time and dimensions.

        Args:
            latent: [B, dimension, T] of any floating-point type; computed in float32.
            codebooks: number of codebooks to use.
        """
        with torch.autocast(latent.device.type, enabled=False):
            residual = latent.float().transpose(1, 2).flatten(0, 1)
            quantized, commitment, codes = torch.zeros_like(residual), residual.new_zeros(()), []
            for index in range(codebooks):
                z = residual @ self.inward[index].T + self.inward_bias[index]
                codes.append(nearest_direction(z.detach(), self.codewords[index].detach()))
                q = self.codewords[index][codes[-1]]
                commitment = commitment + functional.mse_loss(q, z.detach())
                commitment = commitment + COMMITMENT * functional.mse_loss(z, q.detach())
                through = q.detach() + (z - z.detach())
                output = through @ self.outward[index].T + self.outward_bias[index]
                quantized = quantized + output
                residual = residual - output
            if self.training:
                self._count(codes)
        batch, _, steps = latent.shape
        return Quantized(
            latent=quantized.reshape(batch, steps, -1).transpose(1, 2),
            codes=torch.stack(codes).reshape(-1, batch, steps).transpose(0, 1),
            commitment=commitment,
            bits=commitment.new_zeros(()),
        )

    @torch.no_grad()
    def start_from(self, quantizer: FactorizedVectorQuantizer) -> None:
        """Start from the codebooks of another training; surplus ones are ignored, and missing ones stay random."""
        for name in TENSORS:
            ours, theirs = getattr(self, name), getattr(quantizer, name)
            known = min(len(ours), len(theirs))
            ours[:known] = theirs[:known]

    @torch.no_grad()
    def plain(self) -> FactorizedVectorQuantizer:
        """A quantiser for inference with copies of all tensors."""
        books, size, small = self.codewords.shape
        quantizer = FactorizedVectorQuantizer(self.outward.shape[1], books, size, small)
        for name in TENSORS:
            setattr(quantizer, name, getattr(self, name).detach().clone())
        quantizer.codebooks = self.codewords @ self.outward.mT + self.outward_bias[:, None]
        return quantizer

    @torch.no_grad()
    def _count(self, codes: list[Tensor]) -> None:
        ones = self.usage.new_ones(len(codes[0]))
        # Unlike bincount(), this need not wait for a GPU.
        of_books = [self.usage.new_zeros(self.usage.shape[1]).index_add_(0, code, ones) for code in codes]
        counts = sum_over_processes(torch.stack(of_books))
        self.usage[: len(codes)].lerp_(counts / counts.sum(dim=1, keepdim=True), 1 - self._decay)

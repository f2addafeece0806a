"""Gumbel-softmax quantisation with a learned prior (EnCodec paper, section A.2.2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from earmark.codec.encodec import learned_quantizers as inference
from earmark.codec.training.quantizers.quantized import Quantized

TEMPERATURE = 0.5


class GumbelQuantizer(nn.Module):
    """Codebooks whose codewords are drawn from a distribution given by the latent; their sum is the output.

    The codewords C_i of codebook i have the probabilities q_i(z) = softmax(C_i z + b_i). Training mixes them with
    weights sampled from the Gumbel-softmax of q_i, which are nearly one-hot. At test time the paper draws from q_i;
    here the most probable codeword is taken, so that coding is deterministic.

    The parameters are `codebooks` [codebooks, codebook_size, dimension], `bias` b and the logits of the `prior`, both
    [codebooks, codebook_size]. An entropy coder that knows the prior spends -log2 p_i(k) bits on codeword k.

    Args:
        dimension: size of a vector.
        codebooks: number of codebooks.
        codebook_size: codewords per codebook.
    """

    learns = True  # as in the other quantisers; all that it learns are parameters

    def __init__(self, dimension: int, codebooks: int, codebook_size: int = 1024) -> None:
        super().__init__()
        # A latent of unit variance gives logits of unit variance.
        self.codebooks = nn.Parameter(torch.randn(codebooks, codebook_size, dimension) / math.sqrt(dimension))
        self.bias = nn.Parameter(torch.zeros(codebooks, codebook_size))
        self.prior = nn.Parameter(torch.zeros(codebooks, codebook_size))

    def forward(self, latent: Tensor, codebooks: int) -> Quantized:
        """Equation (8) in training mode, the most probable codewords in evaluation mode.

        `bits` is the cross entropy of the prior and q, summed over the codebooks and averaged over the steps.
        Minimising it fits the prior and saves bandwidth.

        Args:
            latent: [B, dimension, T] of any floating-point type; computed in float32.
            codebooks: number of codebooks to use.
        """
        with torch.autocast(latent.device.type, enabled=False):
            log_q = self._logits(latent.float(), codebooks).log_softmax(dim=-1)
            codes = log_q.argmax(dim=-1)
            if self.training:
                mixture = F.gumbel_softmax(log_q, TEMPERATURE)
                quantized = torch.einsum("bktn,knd->bdt", mixture, self.codebooks[:codebooks])
            else:
                quantized = self.decode(codes)
            shares = log_q.exp().mean(dim=(0, 2))
            cross_entropy = -(shares * self._log2_prior()[:codebooks]).sum()
        return Quantized(quantized, codes, commitment=cross_entropy.new_zeros(()), bits=cross_entropy)

    def encode(self, latent: Tensor, count: int | None = None) -> Tensor:
        """The most probable codewords of the first `count` codebooks, [B, dimension, T] -> codes [B, count, T]."""
        return self._logits(latent, count).argmax(dim=-1)

    def decode(self, codes: Tensor) -> Tensor:
        """The sum of the codewords, codes [B, count, T] -> [B, dimension, T]."""
        chosen = [book[code] for book, code in zip(self.codebooks, codes.unbind(1), strict=False)]
        return torch.stack(chosen).sum(dim=0).transpose(1, 2)

    @torch.no_grad()
    def start_from(self, quantizer: inference.GumbelQuantizer) -> None:
        """Start from the codebooks of a model; surplus ones are ignored, and missing ones stay random."""
        known = min(len(self.codebooks), len(quantizer.codebooks))
        self.codebooks[:known] = quantizer.codebooks[:known]
        self.bias[:known] = quantizer.bias[:known]
        self.prior[:known] = quantizer.frequencies[:known].log()  # a softmax makes them probabilities again

    @torch.no_grad()
    def plain(self) -> inference.GumbelQuantizer:
        """A copy for inference, on the same device; its prior in whole numbers."""
        plain = inference.GumbelQuantizer(self.codebooks.shape[2], *self.codebooks.shape[:2])
        plain.codebooks, plain.bias = self.codebooks.detach().clone(), self.bias.detach().clone()
        plain.frequencies = inference.frequencies_of(self.prior.detach().softmax(dim=-1))
        return plain

    @torch.no_grad()
    def bits_per_step(self, codes: Tensor) -> float:
        """Mean bits per step of `codes`, [B, K, T], coded with the prior."""
        prior = self._log2_prior()[: codes.shape[1]].expand(len(codes), -1, -1)
        return -float(prior.gather(2, codes).sum(dim=1).mean())

    def _logits(self, latent: Tensor, count: int | None) -> Tensor:
        """C z + b, [B, dimension, T] -> [B, count, T, codebook_size]."""
        return torch.einsum("bdt,knd->bktn", latent, self.codebooks[:count]) + self.bias[:count, None]

    def _log2_prior(self) -> Tensor:
        return self.prior.log_softmax(dim=-1) / math.log(2)

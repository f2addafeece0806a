"""What a quantiser returns while the networks around it are trained."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Quantized:
    """A quantised latent and the losses that quantising adds.

    Args:
        latent: what the decoder receives, float32 [B, D, T]; its gradient reaches the quantiser's input.
        codes: what would be sent, [B, K, T].
        commitment: how far each residual step's input is from its codeword, a scalar; 0 where there are no such steps.
        bits: bits a latent step that training is to save, a scalar; 0 where the rate is fixed or within its budget.
    """

    latent: Tensor
    codes: Tensor
    commitment: Tensor
    bits: Tensor

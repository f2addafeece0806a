"""The output of a trainable quantiser."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Quantized:
    """A quantised latent, and the losses of its quantiser.

    Args:
        latent: input of the decoder, float32 [B, D, T]; its gradient reaches the quantiser's input.
        codes: codes, [B, K, T].
        commitment: commitment loss, a scalar; 0 for quantisers without one.
        bits: bits per step that training should save, a scalar; 0 if the rate is fixed or within its budget.
    """

    latent: Tensor
    codes: Tensor
    commitment: Tensor
    bits: Tensor

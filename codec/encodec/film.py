"""Feature-wise linear modulation by a switch: SoundStream's joint compression and denoising (section III-F)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FiLM(nn.Module):
    """Scales and shifts each channel by a condition, here whether to denoise, [B, C, T] -> [B, C, T].

    gamma and beta of a channel are linear in the condition, which is one-hot: off or on (Perez et al. 2018). It starts
    as the identity. At the bottleneck of the encoder, it decides whether noise is coded at all; the file is the same.

    Attributes:
        enabled: the condition: for the whole batch, or for each signal of it, [B].
    """

    enabled: bool | Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.condition = nn.Linear(2, 2 * channels)
        with torch.no_grad():
            self.condition.weight.zero_()
            self.condition.bias.copy_(torch.cat([torch.ones(channels), torch.zeros(channels)]))
        self.enabled = False

    def forward(self, x: Tensor) -> Tensor:
        on = torch.as_tensor(self.enabled, device=x.device).to(x.dtype).reshape(-1)
        gamma, beta = self.condition(torch.stack([1 - on, on], dim=-1)).chunk(2, dim=-1)
        return gamma[..., None] * x + beta[..., None]

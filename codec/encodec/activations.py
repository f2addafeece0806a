"""Activations of SEANet: ELU as in the paper, Snake, and those of plug-ins."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from earmark.codec import plugins

BUILT_IN = ("elu", "snake")


class Snake(nn.Module):
    """x + sin^2(alpha x) / alpha with a learned alpha per channel, [B, C, T] -> [B, C, T].

    From Ziyin et al. 2020 (arXiv 2006.08195); DAC (Kumar et al. 2023, arXiv 2306.06546) uses it in a codec. It is
    periodic, which helps with tones.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.sin(self.alpha * x).square() / (self.alpha + 1e-9)


def activation(name: str, channels: int) -> nn.Module:
    """The activation of a name for a number of channels.

    Raises:
        UserError: no plug-in that is loaded has it.
    """
    if name == "elu":
        return nn.ELU()
    if name == "snake":
        return Snake(channels)
    made: nn.Module = plugins.find("activation", name, BUILT_IN)(channels)
    return made

"""The layers that all discriminators share: they give logits and, for feature matching, the output of each layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

SLOPE = 0.2  # of LeakyReLU; not in the papers, but that of the public reference and of MelGAN


@dataclass(frozen=True)
class DiscriminatorOutput:
    """Output of one network for N = batch x channels signals.

    Args:
        logits: [N, 1, ...]; training moves them to 1 or more for source audio and to -1 or less for decoded audio.
        features: outputs of all layers but the last, [N, width, ...] each.
    """

    logits: Tensor
    features: tuple[Tensor, ...]


class DiscriminatorNetwork(nn.Module):
    """Layers with a LeakyReLU after each, and a last layer that gives the logits.

    Args:
        layers: layers whose outputs are features.
        last: layer of the logits.
    """

    def __init__(self, layers: Iterable[nn.Module], last: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.last = last

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE, inplace=True)
            features.append(x)
        with torch.autocast(x.device.type, enabled=False):  # logits with the eight bits of bfloat16 are too coarse
            logits = self.last(x.float() if x.dtype == torch.bfloat16 else x)
        return DiscriminatorOutput(logits, tuple(features))


def split_channels(audio: Tensor) -> Tensor:
    """Make a signal of each channel, [B, C, T] -> [B * C, 1, T]: "we process separately the left and right"."""
    return audio.flatten(0, 1)[:, None]

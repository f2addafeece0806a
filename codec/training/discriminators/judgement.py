"""What every discriminator gives: logits, and the outputs of its layers for the feature matching loss."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

SLOPE = 0.2  # of LeakyReLU; the papers name none, this is the public reference's and MelGAN's


@dataclass(frozen=True)
class Judgement:
    """What one network says of N = batch x channels signals.

    Args:
        logits: [N, 1, ...], trained towards 1 and more for source audio, -1 and less for decoded.
        features: what each layer but the last gives, [N, width, ...].
    """

    logits: Tensor
    features: tuple[Tensor, ...]


class Judge(nn.Module):
    """Layers, each followed by LeakyReLU, and a last one that gives the logits; x -> Judgement."""

    def __init__(self, layers: Iterable[nn.Module], last: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.last = last

    def forward(self, x: Tensor) -> Judgement:
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE, inplace=True)
            features.append(x)
        return Judgement(self.last(x), tuple(features))


def each_channel(audio: Tensor) -> Tensor:
    """Channels as signals of their own, [B, C, T] -> [B * C, 1, T]: "we process separately the left and right"."""
    return audio.flatten(0, 1)[:, None]

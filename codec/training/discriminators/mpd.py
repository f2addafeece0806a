"""Multi-period discriminator, MPD (HiFi-GAN, Kong et al. 2020; EnCodec paper, Table 2)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from earmark.codec.encodec.layers import reflect
from earmark.codec.training.discriminators.network import DiscriminatorNetwork, DiscriminatorOutput, split_channels

PERIODS = (2, 3, 5, 7, 11)


class MultiPeriod(nn.Module):
    """One network per period, on the waveform folded at that period, [B, C, T] -> one output per period.

    A waveform is padded by reflection to a multiple of the period p and folded to [N, 1, T / p, p]. The kernels cover 5
    rows and one column: four convolutions with stride 3 and one without stride. A kernel of 3 rows gives the logits.

    Args:
        filters: channels of the first convolution; the others have 4, 16, 32 and 32 times as many.
    """

    def __init__(self, filters: int = 32) -> None:
        super().__init__()
        self.networks = nn.ModuleList(_network(filters) for _ in PERIODS)

    def forward(self, audio: Tensor) -> list[DiscriminatorOutput]:
        signals = split_channels(audio)
        outputs = []
        for period, network in zip(PERIODS, self.networks, strict=True):
            folded = reflect(signals, 0, -signals.shape[-1] % period).unflatten(-1, (-1, period))
            outputs.append(network(folded))
        return outputs


def _network(filters: int) -> DiscriminatorNetwork:
    widths = [1, filters, 4 * filters, 16 * filters, 32 * filters, 32 * filters]
    strides = [3, 3, 3, 3, 1]
    layers = [
        weight_norm(nn.Conv2d(width, wider, (5, 1), stride=(stride, 1), padding=(2, 0)))
        for width, wider, stride in zip(widths[:-1], widths[1:], strides, strict=True)
    ]
    return DiscriminatorNetwork(layers, weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0))))

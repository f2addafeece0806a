"""Multi-scale discriminator of waveforms, MSD (MelGAN, Kumar et al. 2019; SoundStream, section III-D).

Used in Table 2 and in the re-implementation of SoundStream (EnCodec paper, sections 4.5.1 and A.1).
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from earmark.codec.training.discriminators.network import DiscriminatorNetwork, DiscriminatorOutput, split_channels

SCALES = 3


class MultiScale(nn.Module):
    """One network per scale, on the waveform down-sampled by 1, 2 and 4, [B, C, T] -> one output per scale.

    Each network has a convolution of 15 samples; four grouped convolutions of 41 samples that down-sample by 4, with
    four channels per group and four times as many channels as before, up to 64 times the first; one of 5 samples, and
    one of 3 for the logits. The network of the original waveform has spectral norm, the others have weight norm
    (EnCodec paper, A.1).

    Args:
        filters: channels of the first convolution.
    """

    def __init__(self, filters: int = 16) -> None:
        super().__init__()
        self.networks = nn.ModuleList(_network(filters, spectral=scale == 0) for scale in range(SCALES))

    def forward(self, audio: Tensor) -> list[DiscriminatorOutput]:
        signals = split_channels(audio)
        outputs = [self.networks[0](signals)]
        for network in self.networks[1:]:
            signals = F.avg_pool1d(signals, 4, stride=2, padding=1, count_include_pad=False)
            outputs.append(network(signals))
        return outputs


def _network(filters: int, spectral: bool) -> DiscriminatorNetwork:
    norm = spectral_norm if spectral else weight_norm
    layers = [norm(nn.Conv1d(1, filters, 15, padding=7, padding_mode="reflect"))]
    width, widest = filters, 64 * filters
    for _ in range(4):
        wider = min(4 * width, widest)
        groups = width // math.gcd(width, 4)
        layers.append(norm(nn.Conv1d(width, wider, 41, stride=4, padding=20, groups=groups)))
        width = wider
    layers.append(norm(nn.Conv1d(width, width, 5, padding=2)))
    return DiscriminatorNetwork(layers, norm(nn.Conv1d(width, 1, 3, padding=1)))

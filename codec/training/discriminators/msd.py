"""The multi-scale discriminator of waveforms, MSD (MelGAN, Kumar et al. 2019; SoundStream, section III-D).

In Table 2 and in SoundStream's re-implementation (EnCodec paper, sections 4.5.1 and A.1).
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from earmark.codec.training.discriminators.judgement import Judge, Judgement, each_channel

SCALES = 3


class MultiScale(nn.Module):
    """Alike networks on the signal and on it down-sampled by 2 and 4, [B, C, T] -> one judgement a scale.

    Each has a convolution of 15 samples, four grouped ones that down-sample by 4 (41 samples, four channels a group,
    four times the channels up to 64 times the first), one of 5 and one of 3. Spectral norm on the original signal,
    weight norm on the others (EnCodec paper, A.1).

    Args:
        filters: channels of the first convolution.
    """

    def __init__(self, filters: int = 16) -> None:
        super().__init__()
        self.judges = nn.ModuleList(_judge(filters, spectral=scale == 0) for scale in range(SCALES))

    def forward(self, audio: Tensor) -> list[Judgement]:
        signals = each_channel(audio)
        judgements = [self.judges[0](signals)]
        for judge in self.judges[1:]:
            signals = F.avg_pool1d(signals, 4, stride=2, padding=1, count_include_pad=False)
            judgements.append(judge(signals))
        return judgements


def _judge(filters: int, spectral: bool) -> Judge:
    norm = spectral_norm if spectral else weight_norm
    layers = [norm(nn.Conv1d(1, filters, 15, padding=7, padding_mode="reflect"))]
    width, widest = filters, 64 * filters
    for _ in range(4):
        wider = min(4 * width, widest)
        groups = width // math.gcd(width, 4)
        layers.append(norm(nn.Conv1d(width, wider, 41, stride=4, padding=20, groups=groups)))
        width = wider
    layers.append(norm(nn.Conv1d(width, width, 5, padding=2)))
    return Judge(layers, norm(nn.Conv1d(width, 1, 3, padding=1)))

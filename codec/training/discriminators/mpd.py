"""The multi-period discriminator of waveforms, MPD (HiFi-GAN, Kong et al. 2020; EnCodec paper, Table 2)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from earmark.codec.encodec.layers import reflect
from earmark.codec.training.discriminators.judgement import Judge, Judgement, each_channel

PERIODS = (2, 3, 5, 7, 11)


class MultiPeriod(nn.Module):
    """Alike networks on the signal folded at several periods, [B, C, T] -> one judgement a period.

    Folded by p, a signal is [N, 1, T / p, p], continued by reflection to a multiple of p. The convolutions see 5 steps
    of T / p and one of p: four with stride 3, one without, and one of 3 steps for the logits.

    Args:
        filters: channels of the first convolution; 4, 16, 32 and 32 times as many in those after it.
    """

    def __init__(self, filters: int = 32) -> None:
        super().__init__()
        self.judges = nn.ModuleList(_judge(filters) for _ in PERIODS)

    def forward(self, audio: Tensor) -> list[Judgement]:
        signals = each_channel(audio)
        judgements = []
        for period, judge in zip(PERIODS, self.judges, strict=True):
            folded = reflect(signals, 0, -signals.shape[-1] % period).unflatten(-1, (-1, period))
            judgements.append(judge(folded))
        return judgements


def _judge(filters: int) -> Judge:
    widths = [1, filters, 4 * filters, 16 * filters, 32 * filters, 32 * filters]
    strides = [3, 3, 3, 3, 1]
    layers = [
        weight_norm(nn.Conv2d(width, wider, (5, 1), stride=(stride, 1), padding=(2, 0)))
        for width, wider, stride in zip(widths[:-1], widths[1:], strides, strict=True)
    ]
    return Judge(layers, weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0))))

"""The multi-scale STFT discriminator, MS-STFT (EnCodec paper, section 3.4 and figure 2)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from earmark.codec.training.discriminators.judgement import Judge, Judgement, each_channel
from earmark.codec.training.losses.spectrogram import Spectrogram, two_channels

DILATIONS = (1, 2, 4)  # in time


class MultiScaleSTFT(nn.Module):
    """Alike networks on the complex STFTs of several windows, [B, C, T] -> one judgement a window.

    Each takes real and imaginary part as two channels, [N, 2, frames, frequencies]; a convolution of 3 x 8 (time x
    frequency) is followed by three of the same size that are dilated by 1, 2 and 4 in time and halve the frequencies,
    and one of 3 x 3 gives the logits. This is the paper's text. The public reference has 3 x 9 instead, and one more
    layer of 3 x 3 before the last; what the two share is the same for `kernel` (3, 9).

    Args:
        windows: samples of each STFT; the hop is a quarter. No signal may be shorter than the longest.
        filters: channels of all layers but the last.
        kernel: of all convolutions but the last, (time, frequency).
    """

    def __init__(self, windows: Sequence[int], filters: int = 32, kernel: tuple[int, int] = (3, 8)) -> None:
        super().__init__()
        self.spectrograms = nn.ModuleList(Spectrogram(window) for window in windows)
        self.judges = nn.ModuleList(_judge(filters, kernel) for _ in windows)

    def forward(self, audio: Tensor) -> list[Judgement]:
        signals = each_channel(audio)[:, 0]
        return [
            judge(two_channels(spectrogram(signals)))
            for spectrogram, judge in zip(self.spectrograms, self.judges, strict=True)
        ]


def _judge(filters: int, kernel: tuple[int, int]) -> Judge:
    time, frequency = kernel
    # Half of kernel - 1 on either side: with a width of 8 the first layer turns window / 2 + 1 frequencies into
    # window / 2, and each of the next halves them.
    sides = (frequency - 1) // 2
    layers = [weight_norm(nn.Conv2d(2, filters, kernel, padding=((time - 1) // 2, sides)))]
    for dilation in DILATIONS:
        padding = (dilation * (time - 1) // 2, sides)
        conv = nn.Conv2d(filters, filters, kernel, stride=(1, 2), dilation=(dilation, 1), padding=padding)
        layers.append(weight_norm(conv))
    return Judge(layers, weight_norm(nn.Conv2d(filters, 1, 3, padding=1)))

"""SoundStream's STFT discriminator, Mono-STFT (Zeghidour et al. 2021, section III-D and figure 4).

Used in Table 2 and in the re-implementation of SoundStream (EnCodec paper, sections 4.2, 4.5.1 and A.1).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from earmark.codec.training.discriminators.network import (
    SLOPE,
    DiscriminatorNetwork,
    DiscriminatorOutput,
    split_channels,
)
from earmark.codec.training.losses.spectrogram import Spectrogram, compressed, two_channels

# Per residual unit: its width over that of the first convolution, its widening, and its strides in time and frequency.
UNITS = ((1, 2, (1, 2)), (2, 2, (2, 2)), (4, 1, (1, 2)), (4, 2, (2, 2)), (8, 1, (1, 2)), (8, 2, (2, 2)))


class MonoSTFT(nn.Module):
    """One network on the complex STFT, [B, C, T] -> one output.

    A 7 x 7 convolution of real and imaginary part, [N, 2, frames, window / 2]; six residual units that reduce the
    frames by 2^3 and the frequencies by 2^6; and a convolution over all remaining frequencies, which gives the logits,
    [N, 1, frames, 1]. The highest of the window / 2 + 1 frequencies is dropped, as in the paper's F = W / 2. All
    convolutions but the first and the last have layer norm; the authors report divergence without it.

    Args:
        window: samples of the STFT, a multiple of 128; the hop is a quarter of it. Signals must have 8 frames, that is
            2.75 windows.
        filters: channels of the first convolution.
        compression: power of the magnitudes, see MultiScaleSTFT.
    """

    def __init__(self, window: int = 1024, filters: int = 32, compression: float = 1.0) -> None:
        super().__init__()
        self.compression = compression
        self.spectrogram = Spectrogram(window)
        first = nn.Conv2d(2, filters, 7, padding=3)
        units = [_ResidualUnit(width * filters, widening, strides) for width, widening, strides in UNITS]
        self.network = DiscriminatorNetwork([first, *units], nn.Conv2d(16 * filters, 1, (1, window // 128)))

    def forward(self, audio: Tensor) -> list[DiscriminatorOutput]:
        spectrum = self.spectrogram(split_channels(audio)[:, 0])[..., :-1]
        return [self.network(two_channels(compressed(spectrum, self.compression)))]


class _ResidualUnit(nn.Module):
    """Residual unit, [N, width, T, F] -> [N, widening * width, T // s_t, F // s_f].

    A 3 x 3 convolution and one with a kernel of its strides + 2; in parallel a 1 x 1 convolution with the same strides.
    """

    def __init__(self, width: int, widening: int, strides: tuple[int, int]) -> None:
        super().__init__()
        kernel = (strides[0] + 2, strides[1] + 2)
        self.narrow = nn.Conv2d(width, width, 3, padding=1)
        self.narrow_norm = _TimeStepNorm(width)
        self.wide = nn.Conv2d(width, widening * width, kernel, stride=strides, padding=1)
        self.wide_norm = _TimeStepNorm(widening * width)
        self.shortcut = nn.Conv2d(width, widening * width, 1)
        self.strides = strides

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.wide_norm(self.wide(F.leaky_relu(self.narrow_norm(self.narrow(x)), SLOPE)))
        # Strides by slicing: in oneDNN the weight gradient of a strided 1 x 1 convolution with few channels, in
        # channels-last order, writes out of bounds (PyTorch 2.13, AVX-512). Slicing keeps one frame too many if their
        # number is odd.
        frames, frequencies = self.strides
        skipped = x[:, :, ::frames, ::frequencies][:, :, : y.shape[2]]
        return y + self.shortcut(skipped)


class _TimeStepNorm(nn.GroupNorm):
    """Layer norm over the channels and frequencies of each frame, [N, width, T, F]."""

    def __init__(self, width: int) -> None:
        super().__init__(1, width)

    def forward(self, input: Tensor) -> Tensor:
        steps = input.transpose(1, 2)
        return super().forward(steps.flatten(0, 1)).unflatten(0, steps.shape[:2]).transpose(1, 2)

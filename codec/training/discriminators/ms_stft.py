"""Multi-scale STFT discriminator, MS-STFT (EnCodec paper, section 3.4 and figure 2)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from earmark.codec.training.discriminators.network import DiscriminatorNetwork, DiscriminatorOutput, split_channels
from earmark.codec.training.losses.spectrogram import Spectrogram, compressed, two_channels

DILATIONS = (1, 2, 4)  # in time


class MultiScaleSTFT(nn.Module):
    """One network per window, on the complex STFT with that window, [B, C, T] -> one output per window.

    Real and imaginary part are two channels, [N, 2, frames, frequencies]. A convolution of 3 x 8 (time x frequency) is
    followed by three of the same size, dilated by 1, 2 and 4 in time, that halve the frequencies. A last one, 3 x
    3, gives the logits. This follows the text of the paper. The public reference has kernels of 3 x 9 and one more
    layer of 3 x 3 before the last; with `kernel` (3, 9) all other layers are equal.

    Args:
        windows: samples of each STFT; the hop is a quarter of it. Signals must not be shorter than the longest.
        filters: channels of all layers but the last.
        kernel: size of all kernels but the last, (time, frequency).
        compression: power of the magnitudes of the STFTs, whose phases are kept. With linear magnitudes, faint upper
            bands and hiss 50 dB below the voice are as good as invisible.
    """

    def __init__(
        self, windows: Sequence[int], filters: int = 32, kernel: tuple[int, int] = (3, 8), compression: float = 1.0
    ) -> None:
        super().__init__()
        self.compression = compression
        self.spectrograms = nn.ModuleList(Spectrogram(window) for window in windows)
        self.networks = nn.ModuleList(_network(filters, kernel) for _ in windows)

    def forward(self, audio: Tensor, chosen: Sequence[int] | None = None) -> list[DiscriminatorOutput]:
        """Evaluate the networks, or those of the chosen windows, given by their numbers."""
        signals = split_channels(audio)[:, 0]
        outputs = []
        for index in range(len(self.networks)) if chosen is None else chosen:
            spectrum = compressed(self.spectrograms[index](signals), self.compression)
            outputs.append(self.networks[index](two_channels(spectrum)))
        return outputs


def _network(filters: int, kernel: tuple[int, int]) -> DiscriminatorNetwork:
    time, frequency = kernel
    # Half of kernel - 1 on either side: with a width of 8, the first layer reduces window / 2 + 1 frequencies to
    # window / 2, and each of the following layers halves them.
    sides = (frequency - 1) // 2
    layers = [weight_norm(nn.Conv2d(2, filters, kernel, padding=((time - 1) // 2, sides)))]
    for dilation in DILATIONS:
        padding = (dilation * (time - 1) // 2, sides)
        conv = nn.Conv2d(filters, filters, kernel, stride=(1, 2), dilation=(dilation, 1), padding=padding)
        layers.append(weight_norm(conv))
    return DiscriminatorNetwork(layers, weight_norm(nn.Conv2d(filters, 1, 3, padding=1)))

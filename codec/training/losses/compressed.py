"""Distance of power-compressed spectra, as in speech enhancement (Braun and Tashev 2021, arXiv 2009.12286). Not in the
EnCodec paper."""

from __future__ import annotations

from torch import Tensor, nn

from earmark.codec.training.losses.spectrogram import FLOOR, Spectrogram, compressed

WINDOWS = (2048, 1024, 512)  # samples
POWER = 0.3
COMPLEX_SHARE = 0.3


class CompressedSTFT(nn.Module):
    """Mean square distance of complex STFTs whose magnitudes are raised to the power 0.3, [B, C, T] twice -> scalar.

    The mean over windows of 0.7 (|X|^0.3 - |Y|^0.3)^2 + 0.3 | |X|^0.3 e^(j arg X) - |Y|^0.3 e^(j arg Y) |^2.
    Compression lets faint bands count: 50 dB below the loudest is a ratio of 316 in amplitude, but of 5.6 here.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spectrograms = nn.ModuleList(map(Spectrogram, WINDOWS))

    def forward(self, reference: Tensor, decoded: Tensor) -> Tensor:
        total = decoded.new_zeros(())
        for spectrogram in self.spectrograms:
            x, y = spectrogram(reference), spectrogram(decoded)
            magnitudes = [(z.real.square() + z.imag.square() + FLOOR).pow(POWER / 2) for z in (x, y)]
            difference = compressed(x, POWER) - compressed(y, POWER)
            complex_distance = (difference.real.square() + difference.imag.square()).mean()
            distance = (magnitudes[0] - magnitudes[1]).square().mean()
            total = total + (1 - COMPLEX_SHARE) * distance + COMPLEX_SHARE * complex_distance
        return total / len(self.spectrograms)

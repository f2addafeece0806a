"""Distance of levels in auditory bands, which weighs a faint band as much as a loud one; not the EnCodec paper's."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from earmark.codec.encodec.layers import reflect
from earmark.codec.training.losses.spectrogram import Spectrogram
from earmark.codec.training.losses.windows import MEL


class BandLevels(nn.Module):
    """Mean absolute difference of levels in 32 auditory bands, [B, C, T] twice -> scalar, in dB.

    A level is that of the energy which a band passes in one window of 2048 samples, in dB against full scale. Levels
    below `FLOOR` count as at it, so nothing is gained by making silence more silent, nor does a decoder that is silent
    where it should not be learn from this to be louder; other distances have to teach that. ViSQOL has the same floor
    within 5 dB: its -45 are of 10 log10 of amplitudes. All frames weigh alike, faint ones too.

    Args:
        sample_rate: in Hz.
    """

    BANDS = 32  # from 50 Hz to the Nyquist frequency
    FLOOR = -90.0  # dB against full scale
    WINDOW = MEL[-1]  # samples at any rate

    filters: Tensor

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.spectrogram = Spectrogram(self.WINDOW)
        self.register_buffer("filters", band_filters(sample_rate, self.WINDOW, self.BANDS).T, persistent=False)

    def levels(self, audio: Tensor) -> Tensor:
        """Of [B, C, T], as [B, C, 1 + T // 512, 32] in dB."""
        spectrum = self.spectrogram(reflect(audio, self.WINDOW // 2, self.WINDOW // 2))
        with torch.autocast(audio.device.type, enabled=False):
            energy = torch.view_as_real(spectrum).square().sum(dim=-1) @ self.filters
        return 10 * energy.clamp(min=10 ** (self.FLOOR / 10)).log10()

    def forward(self, reference: Tensor, decoded: Tensor) -> Tensor:
        return (self.levels(reference) - self.levels(decoded)).abs().mean()


def band_filters(sample_rate: int, window: int, bands: int) -> Tensor:
    """What auditory bands pass of the power at an STFT's frequencies, [bands, window / 2 + 1].

    Their centres lie equally spaced from 50 Hz to below the Nyquist frequency on the ERB-rate scale
    21.4 log10(1 + 0.00437 f) of Glasberg and Moore (1990), and each has the power response of a gammatone filter of
    fourth order, (1 + ((f - centre) / b)^2)^-4 with b = 1.019 ERB. White noise of variance 1 has the energy
    pi 5/16 b / nyquist in a band, its share of the spectrum.
    """
    nyquist = sample_rate / 2
    rates = torch.linspace(_erb_rate(50.0), _erb_rate(nyquist), bands + 1, dtype=torch.float64)[:-1]
    centres = (10 ** (rates / 21.4) - 1) / 0.00437
    widths = 1.019 * 24.7 * (1 + 0.00437 * centres)
    frequencies = torch.linspace(0, 1, window // 2 + 1, dtype=torch.float64) * nyquist
    passed = (1 + ((frequencies - centres[:, None]) / widths[:, None]).square()) ** -4
    return (2 / window * passed).float()


def _erb_rate(frequency: float) -> float:
    return 21.4 * math.log10(1 + 0.00437 * frequency)

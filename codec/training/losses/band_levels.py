"""Distance of levels in auditory bands: faint bands count as much as loud ones. Not in the EnCodec paper."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from earmark.codec.encodec.layers import reflect
from earmark.codec.training.losses.spectrogram import Spectrogram
from earmark.codec.training.losses.windows import MEL


class BandLevels(nn.Module):
    """Mean absolute difference of levels in 32 auditory bands, [B, C, T] twice -> scalar, in dB.

    A level is the energy of a band in one window of 2048 samples, in dB relative to full scale. Levels are limited to
    `FLOOR` from below, so making silence more silent gains nothing. For the same reason a decoder that is wrongly
    silent gets no gradient from this loss and needs another one. ViSQOL's floor is the same within 5 dB: its -45 refers
    to 10 log10 of amplitudes. All frames have the same weight.

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
        """Levels in dB, [B, C, T] -> [B, C, 1 + T // 512, 32]."""
        spectrum = self.spectrogram(reflect(audio, self.WINDOW // 2, self.WINDOW // 2))
        with torch.autocast(audio.device.type, enabled=False):
            energy = torch.view_as_real(spectrum).square().sum(dim=-1) @ self.filters
        return 10 * energy.clamp(min=10 ** (self.FLOOR / 10)).log10()

    def forward(self, reference: Tensor, decoded: Tensor) -> Tensor:
        return (self.levels(reference) - self.levels(decoded)).abs().mean()


def band_filters(sample_rate: int, window: int, bands: int) -> Tensor:
    """Weights that sum the power of an STFT's frequencies into auditory bands, [bands, window / 2 + 1].

    The centres are equally spaced on the ERB-rate scale 21.4 log10(1 + 0.00437 f) of Glasberg and Moore (1990), from
    50 Hz to below the Nyquist frequency. Each band has the power response of a fourth-order gammatone filter,
    (1 + ((f - centre) / b)^2)^-4 with b = 1.019 ERB. The energy of white noise of variance 1 in a band is
    pi 5/16 b / nyquist, its share of the spectrum.
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

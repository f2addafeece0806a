"""Spectrograms for the losses and the discriminators (EnCodec paper, section 3.4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from earmark.codec.audio.mel import mel_triangles
from earmark.codec.encodec.layers import reflect

FLOOR = 1e-10  # power of white noise at -100 dBFS in a spectrogram


class Spectrogram(nn.Module):
    """Complex STFT without padding, [..., T] -> [..., 1 + (T - window) // hop, window / 2 + 1].

    Hann window, hop of a quarter window. The paper's "normalised" is taken as division by the window's norm: the mean
    power of white noise is its variance, for every window.

    Args:
        window: length in samples. Signals must not be shorter.
    """

    window: Tensor

    def __init__(self, window: int) -> None:
        super().__init__()
        hann = torch.hann_window(window, dtype=torch.float64)
        self.register_buffer("window", (hann / hann.norm()).float(), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        size = len(self.window)
        with torch.autocast(audio.device.type, enabled=False):
            spectrum = torch.stft(
                audio.flatten(0, -2), size, size // 4, window=self.window, center=False, return_complex=True
            )
        return spectrum.unflatten(0, audio.shape[:-1]).transpose(-1, -2)


def compressed(spectrum: Tensor, power: float) -> Tensor:
    """Raise the magnitudes of a complex spectrum to a power and keep the phases; 1 leaves it as it is.

    The magnitudes are those of the spectrum plus -100 dB of full-scale noise, so that the gradient at 0 is finite.
    """
    if power == 1:
        return spectrum
    energy = spectrum.real.square() + spectrum.imag.square()
    return spectrum * (energy + FLOOR).pow((power - 1) / 2)


def two_channels(spectrum: Tensor) -> Tensor:
    """Real and imaginary part as channels, complex [N, frames, frequencies] -> [N, 2, frames, frequencies].

    The result is a view. The parts alternate in memory, which is channels-last order, the fastest for convolutions.
    """
    return torch.view_as_real(spectrum).permute(0, 3, 1, 2)


class MelSpectrogram(nn.Module):
    """Magnitudes in mel bands, [B, C, T] -> [B, C, 1 + T // hop, filters].

    Signals are padded with half a window of reflection at both ends.

    Args:
        sample_rate: in Hz.
        window: length in samples.
        bands: number of mel bands. Short windows have fewer filters, see mel_filters().
    """

    filters: Tensor

    def __init__(self, sample_rate: int, window: int, bands: int) -> None:
        super().__init__()
        self.padding = window // 2
        self.spectrogram = Spectrogram(window)
        self.register_buffer("filters", mel_filters(sample_rate, window, bands).T, persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        magnitudes = self.spectrogram(reflect(audio, self.padding, self.padding)).abs()
        with torch.autocast(audio.device.type, enabled=False):
            mel: Tensor = magnitudes @ self.filters
        return mel


def mel_filters(sample_rate: int, window: int, bands: int) -> Tensor:
    """Mel triangles that contain a frequency of the STFT, float32 [filters, window / 2 + 1].

    A triangle between two frequencies would be zero for every signal, so it is left out. This happens in short windows:
    with 32 samples at 24 kHz the frequencies are 750 Hz apart, and the lowest triangles rise over some 65 Hz. All
    frequencies but 0 Hz and Nyquist still count in full, since neighbouring triangles add up to 1.

    Args:
        sample_rate: in Hz.
        window: samples of the STFT.
        bands: number of triangles, empty ones included.
    """
    triangles = mel_triangles(sample_rate, window, bands)
    return torch.from_numpy(triangles[triangles.max(axis=1) > 0]).float()

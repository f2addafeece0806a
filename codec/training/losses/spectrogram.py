"""Short-time Fourier transform and mel bands, as the losses and the discriminators take them (EnCodec paper, 3.4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from earmark.codec.encodec.layers import reflect


class Spectrogram(nn.Module):
    """Complex STFT, [..., T] -> [..., 1 + (T - window) // hop, window / 2 + 1], time before frequency; no padding.

    The window is Hann's, the hop a quarter of it. "Normalised" is read as division by the window's norm: white noise
    then has its variance as its mean power, whatever the window.

    Args:
        window: samples; the signal may not be shorter.
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


def two_channels(spectrum: Tensor) -> Tensor:
    """Real and imaginary part as channels, complex [N, frames, frequencies] -> [N, 2, frames, frequencies].

    No copy: the parts alternate in memory, which is the channels-last order that convolutions are fastest in.
    """
    return torch.view_as_real(spectrum).permute(0, 3, 1, 2)


class MelSpectrogram(nn.Module):
    """Magnitudes in mel bands, [B, C, T] -> [B, C, 1 + T // hop, filters]; half a window is reflected at both ends.

    Args:
        sample_rate: in Hz.
        window: samples.
        bins: mel bands; there are fewer filters where the window is too short for so many, see `mel_filters`.
    """

    filters: Tensor

    def __init__(self, sample_rate: int, window: int, bins: int) -> None:
        super().__init__()
        self.padding = window // 2
        self.spectrogram = Spectrogram(window)
        self.register_buffer("filters", mel_filters(sample_rate, window, bins).T, persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        magnitudes = self.spectrogram(reflect(audio, self.padding, self.padding)).abs()
        with torch.autocast(audio.device.type, enabled=False):
            mel: Tensor = magnitudes @ self.filters
        return mel


def mel_filters(sample_rate: int, window: int, bins: int) -> Tensor:
    """Triangles that sum an STFT's magnitudes into mel bands, [filters, window / 2 + 1].

    Their corners lie equally spaced from 0 to the Nyquist frequency on the mel scale 2595 log10(1 + f / 700) (HTK);
    each rises from its lower neighbour's centre to 1 and falls to its upper neighbour's. The frequencies of a short
    window are too far apart to meet all of them: 32 samples at 24 kHz have one every 750 Hz, the lowest triangles are
    some 65 Hz wide on each side. A triangle that meets none would be zero in every signal, so it is left out; the
    frequencies of the STFT, but for 0 Hz and Nyquist, each still count in full.

    Args:
        sample_rate: in Hz.
        window: samples of the STFT.
        bins: triangles, before the empty ones are left out.
    """
    nyquist = torch.tensor(sample_rate / 2, dtype=torch.float64)
    mels = torch.linspace(0, 1, bins + 2, dtype=torch.float64) * 2595 * torch.log10(1 + nyquist / 700)
    corners = 700 * (10 ** (mels / 2595) - 1)
    lower, centre, upper = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    frequencies = torch.linspace(0, 1, window // 2 + 1, dtype=torch.float64) * nyquist
    rise, fall = (frequencies - lower) / (centre - lower), (upper - frequencies) / (upper - centre)
    triangles = torch.minimum(rise, fall).clamp(min=0)
    return triangles[triangles.amax(dim=1) > 0].float()

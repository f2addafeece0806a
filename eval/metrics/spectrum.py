"""Where the spectrum of a recording ends, which may be far below what its sample rate allows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FRAME = 4096  # samples of a spectrum
BAND = 500.0  # Hz; resolution of the end of a spectrum
RANGE = 80.0  # dB below the strongest band, where nothing is left
DITHER_DB = -90.0  # dBFS; 6 dB above the dither of 16-bit PCM over all frequencies
FAR = 0.55  # an end below this part of the highest possible frequency is worth a note
TELEPHONE = 4200.0  # Hz, with the slope of a resampler
NOTHING = 65.0  # dB below the whole; speech has 16 to 30 dB less above 4 kHz, dither in telephone speech 70 dB less


def end_of_spectrum(audio: NDArray[np.float32], sample_rate: int) -> float | None:
    """Highest frequency of [channels, time] in Hz, in steps of 500 Hz; None for silence.

    A band of 500 Hz counts as empty if it lies 80 dB below the strongest one, or holds no more than 16-bit dither.
    """
    power = _power(audio)
    bands = np.bincount((np.arange(len(power)) * sample_rate / (2 * (len(power) - 1)) // BAND).astype(int), power)
    dither = 10 ** (DITHER_DB / 10) * BAND / (sample_rate / 2)
    heard = np.flatnonzero(bands > max(dither, bands.max() * 10 ** (-RANGE / 10)))
    return float((heard[-1] + 1) * BAND) if len(heard) else None


def band_note(audio: NDArray[np.float32], sample_rate: int) -> str | None:
    """Say that [channels, time] uses about half of its band or less, "48 kHz, empty above 8 kHz"; None otherwise."""
    end = end_of_spectrum(audio, sample_rate)
    if end is None or end > FAR * sample_rate / 2:
        return None
    return f"{sample_rate / 1000:g} kHz, empty above {end / 1000:g} kHz"


def is_narrow_band(signal: NDArray[np.float32], sample_rate: int) -> bool:
    """Whether [time] has nothing above the telephone band, 4 kHz, but dither and the leakage of a resampler."""
    power = _power(signal[None])
    above = power[np.arange(len(power)) * sample_rate / (2 * (len(power) - 1)) > TELEPHONE].sum()
    return bool(above < max(power.sum() * 10 ** (-NOTHING / 10), 10 ** (DITHER_DB / 10) * 0.25))


def _power(audio: NDArray[np.float32]) -> NDArray[np.float64]:
    """Power of each frequency, [bins], averaged over the channels; a full-scale square wave has a sum of 1."""
    size = min(FRAME, audio.shape[-1])
    window = np.hanning(size + 2)[1:-1].astype(np.float32)
    power = np.zeros(size // 2 + 1)
    count = audio.shape[-1] // size
    for channel in audio:
        centred = channel - channel.mean(dtype=np.float64).astype(np.float32)  # an offset is no content
        for first in range(0, count, 256):  # keeps memory bounded
            frames = centred[first * size : min(first + 256, count) * size].reshape(-1, size)
            power += np.square(np.abs(np.fft.rfft(frames * window, axis=-1))).sum(axis=0)
    power[1:] *= 2
    result: NDArray[np.float64] = power / (len(audio) * count * size * float(window @ window))
    return result

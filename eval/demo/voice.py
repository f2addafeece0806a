"""A talking voice without words: glottal pulses and noise through formant resonators (Klatt 1980, cascade branch).

f0, jitter -> glottal pulses -+-> voicing gain -+
                              |                 +-> resonators F1, F2, F3 ... Nyquist -+-> voice
breath noise, gated by flow --+-----------------+                                      |
noise -> band of each fricative or burst -> its gain ----------------------------------+
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, lfilter, sosfilt, sosfiltfilt

Signal = NDArray[np.float64]  # [time]

FRAME_SECONDS = 0.00125  # interval at which the resonators change
JITTER = 0.007  # relative standard deviation of a glottal period
SHIMMER = 0.03  # relative standard deviation of a pulse's amplitude
OPENING, CLOSING = 0.4, 0.16  # shares of the glottal period that Rosenberg's listeners preferred


@dataclass(frozen=True)
class Phone:
    """One speech sound.

    Args:
        formants: F1, F2, F3 in Hz for a vocal tract of 17.5 cm.
        seconds: typical length.
        voicing: gain of the glottal source, 0 to 1.
        noise_band: lower and upper edge of the frication in Hz.
        noise: gain of the frication, 0 to 1.
        burst: whether the noise sounds only in the last 20 ms, after a closure.
    """

    formants: tuple[float, float, float]
    seconds: float
    voicing: float = 0.0
    noise_band: tuple[float, float] = (0.0, 0.0)
    noise: float = 0.0
    burst: bool = False


# Vowels: means of 33 men, Peterson and Barney 1952, table II. Consonants: formants of Klatt 1980, table III, except F1
# of nasals, which is that of the murmur. Lengths, gains and noise bands are our choice. "," is a pause.
PHONES = {
    "i": Phone((270, 2290, 3010), 0.13, voicing=1.0),
    "ɛ": Phone((530, 1840, 2480), 0.13, voicing=1.0),
    "æ": Phone((660, 1720, 2410), 0.15, voicing=1.0),
    "ɑ": Phone((730, 1090, 2440), 0.16, voicing=1.0),
    "ɔ": Phone((570, 840, 2410), 0.15, voicing=1.0),
    "u": Phone((300, 870, 2240), 0.13, voicing=1.0),
    "ʌ": Phone((640, 1190, 2390), 0.12, voicing=1.0),
    "m": Phone((250, 1000, 2200), 0.08, voicing=0.35),
    "n": Phone((250, 1500, 2500), 0.07, voicing=0.35),
    "l": Phone((310, 1050, 2880), 0.07, voicing=0.6),
    "j": Phone((260, 2070, 3020), 0.06, voicing=0.7),
    "w": Phone((290, 610, 2150), 0.07, voicing=0.7),
    "s": Phone((320, 1390, 2530), 0.12, noise_band=(4500, 12000), noise=0.35),
    "ʃ": Phone((300, 1840, 2750), 0.12, noise_band=(2200, 8000), noise=0.4),
    "f": Phone((340, 1100, 2080), 0.10, noise_band=(1500, 16000), noise=0.12),
    "z": Phone((240, 1390, 2530), 0.08, voicing=0.3, noise_band=(4500, 12000), noise=0.2),
    "t": Phone((400, 1600, 2600), 0.09, noise_band=(3000, 10000), noise=0.6, burst=True),
    "k": Phone((300, 1990, 2850), 0.09, noise_band=(1400, 4000), noise=0.5, burst=True),
    "p": Phone((400, 1100, 2150), 0.09, noise_band=(400, 3000), noise=0.3, burst=True),
    "b": Phone((200, 1100, 2150), 0.07, voicing=0.12, noise_band=(400, 2000), noise=0.15, burst=True),
    "d": Phone((200, 1600, 2600), 0.06, voicing=0.12, noise_band=(2500, 8000), noise=0.2, burst=True),
    ",": Phone((500, 1500, 2500), 0.35),
}

LOW_VOICE = ", m ɔ l ɑ n i t ʌ , s ɛ d u k ɑ j ɔ m , w i l ʌ f ɑ s u n ɛ p ɔ t , b æ n i ʃ ɔ l u , k ɑ z i m ɔ n ʌ ,"
HIGH_VOICE = ", j ɑ s ɔ m i l , ʃ u t ɛ w ɑ n i , d ɔ f ʌ l i k ɑ z u m , p i n ɔ s ɑ l , ʌ m æ t i ʃ ɔ b u l ɑ ,"


def utterance(symbols: str, rng: np.random.Generator) -> list[tuple[str, float]]:
    """Phones with their lengths in seconds: the typical ones +-10 %, longer before a pause."""
    phones = symbols.split()
    lengths = [PHONES[phone].seconds * rng.uniform(0.9, 1.1) for phone in phones]
    stretch = [1.4 if following == "," else 1.0 for following in [*phones[1:], ","]]
    return list(zip(phones, np.multiply(lengths, stretch).tolist(), strict=True))


def talk(
    phones: Sequence[tuple[str, float]],
    pitch: float,
    sample_rate: int,
    rng: np.random.Generator,
    *,
    intonation: float = 1.0,
    tract: float = 1.0,
) -> Signal:
    """Synthesise phones with a glide from each to the next.

    Args:
        phones: symbol of `PHONES` and its length in seconds.
        pitch: mean fundamental frequency in Hz.
        intonation: amount by which the pitch falls along a phrase and rises on its vowels; 0 is a monotone.
        tract: factor on all formants; about 1.17 turns a man's vocal tract into a woman's.

    Returns:
        [time] at `sample_rate` Hz, at any level.
    """
    symbols = [symbol for symbol, _ in phones]
    frames = [max(1, round(seconds / FRAME_SECONDS)) for _, seconds in phones]
    total = round(sum(frames) * FRAME_SECONDS * sample_rate)
    of_frame = np.repeat(np.arange(len(phones)), frames)
    in_frame = np.array([PHONES[symbol].formants for symbol in symbols])[of_frame]
    formants = tract * _glide(in_frame, 0.018)
    voicing = _glide(np.array([PHONES[symbol].voicing for symbol in symbols])[of_frame], 0.008)
    frame_time = (np.arange(len(of_frame)) + 0.5) * FRAME_SECONDS
    time = np.arange(total) / sample_rate

    f0 = np.interp(time, frame_time, pitch * _intonation(symbols, frames, intonation, rng))
    flow, source = glottal_source(f0, sample_rate, rng)
    breath = 0.02 * rng.standard_normal(total) * (0.3 + flow)
    voiced = (source + breath) * np.interp(time, frame_time, voicing)
    voice = _resonate(voiced, formants, tract, sample_rate)
    voice /= max(float(np.sqrt(np.mean(voice**2))), 1e-12)
    return voice + _frication(symbols, frames, time, sample_rate, rng)


def glottal_source(f0: Signal, sample_rate: int, rng: np.random.Generator) -> tuple[Signal, Signal]:
    """Trigonometric glottal pulses (Rosenberg 1971, pulse C) with jitter and shimmer.

    Args:
        f0: fundamental frequency in Hz at every sample, [time].

    Returns:
        Glottal flow, 0 to 1, and its slope, which the lips radiate, of order 1; both [time].
    """
    oversampling = 4  # the slope jumps when the glottis closes, and would alias
    fine = np.repeat(f0, oversampling) / (sample_rate * oversampling)
    cycle = np.floor(np.cumsum(fine)).astype(np.int64)
    deviation = rng.standard_normal((2, cycle[-1] + 2)) * [[JITTER], [SHIMMER]]
    phase = np.cumsum(fine * (1 + deviation[0, cycle]))
    cycle = np.floor(phase).astype(np.int64)
    height = 1 + deviation[1, np.minimum(cycle, deviation.shape[1] - 1)]
    phase -= np.floor(phase)
    opening = 0.5 * (1 - np.cos(np.pi * phase / OPENING))
    closing = np.cos(np.pi / 2 * (phase - OPENING) / CLOSING)
    flow = height * np.where(phase < OPENING, opening, np.where(phase < OPENING + CLOSING, closing, 0.0))
    band_limited = sosfiltfilt(butter(8, 0.9 / oversampling, output="sos"), flow)[::oversampling]
    slope = np.diff(band_limited, prepend=band_limited[0]) * sample_rate / f0
    return np.clip(band_limited, 0, None), slope / 8


def _intonation(symbols: Sequence[str], frames: Sequence[int], depth: float, rng: np.random.Generator) -> Signal:
    """Pitch relative to its mean per frame: a fall along each phrase, an accent on every vowel, slow random motion."""
    ends = np.cumsum(frames)
    pauses = [int(end) for symbol, end in zip(symbols, ends[:-1], strict=False) if symbol == ","]
    phrases = pairwise([0, *pauses, int(ends[-1])])
    fall = np.concatenate([np.linspace(0.12, -0.18, end - start) for start, end in phrases])
    accents = np.repeat([rng.uniform(0, 0.12) * (PHONES[symbol].voicing == 1.0) for symbol in symbols], frames)
    wander = gaussian_filter1d(rng.standard_normal(len(fall)), 0.05 / FRAME_SECONDS)
    return 1 + depth * _glide(fall + accents + 0.05 * wander, 0.04)


def _resonate(source: Signal, formants: NDArray[np.float64], tract: float, sample_rate: int) -> Signal:
    """Filter by one resonator per formant: F1 to F3 move, higher ones are those of a neutral tube (odd quarter waves).

    Args:
        source: [time].
        formants: F1 to F3 in Hz, [frames, 3].
    """
    edges = np.round(np.arange(len(formants) + 1) * FRAME_SECONDS * sample_rate).astype(np.int64)
    edges[-1] = len(source)
    for track in formants.T:
        gain, a1, a2 = _resonator(track, sample_rate)
        driven, source = source, np.empty_like(source)
        last = before = 0.0
        for frame, (start, end) in enumerate(pairwise(edges)):
            # carry past outputs, not lfilter's state: they do not jump when the coefficients change
            state = np.array([-a1[frame] * last - a2[frame] * before, -a2[frame] * last])
            source[start:end], _ = lfilter([gain[frame]], [1.0, a1[frame], a2[frame]], driven[start:end], zi=state)
            before, last = source[end - 2 : end]
    fixed = np.arange(3500 * tract, 0.47 * sample_rate, 1000 * tract)
    gain, a1, a2 = _resonator(fixed, sample_rate)
    zero, one = np.zeros_like(gain), np.ones_like(gain)
    return np.asarray(sosfilt(np.stack([gain, zero, zero, one, a1, a2], axis=1), source))


def _resonator(frequency: Signal, sample_rate: int) -> tuple[Signal, Signal, Signal]:
    """Gain, a1 and a2 of y[n] = gain x[n] - a1 y[n-1] - a2 y[n-2], resonant at `frequency` Hz, with gain 1 at 0 Hz."""
    bandwidth = 50 + 0.03 * frequency
    radius = np.exp(-np.pi * bandwidth / sample_rate)
    a1, a2 = -2 * radius * np.cos(2 * np.pi * frequency / sample_rate), radius**2
    return 1 + a1 + a2, a1, a2


def _frication(
    symbols: Sequence[str], frames: Sequence[int], time: Signal, sample_rate: int, rng: np.random.Generator
) -> Signal:
    """Noise of all fricatives and bursts, [time]."""
    result = np.zeros_like(time)
    frame_time = (np.arange(sum(frames)) + 0.5) * FRAME_SECONDS
    for symbol in sorted(set(symbols)):
        phone = PHONES[symbol]
        if phone.noise == 0:
            continue
        gains = []
        for other, count in zip(symbols, frames, strict=True):
            silent = max(0, count - round(0.02 / FRAME_SECONDS)) if phone.burst else 0
            gains.append(np.where(np.arange(count) >= silent, phone.noise * (other == symbol), 0.0))
        gain = _glide(np.concatenate(gains), 0.003 if phone.burst else 0.012)
        low, high = phone.noise_band
        band = butter(2, (low, min(high, 0.48 * sample_rate)), btype="bandpass", fs=sample_rate, output="sos")
        noise = sosfilt(band, rng.standard_normal(len(time)))
        result += noise / noise.std() * np.interp(time, frame_time, gain)
    return result


def _glide(track: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """Smooth [frames, ...] over time by a Gaussian kernel with a standard deviation of `seconds`."""
    return gaussian_filter1d(track, seconds / FRAME_SECONDS, axis=0, mode="nearest")

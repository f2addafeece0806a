"""Instruments: each function returns one note or stroke, [time] at `sample_rate` Hz, with a peak of about 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt

Signal = NDArray[np.float64]  # [time]

TABLE_LENGTH = 4096  # samples of a wave table; the error of linear interpolation is far below 16 bits


def frequency_of(note: str) -> float:
    """Frequency in Hz of a note in equal temperament at A4 = 440 Hz: "A4", "F#3", "Bb2"."""
    semitone = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[note[0]]
    semitone += note.count("#") - note.count("b")
    return 440.0 * 2 ** ((semitone - 9) / 12 + int(note[-1]) - 4)


def plucked_string(
    frequency: float,
    seconds: float,
    sample_rate: int,
    rng: np.random.Generator,
    decay: float = 3.0,
    position: float = 0.17,
) -> Signal:
    """A plucked string (Karplus and Strong 1983), tuned by an all-pass (Jaffe and Smith 1983).

    The loop consists of a delay line of whole samples, a two-point mean (a delay of half a sample, which damps high
    partials) and an all-pass for the remaining fraction of 0.3 to 1.3 samples.

    Args:
        decay: seconds in which the fundamental falls by 60 dB, not counting the loss by the mean.
        position: position of the pluck as a share of the string's length.
    """
    period = sample_rate / frequency
    line = int(period - 0.5 - 0.3)
    fraction = period - 0.5 - line
    omega = 2 * np.pi * frequency / sample_rate
    allpass = np.sin((1 - fraction) * omega / 2) / np.sin((1 + fraction) * omega / 2)
    gain = 10 ** (-3 / (frequency * decay))
    b = np.convolve([gain / 2, gain / 2], [allpass, 1.0])
    a = [1.0, allpass]

    burst = rng.uniform(-1, 1, line)
    burst -= np.roll(burst, round(position * line))  # removes the partials that have a node at the pluck
    lap, state, laps = burst, np.zeros(2), [burst]
    for _ in range(int(seconds * sample_rate / line)):
        lap, state = lfilter(b, a, lap, zi=state)
        laps.append(lap)
    string = np.concatenate(laps)[: round(seconds * sample_rate)]
    return _damp(string / np.abs(string).max(), 0.04, sample_rate)


def struck_string(frequency: float, seconds: float, sample_rate: int, rng: np.random.Generator) -> Signal:
    """A piano-like tone: partials of a stiff string, n f sqrt(1 + B n^2) (Fletcher 1964), and the hammer's thump."""
    stiffness = 0.0004
    n = np.arange(1, 41)
    partials = n * frequency * np.sqrt(1 + stiffness * n**2)
    levels = np.abs(np.sin(np.pi * n / 8)) / n * np.exp(-partials / 4500)  # a soft hammer at 1/8 of the length
    decays = 6.0 * (220 / frequency) ** 0.5 / (1 + 0.25 * n)
    tone = damped_partials(partials, levels, decays, seconds, sample_rate, rng)
    thump = sosfilt(butter(2, 900, fs=sample_rate, output="sos"), rng.standard_normal(len(tone)))
    tone += 0.25 * thump * np.exp(-np.arange(len(tone)) / (0.012 * sample_rate))
    return _damp(tone / np.abs(tone).max(), 0.08, sample_rate)


def damped_partials(
    frequencies: Sequence[float] | Signal,
    levels: Sequence[float] | Signal,
    decays: Sequence[float] | Signal,
    seconds: float,
    sample_rate: int,
    rng: np.random.Generator,
) -> Signal:
    """Sum of sines in random phases, each falling by 60 dB in its decay; omits those above 0.49 of the sample rate."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    tone = np.zeros_like(time)
    for frequency, level, decay in zip(frequencies, levels, decays, strict=True):
        phase = rng.uniform(0, 2 * np.pi)
        if frequency < 0.49 * sample_rate:
            span = time[: round(1.5 * decay * sample_rate)]  # then it is 90 dB down
            tone[: len(span)] += level * np.sin(2 * np.pi * frequency * span + phase) * 10 ** (-3 * span / decay)
    return tone * np.minimum(1, time / 0.002)


def oscillator(frequency: Signal, harmonics: Signal, sample_rate: int, start: float = 0.0) -> Signal:
    """A periodic wave without aliasing; omits harmonics that would exceed 0.49 of the sample rate.

    Args:
        frequency: Hz at every sample, [time].
        harmonics: levels of the fundamental and its multiples.
        start: initial phase in periods.
    """
    count = min(len(harmonics), int(0.49 * sample_rate / frequency.max()))
    spectrum = np.zeros(TABLE_LENGTH // 2 + 1, complex)
    spectrum[1 : count + 1] = -0.5j * TABLE_LENGTH * harmonics[:count]
    table = np.fft.irfft(spectrum)
    phase = (start + np.cumsum(frequency) / sample_rate) % 1.0
    return np.interp(phase * TABLE_LENGTH, np.arange(TABLE_LENGTH + 1), np.append(table, table[0]))


def flute(frequency: float, seconds: float, sample_rate: int, rng: np.random.Generator) -> Signal:
    """A flute-like tone: few harmonics, delayed vibrato, breath."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    vibrato = 0.006 * np.clip((time - 0.15) / 0.2, 0, 1) * np.sin(2 * np.pi * 5.3 * time)
    tone = oscillator(frequency * (1 + vibrato), np.array([1, 0.45, 0.22, 0.08, 0.05, 0.02, 0.012, 0.006]), sample_rate)
    band = butter(2, (2 * frequency, 9000), "bandpass", fs=sample_rate, output="sos")
    breath = sosfilt(band, rng.standard_normal(len(time)))
    tone = (tone * (1 + 8 * vibrato) + 0.04 * breath) * np.minimum(1, time / 0.05)
    return _damp(tone / np.abs(tone).max(), 0.07, sample_rate)


def saw_pad(frequency: float, seconds: float, sample_rate: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Three detuned sawtooth waves per channel, [2, time], with slow attack and release."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    harmonics = 1 / np.arange(1, 400) / (1 + np.arange(1, 400) / 20)
    sides = np.zeros((2, len(time)))
    for side in sides:
        for detune in (-0.004, 0.0005, 0.0042):
            side += oscillator(np.full(len(time), frequency * (1 + detune)), harmonics, sample_rate, rng.uniform())
    sides *= np.minimum(1, time / 0.12)
    return _damp(sides / np.abs(sides).max(), 0.15, sample_rate)


def synth_bass(frequency: float, seconds: float, sample_rate: int) -> Signal:
    """A sawtooth whose harmonics fade after the attack."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    steady, n = np.full(len(time), frequency), np.arange(1, 120)
    bright = oscillator(steady, 1 / n, sample_rate)
    dark = oscillator(steady, 1 / n * np.exp(-n / 3), sample_rate)
    opening = np.exp(-time / 0.07)
    tone = (opening * bright + (1 - opening) * dark) * np.minimum(1, time / 0.003) * np.exp(-time / 0.8)
    return _damp(tone / np.abs(tone).max(), 0.03, sample_rate)


def kick(sample_rate: int, rng: np.random.Generator) -> Signal:
    """A bass drum: a sine falling from 170 to 48 Hz, and the click of the beater."""
    time = np.arange(round(0.35 * sample_rate)) / sample_rate
    body = np.sin(2 * np.pi * np.cumsum(48 + 122 * np.exp(-time / 0.028)) / sample_rate) * np.exp(-time / 0.1)
    return body + 0.15 * rng.standard_normal(len(time)) * np.exp(-time / 0.003)


def snare(sample_rate: int, rng: np.random.Generator) -> Signal:
    """A snare drum: two modes of the head and the noise of the wires."""
    time = np.arange(round(0.3 * sample_rate)) / sample_rate
    head = damped_partials([187.0, 331.0], [0.6, 0.35], [0.25, 0.18], 0.3, sample_rate, rng)
    return head + noise_stroke((1200, 16000), 0.075, 0.3, sample_rate, rng) * np.minimum(1, time / 0.001)


def noise_stroke(
    band: tuple[float, float], decay: float, seconds: float, sample_rate: int, rng: np.random.Generator
) -> Signal:
    """Noise between two frequencies in Hz that falls to 1/e in `decay` seconds: cymbals, brushes, shakers, steps."""
    noise = rng.standard_normal(round(seconds * sample_rate))
    edges = (band[0], min(band[1], 0.48 * sample_rate))
    stroke = sosfilt(butter(2, edges, "bandpass", fs=sample_rate, output="sos"), noise)
    stroke *= np.exp(-np.arange(len(stroke)) / (decay * sample_rate))
    return stroke / np.abs(stroke).max()


def _damp(tone: NDArray[np.float64], seconds: float, sample_rate: int) -> NDArray[np.float64]:
    """Fade out the last `seconds` of [..., time]."""
    length = min(round(seconds * sample_rate), tone.shape[-1])
    return tone * np.append(np.ones(tone.shape[-1] - length), np.linspace(1, 0, length))

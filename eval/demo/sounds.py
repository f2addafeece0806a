"""Two scenes without speech or music: rain with steps on gravel, and a carillon."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, lfilter, sosfilt

from earmark.codec.audio import Audio
from earmark.eval.demo.instruments import Signal, damped_partials, frequency_of, noise_stroke
from earmark.eval.demo.stage import Stage, master

# Partials of a minor-third bell (Fletcher and Rossing, The Physics of Musical Instruments, chapter 21), hum, prime,
# tierce, quint, nominal and above: frequency relative to the strike note, level, and decay relative to the hum's. Our
# choice of levels and decays.
BELL = [
    (0.5, 0.4, 1.0),
    (1.0, 0.5, 0.6),
    (1.2, 0.6, 0.5),
    (1.5, 0.2, 0.35),
    (2.0, 1.0, 0.3),
    (2.5, 0.35, 0.2),
    (2.67, 0.4, 0.18),
    (3.0, 0.65, 0.16),
    (4.2, 0.55, 0.1),
    (5.4, 0.45, 0.07),
    (6.8, 0.4, 0.05),
    (8.2, 0.35, 0.04),
    (9.7, 0.27, 0.03),
    (11.4, 0.23, 0.025),
    (13.2, 0.2, 0.02),
]
TUNE = [("G5", 0.8), ("E5", 0.7), ("A5", 0.8), ("C5", 0.9), ("G5", 0.7), ("B5", 0.6), ("A5", 0.8), ("C5", 0.9)]


def rain_and_steps(sample_rate: int, rng: np.random.Generator) -> Audio:
    """Rain and wind on both sides, and steps on gravel from left to right; [2, time]."""
    seconds = 7.0
    stage = Stage(seconds, sample_rate)
    length = stage.samples.shape[1]
    for side in stage.samples:
        side += _drops(length, sample_rate, rng) + 0.2 * _wind(length, sample_rate, rng)
    at, steps = 0.4, 12
    for step in range(steps):
        pan = -0.8 + 1.6 * step / (steps - 1)
        near = 1 - 0.5 * abs(pan)
        heel = noise_stroke((60, 300), 0.035, 0.2, sample_rate, rng)
        stage.add(heel, at, 1.5 * near, pan)
        for _ in range(14):  # stones that slip one after the other, some under the toe
            stone = noise_stroke((900, 9000), rng.uniform(0.003, 0.012), 0.06, sample_rate, rng)
            late = rng.exponential(0.04) if rng.uniform() < 0.6 else 0.13 + rng.exponential(0.03)
            stage.add(stone, at + late, near * rng.uniform(0.3, 1.2), pan)
        at += 0.53 + rng.uniform(-0.02, 0.02)
    return master(stage.samples, sample_rate, rng)


def carillon(sample_rate: int, rng: np.random.Generator) -> Audio:
    """Eight strokes on the five bells of a small carillon; [1, time]."""
    stage = Stage(7.5, sample_rate)
    ratios, levels, decays = np.array(BELL).T
    for stroke, (strike_note, gain) in enumerate(TUNE):
        at = 0.05 + 0.8 * stroke + rng.uniform(0, 0.03)
        for warble in (-0.0006, 0.0006):  # no bell is exactly round: each mode is a pair of frequencies, which beats
            modes = frequency_of(strike_note) * ratios * (1 + warble * rng.uniform(0.5, 1.5, len(ratios)))
            stage.add(damped_partials(modes, levels, 9 * decays, 7.5 - at, sample_rate, rng), at, gain / 2)
        clapper = noise_stroke((3000, 20000), 0.008, 0.1, sample_rate, rng)
        stage.add(clapper, at, 0.9)
    stage.add_room(1.8, 0.3, rng)
    return master(stage.samples.mean(axis=0, keepdims=True), sample_rate, rng)


def _drops(length: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Rain in one channel: a hiss, and drops at random times, each a short ring at one of 24 pitches."""
    hiss = sosfilt(butter(2, (900, 5000), "bandpass", fs=sample_rate, output="sos"), rng.standard_normal(length))
    rain = 0.06 * hiss / hiss.std()
    for frequency in np.geomspace(900, 15000, 24) * rng.uniform(0.94, 1.06, 24):
        drops = rng.random(length) < 18 / sample_rate
        blows = drops * rng.lognormal(-2.2, 0.6, length)
        radius = np.exp(-1 / (rng.uniform(0.0006, 0.003) * sample_rate))
        omega = 2 * np.pi * frequency / sample_rate
        rain += 2000 / frequency * lfilter([0.0, np.sin(omega)], [1.0, -2 * radius * np.cos(omega), radius**2], blows)
    return rain


def _wind(length: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Low noise that swells and falls within a second or two."""
    noise = sosfilt(butter(1, (60, 350), "bandpass", fs=sample_rate, output="sos"), rng.standard_normal(length))
    slow = gaussian_filter1d(rng.standard_normal(length // 1000 + 1), 0.5 * sample_rate / 1000)
    swell = np.interp(np.arange(length), np.arange(len(slow)) * 1000, np.exp(slow / slow.std() * 0.6))
    return noise / noise.std() * swell * 0.3

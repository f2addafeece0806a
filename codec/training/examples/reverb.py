"""Reverberation: room impulse responses, measured or simulated, and their reverberation time (EnCodec paper, 4.1)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from earmark.codec import audio
from earmark.codec.audio import Audio
from earmark.codec.datasets.layout_files import audio_files
from earmark.codec.errors import UserError

RT60 = (0.3, 1.3)  # seconds
LOUDEST_DIRECT = 9.0  # dB: direct sound over reverberation in a simulated room, far from and close to the source
QUIETEST_DIRECT = -3.0
FIRST_REFLECTION = 0.003  # seconds after the direct sound: a detour of a metre
MOST_KEPT = 1000  # responses: 100 MB of a second each at 24 kHz
MOST_RESPONSES = 50  # drawn in search of one whose reverberation time is in the range


class Rooms(Protocol):
    """Where impulse responses come from."""

    @property
    def identity(self) -> str:
        """Tells whether two trainings have the same rooms."""

    def draw(self, rng: np.random.Generator, channels: int) -> Audio:
        """A response, [channels, time], that begins with the direct sound and has energy 1 on average per channel."""


class SimulatedRooms:
    """Responses of exponentially decaying noise after the direct sound, a new one each time.

    Args:
        sample_rate: Hz.
        rt60: range of the reverberation time in seconds, drawn uniformly.
    """

    def __init__(self, sample_rate: int, rt60: tuple[float, float] = RT60) -> None:
        self._sample_rate, self._rt60 = sample_rate, rt60

    @property
    def identity(self) -> str:
        return "simulated"

    def draw(self, rng: np.random.Generator, channels: int) -> Audio:
        return simulate(rng, rng.uniform(*self._rt60), self._sample_rate, channels)


class MeasuredRooms:
    """Responses from the files below a folder, e.g. impulse_responses/ of DNS Challenge 4.

    Files are opened when drawn, and MOST_KEPT of them are kept in memory as they are used; damaged ones and those whose
    reverberation time is outside the range are passed over.

    Args:
        sample_rate: Hz to resample to.
        rt60: range in seconds.

    Raises:
        UserError: the folder holds no audio, or no response in the range among MOST_RESPONSES files.
    """

    def __init__(self, folder: Path, sample_rate: int, rt60: tuple[float, float] = RT60) -> None:
        self._folder, self._sample_rate, self._rt60 = folder, sample_rate, rt60
        self._files = list(audio_files(folder))
        self._responses: dict[int, Audio | None] = {}
        if not self._files:
            raise UserError(f"{folder}: no impulse responses in it; give a folder of audio files, one response each")
        self.draw(np.random.default_rng(0), channels=1)

    def draw(self, rng: np.random.Generator, channels: int) -> Audio:
        """As Rooms; a response of fewer channels is repeated, of more channels cut to the first.

        Raises:
            UserError: none of MOST_RESPONSES files has a reverberation time in the range.
        """
        for _ in range(MOST_RESPONSES):
            measured = self._response(int(rng.integers(len(self._files))))
            if measured is not None:
                repeated = np.tile(measured, (-(-channels // measured.shape[0]), 1))[:channels]
                return _with_unit_energy(repeated[:, np.abs(repeated).max(axis=0).argmax() :])
        lowest, highest = self._rt60
        raise UserError(
            f"{self._folder}: {MOST_RESPONSES} responses, none of them with an RT60 of {lowest}-{highest} s"
        )

    @property
    def identity(self) -> str:
        """SHA-256 of the files' names and sizes."""
        digest = hashlib.sha256()
        for file in self._files:
            name = file.relative_to(self._folder).as_posix()
            digest.update(f"{name} {file.stat().st_size}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()[:32]

    def _response(self, number: int) -> Audio | None:
        """A file's, [channels, time] at the wanted rate; None if it cannot be used."""
        if number in self._responses:
            return self._responses[number]
        response: Audio | None = None
        try:
            recording = audio.read(self._files[number], max_channels=64)
        except UserError:
            pass
        else:
            response = audio.resample(recording.samples, recording.sample_rate, self._sample_rate)
            lowest, highest = self._rt60
            if not lowest <= reverberation_time(response[0], self._sample_rate) <= highest:
                response = None
        if len(self._responses) < MOST_KEPT:
            self._responses[number] = response
        return response


def simulate(rng: np.random.Generator, rt60: float, sample_rate: int, channels: int) -> Audio:
    """An impulse response, [channels, time]: the direct sound, then noise that falls by 60 dB in `rt60` seconds.

    Every channel has the same direct sound and noise of its own, as two ears in a diffuse field.
    """
    time = np.arange(round(rt60 * sample_rate)) / sample_rate
    tail = rng.standard_normal((channels, len(time))) * 10 ** (-3 * time / rt60)
    tail[:, : max(1, round(FIRST_REFLECTION * sample_rate))] = 0
    direct = 10 ** (rng.uniform(QUIETEST_DIRECT, LOUDEST_DIRECT) / 20)
    response = tail / np.sqrt(np.square(tail).sum(axis=1).mean())
    response[:, 0] = direct
    return _with_unit_energy(response)


def _with_unit_energy(response: NDArray[np.floating]) -> Audio:
    """Scaled by one factor such that reverberation leaves the level of noise as it is."""
    return np.asarray(response / np.sqrt(np.square(response).sum(axis=-1).mean()), np.float32)


def reverberate(samples: Audio, response: Audio) -> Audio:
    """Convolve [channels, time] with a response [channels, length] and keep what heard the whole response.

    Returns:
        [channels, time - length + 1]: without the beginning, where what sounded before it would be missing.
    """
    return oaconvolve(samples, response, mode="valid", axes=-1).astype(np.float32)


def reverberation_time(response: NDArray[np.floating], sample_rate: int) -> float:
    """RT60 in seconds of an impulse response [time]: Schroeder's backward integration (1965), T30 of ISO 3382-1.

    A line is fitted to the decay between -5 and -35 dB, extrapolated to -60 dB; nan if the response is silent or does
    not fall so far.
    """
    energy = np.cumsum(np.square(response[::-1], dtype=np.float64))[::-1]
    if not energy.size or energy[0] == 0:
        return float("nan")
    decay = 10 * np.log10(np.maximum(energy / energy[0], 1e-30))
    fitted = np.flatnonzero((decay <= -5) & (decay >= -35))
    if len(fitted) < 2 or decay[-1] > -35:
        return float("nan")
    slope = np.polyfit(fitted / sample_rate, decay[fitted], 1)[0]
    return float(-60 / slope)

"""Reverberation: measured or simulated room impulse responses (EnCodec paper, section 4.1)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from earmark.codec import audio
from earmark.codec.audio import Audio
from earmark.codec.datasets.layout_files import audio_files
from earmark.codec.errors import UserError

RT60 = (0.3, 1.3)  # seconds
LOUDEST_DIRECT = 9.0  # dB, direct over reverberant sound in a simulated room, close to the source
QUIETEST_DIRECT = -3.0  # likewise, far from the source
FIRST_REFLECTION = 0.003  # seconds after the direct sound: a path that is a metre longer
MOST_CACHED = 1000  # responses; 100 MB if each lasts 1 s at 24 kHz
MOST_DRAWS = 50  # until a response has a reverberation time in the range


class Rooms(Protocol):
    """A source of room impulse responses."""

    @property
    def identity(self) -> str:
        """Identifies the rooms, to tell whether two trainings use the same."""

    def draw(self, rng: np.random.Generator, channels: int) -> Audio:
        """Draw a response, [channels, time]. It starts with the direct sound; its mean energy per channel is 1."""


class SimulatedRooms:
    """Responses of exponentially decaying noise after the direct sound, a new one per draw.

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

    Files are read when drawn, and up to MOST_CACHED responses are kept in memory. Damaged files, and responses whose
    reverberation time is outside the range, are skipped.

    Args:
        folder: folder of audio files.
        sample_rate: Hz to resample to.
        rt60: range of the reverberation time in seconds.

    Raises:
        UserError: the folder holds no audio, or MOST_DRAWS files hold no response in the range.
    """

    def __init__(self, folder: Path, sample_rate: int, rt60: tuple[float, float] = RT60) -> None:
        self._folder, self._sample_rate, self._rt60 = folder, sample_rate, rt60
        self._files = list(audio_files(folder))
        self._responses: dict[int, Audio | None] = {}
        if not self._files:
            raise UserError(f"{folder}: no impulse responses in it; give a folder of audio files, one response each")
        self.draw(np.random.default_rng(0), channels=1)

    def draw(self, rng: np.random.Generator, channels: int) -> Audio:
        """Draw a response as Rooms.draw(). Channels are repeated, or dropped at the end, to get the wanted number.

        Raises:
            UserError: none of MOST_DRAWS files has a reverberation time in the range.
        """
        for _ in range(MOST_DRAWS):
            measured = self._response(int(rng.integers(len(self._files))))
            if measured is not None:
                repeated = np.tile(measured, (-(-channels // measured.shape[0]), 1))[:channels]
                return with_unit_energy(repeated[:, np.abs(repeated).max(axis=0).argmax() :])
        lowest, highest = self._rt60
        raise UserError(f"{self._folder}: {MOST_DRAWS} responses, none of them with an RT60 of {lowest}-{highest} s")

    @property
    def identity(self) -> str:
        """SHA-256 of the files' names and sizes."""
        digest = hashlib.sha256()
        for file in self._files:
            name = file.relative_to(self._folder).as_posix()
            digest.update(f"{name} {file.stat().st_size}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()[:32]

    def _response(self, number: int) -> Audio | None:
        """The response in a file, [channels, time], resampled; None if it cannot be used."""
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
        if len(self._responses) < MOST_CACHED:
            self._responses[number] = response
        return response


def simulate(rng: np.random.Generator, rt60: float, sample_rate: int, channels: int) -> Audio:
    """Simulate an impulse response, [channels, time]: direct sound, then noise that decays by 60 dB in `rt60` seconds.

    All channels have the same direct sound and independent noise, like two ears in a diffuse field.
    """
    time = np.arange(round(rt60 * sample_rate)) / sample_rate
    tail = rng.standard_normal((channels, len(time))) * 10 ** (-3 * time / rt60)
    tail[:, : max(1, round(FIRST_REFLECTION * sample_rate))] = 0
    direct = 10 ** (rng.uniform(QUIETEST_DIRECT, LOUDEST_DIRECT) / 20)
    response = tail / np.sqrt(np.square(tail).sum(axis=1).mean())
    response[:, 0] = direct
    return with_unit_energy(response)


def with_unit_energy(response: NDArray[np.floating]) -> Audio:
    """Scale a response to mean energy 1 per channel, so that it does not change the level of noise."""
    return np.asarray(response / np.sqrt(np.square(response).sum(axis=-1).mean()), np.float32)


def reverberate(samples: Audio, response: Audio) -> Audio:
    """Convolve samples, [channels, time], with a response, [channels, length].

    Returns:
        [channels, time - length + 1]: only samples to which the whole response contributed.
    """
    from scipy.signal import oaconvolve  # takes a second to import, and commands import this module for its constants

    convolved: Audio = oaconvolve(samples, response, mode="valid", axes=-1).astype(np.float32)
    return convolved


def reverberation_time(response: NDArray[np.floating], sample_rate: int) -> float:
    """RT60 in seconds of an impulse response, [time], by Schroeder's backward integration (1965), T30 of ISO 3382-1.

    A line is fitted to the decay between -5 and -35 dB and extrapolated to -60 dB. NaN if the response is silent or
    does not decay that far.
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

"""A reference, or a part of it, with what ViSQOL computes from it alone: kept for all systems scored against it."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from visqol.analysis_window import AnalysisWindow
from visqol.audio_utils import AudioSignal
from visqol.patch_creator import ImagePatchCreator, RmsVad, VadPatchCreator
from visqol.signal_utils import _fft_backend, upper_envelope

from earmark.eval.metrics.visqol_kernels.filter_bank import amplitudes
from earmark.eval.metrics.visqol_kernels.kept import Kept

FULL_SCALE = 2.0**15


class Reference:
    """Samples of a reference whose analysis is kept.

    Args:
        signal: the samples.
        key: identifies them.
        kept: where results are kept.
    """

    def __init__(self, signal: AudioSignal, key: Hashable, kept: Kept) -> None:
        self.signal = signal
        self.key = key
        self._kept = kept

    @property
    def samples(self) -> NDArray[np.float64]:
        return self.signal.data

    def part(self, signal: AudioSignal, *name: float) -> Reference:
        """A part of it that numbers identify: times, or positions of its first and last sample."""
        return Reference(signal, (self.key, *name), self._kept)

    def cut(self, start: int, stop: int) -> Reference:
        """The samples from `start` to before `stop`."""
        if (start, stop) == (0, self.samples.size):
            return self
        return self.part(AudioSignal(self.samples[start:stop], self.signal.sample_rate), start, stop)

    def envelope_spectrum(self, points: int) -> NDArray[np.complex128]:
        """Fourier transform of its envelope, padded to a number of points, as global alignment needs it."""

        def compute() -> NDArray[np.complex128]:
            envelope = upper_envelope(self.samples)
            with _fft_backend():
                return np.asarray(rfft(envelope, n=points))

        return self._kept.get((self.key, "envelope", points), compute)

    def amplitudes(self, window: AnalysisWindow, filters: NDArray[np.float64], bands: int) -> NDArray[np.float64]:
        """Gammatone spectrogram [bands, frames]."""
        key = (self.key, "amplitudes", window.size)
        return self._kept.get(key, lambda: amplitudes(self.samples, window, filters, bands))

    def patch_starts(
        self, creator: ImagePatchCreator | VadPatchCreator, decibels: NDArray[np.float64], window: AnalysisWindow
    ) -> NDArray[np.int64]:  # fmt: skip
        """First frames of its patches; of the spectrogram, the library uses the number of frames only."""

        def compute() -> NDArray[np.int64]:
            return np.array(creator.create_ref_patch_indices(decibels, self.signal, window), dtype=np.int64)

        return self._kept.get((self.key, "patches", decibels.shape[1]), compute).copy()


class VoicePatchCreator(VadPatchCreator):
    """The library's patches with voice activity, without its loop over samples."""

    def _get_voice_activity(
        self, signal: AudioSignal, start_sample: int, total_samples: int, frame_len: int
    ) -> list[float]:  # fmt: skip
        samples = signal.data[start_sample : start_sample + total_samples]
        frames = samples[: samples.size // frame_len * frame_len].reshape(-1, frame_len)
        detector = RmsVad()
        for frame in np.clip(frames * FULL_SCALE, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16):
            detector.process_chunk(frame)
        activity: list[float] = detector.get_vad_results()
        return activity

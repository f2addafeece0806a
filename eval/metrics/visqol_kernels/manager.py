"""ViSQOL by the kernels: the library's manager with the same steps, and scores equal to the last bit."""

from __future__ import annotations

import hashlib
import logging

import numpy as np
from numpy.typing import NDArray
from visqol import visqol_core as core
from visqol import visqol_manager as parts
from visqol.analysis_window import AnalysisWindow
from visqol.audio_utils import AudioSignal, scale_to_match_sound_pressure_level
from visqol.gammatone import Spectrogram, prepare_spectrograms_for_comparison
from visqol.nsim import PatchSimilarityResult, measure_patch_similarity
from visqol.numba_accel import _dp_backtrace
from visqol.patch_creator import VadPatchCreator
from visqol.patch_selector import _calc_max_num_patches, slice_signal

from earmark.eval.metrics.visqol_kernels import candidate_search
from earmark.eval.metrics.visqol_kernels.alignment import aligned, best_lag, shifted
from earmark.eval.metrics.visqol_kernels.filter_bank import amplitudes, coefficients
from earmark.eval.metrics.visqol_kernels.kept import Kept
from earmark.eval.metrics.visqol_kernels.reference import Reference, VoicePatchCreator

MOST_BYTES = 64_000_000  # kept of references; a minute of audio in audio mode
logger = logging.getLogger("visqol.kernels")  # below the library's, whose warnings become the reasons of scores


def compile_kernels() -> None:
    """Compile the kernels, or load them from numba's cache, by calling each."""
    filters = coefficients(parts.K_16K_SAMPLE_RATE, 1, parts.MINIMUM_FREQ, speech_mode=True)
    window = AnalysisWindow(parts.K_16K_SAMPLE_RATE, parts.OVERLAP)
    amplitudes(np.zeros(window.size + 1), window, filters, bands=1)
    silence = np.zeros((1, 2, 2))
    candidate_search.search(silence, np.zeros(1, dtype=np.int64), candidate_search.padded(silence[0], 2), 2, 1)


class PackedManager(parts.VisqolManager):
    """The library's manager, whose `run_from_signals` takes the kernels."""

    def __init__(self) -> None:
        super().__init__()
        self._kept = Kept(MOST_BYTES)
        self._filters: dict[int, NDArray[np.float64]] = {}

    @property
    def bands(self) -> int:
        """Number of gammatone bands of the mode."""
        return int(parts.NUM_BANDS_SPEECH if self.use_speech_mode else parts.NUM_BANDS_AUDIO)

    def run_from_signals(self, ref_signal: AudioSignal, deg_signal: AudioSignal) -> core.SimilarityResult:
        """Score two signals (`VisqolManager.run_from_signals`, `VisqolCore.calculate_similarity`).

        Raises:
            ValueError: the rates differ, or the signals are too short.
        """
        self._ensure_initialized()
        self._validate_input(ref_signal, deg_signal)
        reference = Reference(ref_signal, hashlib.blake2b(ref_signal.data.data).digest(), self._kept)
        deg_signal = shifted(deg_signal, best_lag(reference, deg_signal.data))
        window = AnalysisWindow(ref_signal.sample_rate, parts.OVERLAP)
        decoded = scale_to_match_sound_pressure_level(ref_signal, deg_signal)
        spectrograms = self._spectrograms(reference, decoded, window)
        hop = core.calc_frame_duration(window.hop_size, ref_signal.sample_rate)
        patches = self._most_similar(reference, *spectrograms, hop, window)
        patches = [self._realigned(patch, reference, decoded, window) for patch in patches]
        return self._result(patches, hop)

    def _spectrograms(
        self, reference: Reference, decoded: AudioSignal, window: AnalysisWindow
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Both in decibels above their common floor, [bands, frames].

        Raises:
            ValueError: a signal is not longer than the window.
        """
        for samples in (reference.samples, decoded.data):
            if samples.size <= window.size:
                raise ValueError(f"{samples.size} samples are too few for a window of {window.size}")
        rate = decoded.sample_rate
        if rate not in self._filters:
            self._filters[rate] = coefficients(rate, self.bands, parts.MINIMUM_FREQ, speech_mode=self.use_speech_mode)
        filters = self._filters[rate]
        return prepare_spectrograms_for_comparison(
            Spectrogram(reference.amplitudes(window, filters, self.bands)),
            Spectrogram(amplitudes(decoded.data, window, filters, self.bands)),
        )

    def _most_similar(
        self,
        reference: Reference,
        ref_db: NDArray[np.float64],
        deg_db: NDArray[np.float64],
        hop: float,
        window: AnalysisWindow,
    ) -> list[PatchSimilarityResult]:
        """The decoded patch for each of the reference (`find_most_optimal_deg_patches`); `hop` is in seconds.

        Raises:
            ValueError: there is none for any.
        """
        creator = self.patch_creator
        if isinstance(creator, VadPatchCreator):
            creator = VoicePatchCreator(creator.patch_size)
        assert creator is not None
        starts = reference.patch_starts(creator, ref_db, window)
        size, frames = creator.patch_size, deg_db.shape[1]
        count = _calc_max_num_patches(starts.tolist(), frames, size)
        if count == 0:
            raise ValueError(
                "Degraded file was too short, different, or misaligned to score any of the reference patches."
            )
        if count < starts.size:
            logger.warning(
                "Dropping %d (of %d) reference patches due to degraded file being misaligned or too short.",
                starts.size - count, starts.size,
            )  # fmt: skip
        patches = np.stack([ref_db[:, start : start + size] for start in starts[:count]])
        padded, radius = candidate_search.padded(deg_db, size), self.search_window * size
        totals, before = candidate_search.search(patches, starts[:count], padded, frames, radius)
        best = _dp_backtrace(totals, before, starts[:count], count, frames, radius)
        results = []
        for patch, start, candidate, previous in zip(
            patches, starts.tolist(), best.tolist(), before[np.arange(count), best].tolist(), strict=False
        ):
            result = measure_patch_similarity(patch, np.ascontiguousarray(padded[:, candidate : candidate + size]))
            result.ref_patch_start_time = start * hop
            result.ref_patch_end_time = result.ref_patch_start_time + hop * size
            if candidate == previous:  # the path stays where it was: this patch is lost
                result.similarity, result.freq_band_means = 0.0, np.zeros(self.bands)
            else:
                result.deg_patch_start_time = candidate * hop
                result.deg_patch_end_time = result.deg_patch_start_time + hop * size
            results.append(result)
        return results

    def _realigned(
        self, patch: PatchSimilarityResult, reference: Reference, decoded: AudioSignal, window: AnalysisWindow
    ) -> PatchSimilarityResult:
        """The patch after alignment by itself if it is as similar then (`finely_align_and_recreate_patches`)."""
        if patch.deg_patch_start_time == patch.deg_patch_end_time == 0.0:
            return patch
        times = patch.ref_patch_start_time, patch.ref_patch_end_time
        ref_part = reference.part(slice_signal(reference.signal, *times), *times)
        deg_part = slice_signal(decoded, patch.deg_patch_start_time, patch.deg_patch_end_time)
        if not (ref_part.samples.size and deg_part.data.size):
            return patch
        ref_part, deg_part, lag = aligned(ref_part, deg_part)
        if min(ref_part.samples.size, deg_part.data.size) <= window.size:
            return patch
        result = measure_patch_similarity(*self._spectrograms(ref_part, deg_part, window))
        if result.similarity < patch.similarity:
            return patch
        result.ref_patch_start_time = patch.ref_patch_start_time + max(lag, 0.0)
        result.deg_patch_start_time = patch.deg_patch_start_time - min(lag, 0.0)
        result.ref_patch_end_time = result.ref_patch_start_time + ref_part.signal.duration
        result.deg_patch_end_time = result.deg_patch_start_time + deg_part.duration
        return result

    def _result(self, patches: list[PatchSimilarityResult], hop: float) -> core.SimilarityResult:
        """The score from the patches, by the library's own functions."""
        assert self.quality_mapper is not None
        means = core.calc_per_patch_mean_freq_band_means(patches)
        lowest = core.calc_per_patch_freq_band_quantile(patches, 0.10)
        deviations = core.calc_per_patch_mean_freq_band_stddevs(patches, hop)
        energy = core.calc_per_patch_mean_freq_band_deg_energy(patches)
        similarity = float(np.mean(means))
        quality = core.alter_for_similarity_extremes(
            similarity, self.quality_mapper.predict_quality(means, lowest, deviations, energy)
        )
        return core.SimilarityResult(quality, similarity, means, lowest, deviations, energy, patch_sims=patches)

"""A cache of ViSQOL's spectrograms: those of a reference are the same for every system scored against it."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from visqol.analysis_window import AnalysisWindow
from visqol.audio_utils import AudioSignal
from visqol.gammatone import GammatoneSpectrogramBuilder, Spectrogram

MOST_BYTES = 64_000_000  # of cached spectrograms; ten minutes of audio with all patches, in audio mode


class CachingBuilder(GammatoneSpectrogramBuilder):
    """The library's builder with a cache: computes the spectrogram of the same samples once.

    Drops the least recently used spectrogram first. The arrays that `build` returns are read-only; the library does
    not write to them.
    """

    def __init__(self, bands: int, lowest: float, *, speech_mode: bool) -> None:
        super().__init__(bands, lowest, speech_mode=speech_mode)
        self._cache: OrderedDict[tuple[bytes, int, int], Spectrogram] = OrderedDict()
        self._bytes = 0

    def build(self, signal: AudioSignal, window: AnalysisWindow) -> Spectrogram:
        """Build a spectrogram; raises ValueError if the signal is shorter than a window."""
        key = (hashlib.blake2b(signal.data.tobytes()).digest(), signal.sample_rate, window.size)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        spectrogram = super().build(signal, window)
        spectrogram.data.flags.writeable = False
        self._cache[key] = spectrogram
        self._bytes += spectrogram.data.nbytes
        while self._bytes > MOST_BYTES:
            _, dropped = self._cache.popitem(last=False)
            self._bytes -= dropped.data.nbytes
        return spectrogram

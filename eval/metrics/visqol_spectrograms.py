"""ViSQOL's spectrograms, remembered: those of a reference are the same for every system that is judged against it."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from visqol.analysis_window import AnalysisWindow
from visqol.audio_utils import AudioSignal
from visqol.gammatone import GammatoneSpectrogramBuilder, Spectrogram

MOST_BYTES = 64_000_000  # of spectrograms; ten minutes of audio with all its patches, in audio mode


class RememberingBuilder(GammatoneSpectrogramBuilder):
    """The library's builder, which computes the spectrogram of the same samples once.

    What was used longest ago is forgotten first. Nobody may write to what `build` returns, nor does the library.
    """

    def __init__(self, bands: int, lowest: float, *, speech_mode: bool) -> None:
        super().__init__(bands, lowest, speech_mode=speech_mode)
        self._known: OrderedDict[tuple[bytes, int, int], Spectrogram] = OrderedDict()
        self._bytes = 0

    def build(self, signal: AudioSignal, window: AnalysisWindow) -> Spectrogram:
        """See the library; raises ValueError if the signal is shorter than a window."""
        key = (hashlib.blake2b(signal.data.tobytes()).digest(), signal.sample_rate, window.size)
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        spectrogram = super().build(signal, window)
        spectrogram.data.flags.writeable = False
        self._known[key] = spectrogram
        self._bytes += spectrogram.data.nbytes
        while self._bytes > MOST_BYTES:
            _, forgotten = self._known.popitem(last=False)
            self._bytes -= forgotten.data.nbytes
        return spectrogram

"""Reading, writing and resampling of audio: float32 [channels, time], full scale at +-1 (soundfile, soxr; no torch)."""

from earmark.codec.audio.files import SUFFIXES, Recording, read, write
from earmark.codec.audio.signals import Audio, Pcm, fit_length, resample, resampled_length, to_pcm16

__all__ = [
    "SUFFIXES", "Audio", "Pcm", "Recording", "fit_length", "read", "resample", "resampled_length", "to_pcm16", "write",
]  # fmt: skip

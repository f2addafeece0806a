"""Audio of a study's stimuli: excerpts of what a run decoded, and anchors coded now."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.baselines.systems import family_of, parse
from earmark.baselines.transcode import transcode
from earmark.codec import audio
from earmark.eval.comparison.run_folder import audio_path
from earmark.mushra_app.study.excerpts import Excerpt

FADE = 0.010  # seconds; at both ends of an excerpt, so that it loops without a click


def condition_audio(run: Path, system: str, file: str, reference: audio.Recording) -> NDArray[np.float32]:
    """Decoded signal from the run; codes the reference now if the run lacks the system, which may be an anchor."""
    path = audio_path(run, system, file)
    if path.exists():
        return audio.read(path).samples
    return coded(reference.samples, system, reference.sample_rate)


def coded(signal: NDArray[np.float32], system: str, sample_rate: int) -> NDArray[np.float32]:
    """The signal [channels, time] as a system returns it; for anchors, which need no run."""
    parsed = parse(system)
    codec = family_of(parsed).open(parsed, sample_rate, signal.shape[0])
    return transcode(codec, signal, sample_rate).audio


def faded_excerpt(signal: NDArray[np.float32], excerpt: Excerpt, from_rate: int, to_rate: int) -> NDArray[np.float32]:
    """The excerpt of a signal [channels, time], at the study's sample rate and with raised-cosine fades."""
    part = signal[:, round(excerpt.start * from_rate) : round((excerpt.start + excerpt.seconds) * from_rate)]
    part = audio.resample(part, from_rate, to_rate).copy()
    length = round(FADE * to_rate)
    ramp = (0.5 - 0.5 * np.cos(np.pi * np.arange(length) / length)).astype(np.float32)
    part[:, :length] *= ramp
    part[:, part.shape[1] - length :] *= ramp[::-1]
    return part

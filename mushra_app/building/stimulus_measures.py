"""Measurements of every stimulus for the pre-flight checks, cached in STUDY/preflight.json until a file changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.codec.files import write_text
from earmark.codec.progress import progress
from earmark.eval.levels import loudness
from earmark.mushra_app.study.study import Item, Study, stimulus_path

CACHE = "preflight.json"
FORMAT = 3
CERTAIN_HEIGHT = 0.8  # correlation at lag 0 from which no other delay can be right
ENVELOPE_ERROR = 0.005  # seconds; spectral envelopes err by up to 3 ms
LEAST_SURE = 0.3  # correlation that is reported at least if the search has found a delay
CLIPPED_RUN = 3  # consecutive samples at full scale; fewer may be a peak that just reaches it
FULL_SCALE = 32767 / 32768


@dataclass(frozen=True)
class Measures:
    """Measurements of one stimulus.

    Args:
        error: why the file cannot be read, or ""; if set, the other fields are meaningless.
        size: size of the file in bytes.
        samples, sample_rate, channels: format of its audio.
        clipped: number of runs of three or more samples at full scale, over all channels.
        loudness: integrated loudness in LUFS; -70 for silence.
        lag: delay against the hidden reference in samples, positive if the stimulus is late.
        correlation: normalised correlation with the reference at that lag; near 0 the lag means nothing.
        is_reference_copy: whether every sample equals that of the hidden reference.
    """

    error: str = ""
    size: int = 0
    samples: int = 0
    sample_rate: int = 0
    channels: int = 0
    clipped: int = 0
    loudness: float = 0.0
    lag: int = 0
    correlation: float = 0.0
    is_reference_copy: bool = False


Measured = Mapping[str, Mapping[str, Measures]]  # item id -> condition -> measurements


def measure_study(study: Study, folder: Path) -> Measured:
    """Measure every stimulus, or return the cached measurements if no file has changed since.

    Args:
        folder: study folder; preflight.json is written there if the folder is writable.
    """
    stamp = _stamp(study, folder)
    cache = folder / CACHE
    try:
        cached = json.loads(cache.read_text(encoding="utf-8"))
        if cached["stamp"] == stamp:
            return {
                item: {name: Measures(**values) for name, values in conditions.items()}
                for item, conditions in cached["measured"].items()
            }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass  # missing, damaged, or written by another version
    measured = {}
    with progress("check stimuli", len(study.items)) as advance:
        for item in study.items:
            measured[item.id] = measure_item(study, item, folder / "audio")
            advance(item.id)
    plain = {item: {name: asdict(one) for name, one in conditions.items()} for item, conditions in measured.items()}
    with suppress(UserError):  # without a cache, e.g. in a read-only folder, every call measures again
        write_text(cache, json.dumps({"stamp": stamp, "measured": plain}))
    return measured


def measure_item(study: Study, item: Item, audio_folder: Path) -> dict[str, Measures]:
    """Measure every stimulus of one item, against the item's hidden reference."""
    recordings: dict[str, audio.Recording] = {}
    measured: dict[str, Measures] = {}
    for name, stimulus in item.stimuli.items():
        try:
            recordings[name] = audio.read(audio_folder / stimulus.audio)
        except UserError as error:
            measured[name] = Measures(error=str(error))
    hidden = study.condition("hidden reference")
    reference = recordings.get(hidden.name) if hidden else None
    for name, recording in recordings.items():
        size = (audio_folder / item.stimuli[name].audio).stat().st_size
        measured[name] = _measure(recording, reference, size, aligned=item.stimuli[name].aligned)
    return measured


def lag_and_correlation(
    reference: NDArray[np.float32], signal: NDArray[np.float32], sample_rate: int, *, aligned: bool = False
) -> tuple[int, float]:  # fmt: skip
    """Delay of a stimulus against its reference, as `earmark compare` measures it, and how sure it is.

    Args:
        reference, signal: [channels, time], of equal shape.
        aligned: whether the whole recordings are aligned. A few seconds of them say less, so that only a certain match
            of the waveforms, as of a file that was replaced, contradicts.

    Returns:
        Lag in samples, positive if `signal` is late, and the normalised correlation there, 1 for equal signals. The
        correlation is 0 if no delay stands out: in silence, periodic signals, and where the codec does not keep the
        waveform and the spectral envelopes do not tell more than 5 ms.
    """
    from earmark.eval.alignment.plain import height_at, match_near  # not when a server starts with cached measures
    from earmark.eval.alignment.search import find_delay

    if not reference.any() or not signal.any():
        return 0, 0.0
    here, _ = height_at(reference, signal, 0)
    if here >= CERTAIN_HEIGHT:
        near = match_near(reference, signal, 0)
        return near.whole, near.height
    found = find_delay(reference, signal, sample_rate)
    if found.lag is None or found.ambiguous:
        return 0, 0.0
    if aligned and not (found.clear and match_near(reference, signal, round(found.lag)).height >= CERTAIN_HEIGHT):
        return 0, here
    if found.by_envelope:
        unsure = abs(found.lag) < ENVELOPE_ERROR * sample_rate
        return (0, here) if unsure else (round(found.lag), LEAST_SURE)
    return round(found.lag), max(match_near(reference, signal, round(found.lag)).height, LEAST_SURE)


def _measure(
    recording: audio.Recording, reference: audio.Recording | None, size: int, *, aligned: bool
) -> Measures:  # fmt: skip
    samples = recording.samples
    lag, correlation, is_copy = 0, 0.0, False
    if reference is not None and reference.samples.shape == samples.shape:
        is_copy = bool(np.array_equal(reference.samples, samples))
        lag, correlation = (
            (0, 1.0)
            if is_copy
            else lag_and_correlation(reference.samples, samples, recording.sample_rate, aligned=aligned)
        )
    return Measures(
        size=size, samples=samples.shape[1], sample_rate=recording.sample_rate, channels=recording.channels,
        clipped=_clipped_runs(samples), loudness=loudness(samples, recording.sample_rate),
        lag=lag, correlation=round(correlation, 4), is_reference_copy=is_copy,
    )  # fmt: skip


def _clipped_runs(samples: NDArray[np.float32]) -> int:
    """Number of runs of at least CLIPPED_RUN samples at full scale."""
    full = np.abs(samples) >= FULL_SCALE
    edges = np.diff(np.pad(full, [(0, 0), (1, 1)]).astype(np.int8), axis=1)
    lengths = np.argwhere(edges == -1)[:, 1] - np.argwhere(edges == 1)[:, 1]
    return int((lengths >= CLIPPED_RUN).sum())


def _stamp(study: Study, folder: Path) -> str:
    """Hash of the conditions and of the names, sizes and modification times of all files."""
    content: list[object] = [FORMAT, [[condition.name, condition.role] for condition in study.conditions]]
    for item in study.items:
        for name, stimulus in item.stimuli.items():
            path = stimulus_path(folder, stimulus.audio)
            status = path.stat() if path.is_file() else None
            content.append(
                [item.id, name, stimulus.audio, stimulus.aligned, status and (status.st_size, status.st_mtime_ns)]
            )
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()

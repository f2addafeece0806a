"""Excerpts of the chosen recordings: audio and spectrograms of the source and of its decoded versions.

All versions of an excerpt get the same loudness (eval/levels.py), as in a listening test, so that none wins by being
louder.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from earmark.codec.audio import Audio, fit_length
from earmark.codec.files import written_whole
from earmark.codec.remote_paths import local_copy
from earmark.eval.comparison.run_folder import EXCERPTS, REFERENCE, audio_path
from earmark.eval.levels import match
from earmark.eval.report import spectrograms
from earmark.eval.report.choice import OUTLIER, RANKS, Choice
from earmark.eval.statistics.scales import decimals_of
from earmark.eval.tables.numbers import kbps_text

SHORTEST, LONGEST = 5.0, 8.0  # seconds
BUDGET = 22_000_000  # characters of base64 in one report
SOURCE = "source"
Start = Callable[[Choice, Audio, int, int], int]  # recording, source, sample rate, length in samples -> first sample


@dataclass(frozen=True)
class Clip:
    """One version of an excerpt.

    Args:
        score: score of the whole recording as text, or "".
        rate: measured bit rate of the whole recording as text, or "".
        gain: gain in dB that gave it the loudness of all versions.
        flac: content of the audio file.
        spectrogram, difference: PNG images in base64; "" for the difference of the source.
    """

    system: str
    score: str
    rate: str
    gain: float
    flac: bytes
    spectrogram: str
    difference: str

    @property
    def base64(self) -> str:
        return base64.b64encode(self.flac).decode("ascii")


@dataclass(frozen=True)
class Excerpt:
    """Some seconds of one recording in several versions of equal length, the source first.

    Args:
        start, seconds: position and length of the excerpt within the recording.
        highest: frequency in Hz at the top of the spectrograms.
    """

    choice: Choice
    start: float
    seconds: float
    highest: float
    clips: tuple[Clip, ...]

    @property
    def picture_size(self) -> int:
        """Size of the images in characters of base64."""
        return sum(len(clip.spectrogram) + len(clip.difference) for clip in self.clips)

    @property
    def size(self) -> int:
        """Size of images and audio in characters of base64."""
        return self.picture_size + sum(-(-len(clip.flac) // 3) * 4 for clip in self.clips)


def cut(
    run: Path,
    scores: pd.DataFrame,
    chosen: Sequence[Choice],
    metric: str | None,
    *,
    longest: float = LONGEST,
    budget: int = BUDGET,
    linked: bool = False,
    start: Start | None = None,
) -> list[Excerpt]:
    """Cut excerpts of chosen recordings, the loudest seconds of each.

    Args:
        run: folder of the run, with the decoded audio.
        scores: rows of RUN/scores.parquet.
        chosen: the recordings, the most important first; those without audio are skipped.
        metric: metric whose scores stand beside the versions.
        longest: length in seconds; shorter, down to 5 s, if all excerpts together exceed the budget.
        budget: characters of base64 that all excerpts together may take; recordings that still do not fit are skipped.
        linked: the audio is stored beside the page and does not count.
        start: where an excerpt begins; default: `loudest` of the source.
    """
    chosen = [choice for choice in chosen if audio_path(run, REFERENCE, choice.file).is_file()]
    excerpts = [_cut(run, scores, choice, metric, longest, start) for choice in chosen]

    def sizes() -> list[int]:
        return [excerpt.picture_size if linked else excerpt.size for excerpt in excerpts]

    if sum(sizes()) > budget:
        seconds = max(SHORTEST, 0.95 * longest * budget / sum(sizes()))
        excerpts = [_cut(run, scores, choice, metric, seconds, start) for choice in chosen]
    kept, left = [], budget
    for excerpt, size in zip(excerpts, sizes(), strict=True):
        if size <= left:
            kept.append(excerpt)
            left -= size
    return kept


def by_category(excerpts: Sequence[Excerpt], categories: Sequence[str]) -> list[Excerpt]:
    """Sort excerpts by category and rank, the outliers last."""
    return sorted(
        excerpts,
        key=lambda one: (
            one.choice.rank == OUTLIER, categories.index(one.choice.category), RANKS.index(one.choice.rank),
        ),
    )  # fmt: skip


def _cut(
    run: Path, scores: pd.DataFrame, choice: Choice, metric: str | None, seconds: float, start: Start | None
) -> Excerpt:
    whole, rate = _read(audio_path(run, REFERENCE, choice.file))
    length = min(whole.shape[1], round(seconds * rate))
    first = loudest(whole, length) if start is None else start(choice, whole, rate, length)
    versions = {SOURCE: whole[:, first : first + length]}
    values, rates = {SOURCE: math.nan}, {SOURCE: math.nan}
    ranked = scores[scores["metric"] == metric]
    decimals = decimals_of(ranked.groupby(["system", "category"])["value"].mean())
    rows = ranked[ranked["file"] == choice.file]
    for system, value, kbps in zip(rows["system"], rows["value"], rows["kbps"], strict=True):
        path = audio_path(run, system, choice.file)
        if system != REFERENCE and path.is_file() and choice.plays(system):
            decoded, _ = _read(path, first, length)
            versions[system] = fit_length(decoded, length)
            values[system], rates[system] = value, kbps
    gains = {name: gain for name, (gain, _) in match(versions, rate).items()}
    matched = {name: samples * np.float32(10 ** (gains[name] / 20)) for name, samples in versions.items()}
    levels = {name: spectrograms.levels(samples, rate) for name, samples in matched.items()}
    highest = float(levels[SOURCE].max())
    clips = tuple(
        Clip(
            name, f"{values[name]:.{decimals}f}" if math.isfinite(values[name]) else "",
            f"{kbps_text(rates[name])} kbps" if math.isfinite(rates[name]) else "", gains[name],
            _flac(samples, rate), spectrograms.picture(levels[name], highest),
            "" if name == SOURCE else spectrograms.difference(levels[SOURCE], levels[name], highest),
        )
        for name, samples in matched.items()
    )  # fmt: skip
    return Excerpt(choice, first / rate, length / rate, rate / 2, clips)


def _read(path: Path, start: int = 0, frames: int = -1) -> tuple[Audio, int]:
    with local_copy(path) as local:
        samples, rate = soundfile.read(local, start=start, frames=frames, dtype="float32", always_2d=True)
    return samples.T, rate


def loudest(source: Audio, length: int) -> int:
    """Start of the `length` samples with the most energy in [channels, time], searched in steps of length / 8."""
    energy = np.concatenate([[0.0], np.cumsum((source.astype(np.float64) ** 2).sum(axis=0))])
    starts = np.arange(0, source.shape[1] - length + 1, max(1, length // 8))
    return int(starts[np.argmax(energy[starts + length] - energy[starts])])


def most_different(run: Path, system: str) -> Start:
    """Start of the seconds in which a system's spectrogram differs most from that of the source."""

    def start(choice: Choice, source: Audio, rate: int, length: int) -> int:
        path = audio_path(run, system, choice.file)
        if length == source.shape[1] or not path.is_file():
            return 0
        decoded = fit_length(_read(path)[0], source.shape[1])
        shown = [spectrograms.levels(samples, rate) for samples in (source, decoded)]
        floor = shown[0].max() - spectrograms.RANGE_DB  # below it, a difference is inaudible
        distance = np.abs(np.maximum(shown[0], floor) - np.maximum(shown[1], floor)).mean(axis=0)
        columns = max(1, round(length / source.shape[1] * len(distance)))
        sums = np.convolve(distance, np.ones(columns), mode="valid")
        first = int(np.argmax(sums)) / len(distance) * source.shape[1]
        return min(round(first), source.shape[1] - length)

    return start


def _flac(samples: Audio, sample_rate: int) -> bytes:
    """Content of a 16-bit FLAC file; samples beyond full scale are clipped."""
    buffer = io.BytesIO()
    pcm = np.clip(np.rint(samples.T * 32768.0), -32768, 32767).astype(np.int16)
    soundfile.write(buffer, pcm, sample_rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def write_audio(run: Path, excerpts: Sequence[Excerpt]) -> list[list[str]]:
    """Write the audio of all excerpts into RUN/excerpts, replacing its content.

    Returns:
        For each excerpt the paths of its clips, relative to the page.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    remove(run)
    links = []
    for number, excerpt in enumerate(excerpts, 1):
        names = [f"{EXCERPTS}/{number:02}-{index}.flac" for index in range(len(excerpt.clips))]
        for name, clip in zip(names, excerpt.clips, strict=True):
            with written_whole(run / name) as aside:
                aside.write_bytes(clip.flac)
        links.append(names)
    return links


def remove(run: Path) -> None:
    """Delete the files that `write_audio` wrote."""
    folder = run / EXCERPTS
    if folder.is_dir():
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()

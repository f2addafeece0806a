"""Which recordings a report lets one hear, and their excerpts as FLAC: the source and every system, level untouched."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from codec.audio import Audio, fit_length
from eval.run_folder import REFERENCE, audio_path

MOST = 9  # recordings in one report
MOST_PER_CATEGORY = 3
SHORTEST, LONGEST = 5.0, 8.0  # seconds
BUDGET = 24_000_000  # characters of base64 in one report
RANKS = ("lowest", "middle", "highest", "")  # in the order of the page


@dataclass(frozen=True)
class Clip:
    """One version of an excerpt: the system, its score for the whole recording (or ""), base64 of a FLAC file."""

    system: str
    score: str
    flac: str


@dataclass(frozen=True)
class Excerpt:
    """Some seconds of one recording in every version, the source first; all of one length.

    Args:
        rank: where the recording stands in its category by its mean score over all systems; "" if it is the only one.
        start, seconds: the excerpt within the recording.
    """

    file: str
    category: str
    rank: str
    start: float
    seconds: float
    clips: tuple[Clip, ...]

    @property
    def size(self) -> int:
        """Characters of base64."""
        return sum(len(clip.flac) for clip in self.clips)


@dataclass(frozen=True)
class Choice:
    """A recording chosen to be heard."""

    file: str
    category: str
    rank: str


def ranking_metric(scores: pd.DataFrame) -> str | None:
    """The metric by which recordings are chosen: the run's first that has any score, None if none has."""
    scored = set(scores.loc[scores["status"] == "ok", "metric"])
    return next((str(metric) for metric in scores["metric"].unique() if metric in scored), None)


def choose(scores: pd.DataFrame) -> list[Choice]:
    """Recordings spread over the range of the ranking metric: per category the lowest, the highest, the middle one.

    Returns:
        At most `MOST`, the most telling first: one of each category before a second of any.
    """
    ranked = scores[(scores["metric"] == ranking_metric(scores)) & (scores["status"] == "ok")]
    means = ranked.groupby(["category", "file"], sort=False)["value"].mean().reset_index()
    rounds: list[list[Choice]] = [[] for _ in range(MOST_PER_CATEGORY)]
    for category in means["category"].unique():
        files = means[means["category"] == category].sort_values(["value", "file"])["file"].tolist()
        for round_, (index, rank) in zip(rounds, _spread(len(files)), strict=False):
            round_.append(Choice(files[index], str(category), rank))
    return [choice for round_ in rounds for choice in round_][:MOST]


def _spread(count: int) -> list[tuple[int, str]]:
    """Indices into `count` sorted recordings with the word for each, in order of importance."""
    if count == 1:
        return [(0, "")]
    return [(0, "lowest"), (count - 1, "highest"), (count // 2, "middle")][:count]


def cut(run: Path, scores: pd.DataFrame, budget: int = BUDGET) -> list[Excerpt]:
    """Excerpts of the chosen recordings, by category.

    Args:
        run: folder with the decoded audio.
        budget: characters of base64 that all excerpts together may take. Where 8 s of each recording are too much it
            is less, down to 5 s; recordings that do not fit even then are left out.
    """
    chosen = [choice for choice in choose(scores) if audio_path(run, REFERENCE, choice.file).is_file()]
    excerpts = [_cut(run, scores, choice, LONGEST) for choice in chosen]
    total = sum(excerpt.size for excerpt in excerpts)
    if total > budget:
        seconds = max(SHORTEST, 0.95 * LONGEST * budget / total)
        excerpts = [_cut(run, scores, choice, seconds) for choice in chosen]
    kept, free = [], budget
    for excerpt in excerpts:
        if excerpt.size <= free:
            kept.append(excerpt)
            free -= excerpt.size
    categories = list(dict.fromkeys(scores["category"]))
    return sorted(kept, key=lambda excerpt: (categories.index(excerpt.category), RANKS.index(excerpt.rank)))


def _cut(run: Path, scores: pd.DataFrame, choice: Choice, seconds: float) -> Excerpt:
    whole, rate = _read(audio_path(run, REFERENCE, choice.file))
    length = min(whole.shape[1], round(seconds * rate))
    start = loudest(whole, length)
    clips = [Clip("source", "", _flac(whole[:, start : start + length], rate))]
    rows = scores[(scores["file"] == choice.file) & (scores["metric"] == ranking_metric(scores))]
    for system, value in zip(rows["system"], rows["value"], strict=True):
        path = audio_path(run, system, choice.file)
        if system != REFERENCE and path.is_file():
            decoded, _ = _read(path, start, length)
            score = f"{value:.2f}" if math.isfinite(value) else ""
            clips.append(Clip(system, score, _flac(fit_length(decoded, length), rate)))
    return Excerpt(choice.file, choice.category, choice.rank, start / rate, length / rate, tuple(clips))


def _read(path: Path, start: int = 0, frames: int = -1) -> tuple[Audio, int]:
    samples, rate = soundfile.read(path, start=start, frames=frames, dtype="float32", always_2d=True)
    return samples.T, rate


def loudest(source: Audio, length: int) -> int:
    """Where the `length` samples with the most energy begin in [channels, time], in steps of 1/8 of their length."""
    energy = np.concatenate([[0.0], np.cumsum((source.astype(np.float64) ** 2).sum(axis=0))])
    starts = np.arange(0, source.shape[1] - length + 1, max(1, length // 8))
    return int(starts[np.argmax(energy[starts + length] - energy[starts])])


def _flac(samples: Audio, sample_rate: int) -> str:
    """Base64 of a 16-bit FLAC file; what lies beyond full scale is clipped, as a converter would."""
    buffer = io.BytesIO()
    pcm = np.clip(np.rint(samples.T * 32768.0), -32768, 32767).astype(np.int16)
    soundfile.write(buffer, pcm, sample_rate, format="FLAC", subtype="PCM_16")
    return base64.b64encode(buffer.getvalue()).decode("ascii")

"""Excerpts of the chosen recordings: audio and spectrograms of the source and of its decoded versions.

All versions of an excerpt get the same loudness (eval/levels.py), as in a listening test, so that none wins by being
louder.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import pandas as pd

from earmark.codec.audio import Audio, fit_length
from earmark.codec.files import written_whole
from earmark.eval.comparison.pool import Workers
from earmark.eval.comparison.run_folder import EXCERPTS, REFERENCE, audio_path
from earmark.eval.report import cutting, spectrograms
from earmark.eval.report.choice import OUTLIER, RANKS, Choice
from earmark.eval.report.cutting import Clip, Piece, Version
from earmark.eval.statistics.scales import decimals_of
from earmark.eval.tables.numbers import kbps_text

SHORTEST, LONGEST = 5.0, 8.0  # seconds
BUDGET = 22_000_000  # characters of base64 in one report
Start = Callable[[Choice, Audio, int, int], int]  # recording, source, sample rate, length in samples -> first sample


@dataclass(frozen=True)
class Excerpt:
    """Some seconds of one recording in several versions of equal length, the source first; see `cutting.Cut`."""

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


class Excerpts:
    """Excerpts that are being cut.

    Args:
        pieces: what to cut, the most important first.
        seconds: their length; shorter, down to 5 s, if all together exceed the budget.
        budget, linked, workers: see `begin`.

    Attributes:
        failures: recordings that could not be cut -> reason; complete after `wait`.
    """

    def __init__(
        self, pieces: Sequence[tuple[Choice, Piece]], seconds: float, budget: int, linked: bool, workers: Workers | None
    ) -> None:
        self.failures: dict[str, str] = {}
        self._seconds, self._budget, self._linked, self._workers = seconds, budget, linked, workers
        self._first = self._begin(pieces)

    def wait(self) -> list[Excerpt]:
        """Wait for the excerpts, and return those that fit into the budget."""
        whole = self._first()
        total = sum(self._size(excerpt) for _, excerpt in whole)
        if total > self._budget:
            seconds = max(SHORTEST, 0.95 * self._seconds * self._budget / total)
            whole = self._begin([(excerpt.choice, replace(piece, seconds=seconds)) for piece, excerpt in whole])()
        kept, left = [], self._budget
        for _, excerpt in whole:
            if (size := self._size(excerpt)) <= left:
                kept.append(excerpt)
                left -= size
        return kept

    def _size(self, excerpt: Excerpt) -> int:
        return excerpt.picture_size if self._linked else excerpt.size

    def _begin(self, pieces: Sequence[tuple[Choice, Piece]]) -> Callable[[], list[tuple[Piece, Excerpt]]]:
        """Begin to cut; the function that waits says what cannot be cut, and returns the rest."""
        work = [piece for _, piece in pieces]
        wait = None if self._workers is None else self._workers.begin(cutting.attempt, work, _died)

        def finish() -> list[tuple[Piece, Excerpt]]:
            results = map(cutting.attempt, work) if wait is None else wait()
            excerpts = []
            for (choice, piece), result in zip(pieces, results, strict=True):
                if isinstance(result, str):
                    self.failures[choice.file] = result
                    click.echo(f"failed: report: no player for {choice.file}: {result}", err=True)
                else:
                    excerpts.append((piece, Excerpt(choice, *result)))
            return excerpts

        return finish


def begin(
    run: Path,
    scores: pd.DataFrame,
    chosen: Sequence[Choice],
    metric: str | None,
    *,
    longest: float = LONGEST,
    budget: int = BUDGET,
    linked: bool = False,
    start: Start | None = None,
    workers: Workers | None = None,
) -> Excerpts:
    """Begin to cut excerpts of chosen recordings, the loudest seconds of each.

    A recording whose audio cannot be read is among the failures, and a line on standard error says why.

    Args:
        run: folder of the run, with the decoded audio.
        scores: rows of RUN/scores.parquet.
        chosen: the recordings, the most important first; those without audio are skipped.
        metric: metric whose scores stand beside the versions.
        longest: length in seconds; shorter, down to 5 s, if all excerpts together exceed the budget.
        budget: characters of base64 that all excerpts together may take; recordings that still do not fit are skipped.
        linked: the audio is stored beside the page and does not count.
        start: where an excerpt begins; default: the loudest seconds of the source.
        workers: processes that cut while this one does other work; default: this process cuts.
    """
    chosen = [choice for choice in chosen if audio_path(run, REFERENCE, choice.file).is_file()]
    ranked = scores[scores["metric"] == metric]
    decimals = decimals_of(ranked.groupby(["system", "category"])["value"].mean()) if chosen else 0
    pieces = [(choice, _piece(run, ranked, decimals, choice, longest, start)) for choice in chosen]
    return Excerpts(pieces, longest, budget, linked, workers)


def cut(
    run: Path, scores: pd.DataFrame, chosen: Sequence[Choice], metric: str | None, *, longest: float = LONGEST,
    budget: int = BUDGET, linked: bool = False, start: Start | None = None,
) -> list[Excerpt]:  # fmt: skip
    """Cut excerpts in this process; see `begin`."""
    return begin(run, scores, chosen, metric, longest=longest, budget=budget, linked=linked, start=start).wait()


def _died(piece: Piece) -> str:
    return "the worker process died (crash in native code, or out of memory)"


def _piece(
    run: Path, ranked: pd.DataFrame, decimals: int, choice: Choice, seconds: float, start: Start | None
) -> Piece:  # fmt: skip
    """The versions of a recording that a report plays.

    Args:
        ranked: scores by the metric that stands beside the versions, shown with so many decimals.
    """
    rows = ranked[ranked["file"] == choice.file]
    versions = tuple(
        Version(
            system, path, f"{value:.{decimals}f}" if math.isfinite(value) else "",
            f"{kbps_text(kbps)} kbps" if math.isfinite(kbps) else "",
        )
        for system, value, kbps in zip(rows["system"], rows["value"], rows["kbps"], strict=True)
        if system != REFERENCE and choice.plays(system) and (path := audio_path(run, system, choice.file)).is_file()
    )  # fmt: skip
    source = audio_path(run, REFERENCE, choice.file)
    return Piece(source, versions, seconds, None if start is None else functools.partial(start, choice))


def by_category(excerpts: Sequence[Excerpt], categories: Sequence[str]) -> list[Excerpt]:
    """Sort excerpts by category and rank, the outliers last."""
    return sorted(
        excerpts,
        key=lambda one: (
            one.choice.rank == OUTLIER, categories.index(one.choice.category), RANKS.index(one.choice.rank),
        ),
    )  # fmt: skip


def most_different(run: Path, system: str) -> Start:
    """Start of the seconds in which a system's spectrogram differs most from that of the source."""

    def start(choice: Choice, source: Audio, rate: int, length: int) -> int:
        path = audio_path(run, system, choice.file)
        if length == source.shape[1] or not path.is_file():
            return 0
        decoded = fit_length(cutting.read(path)[0], source.shape[1])
        shown = [spectrograms.levels(samples, rate) for samples in (source, decoded)]
        floor = shown[0].max() - spectrograms.RANGE_DB  # below it, a difference is inaudible
        distance = np.abs(np.maximum(shown[0], floor) - np.maximum(shown[1], floor)).mean(axis=0)
        columns = max(1, round(length / source.shape[1] * len(distance)))
        sums = np.convolve(distance, np.ones(columns), mode="valid")
        first = int(np.argmax(sums)) / len(distance) * source.shape[1]
        return min(round(first), source.shape[1] - length)

    return start


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

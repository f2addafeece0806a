"""Scores of two audio files, with the numbers that a comparison gives for the same pair."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from earmark.codec.audio import read
from earmark.codec.remote_paths import local_copy
from earmark.eval.comparison.corpus import ReferenceFormat, Source, category_of, is_speech, load
from earmark.eval.metrics import registry
from earmark.eval.scoring import Scores, scored

MOST_CHANNELS = 64  # of a decoded file; they are averaged


def score_files(reference: Path, decoded: Path, metrics: Iterable[str], mode: str = "auto") -> tuple[Scores, list[str]]:
    """Score a decoded file against its reference.

    Args:
        reference, decoded: audio files, paths or URLs.
        metrics: names as `earmark metrics` lists them.
        mode: "speech" or "audio", for `visqol`; "auto" takes it from the category of the reference, which is a prefix
            of its name, as in speech_1.wav, or its folder.

    Returns:
        The scores, and notes on the reference.

    Raises:
        UserError: a file cannot be read, or a metric is not known.
    """
    speech = is_speech(category_of(reference, reference.parent)) if mode == "auto" else mode == "speech"
    chosen = {name: registry.find(name, speech=speech) for name in metrics}
    source, note = load(Source(reference.name, reference, ""), ReferenceFormat())
    with local_copy(decoded) as path:
        scores = scored(source, read(path, MOST_CHANNELS), chosen)
    return scores, [note] if note else []

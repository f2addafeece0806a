"""The recordings that shards are made of: chosen from manifests, decoded and normalised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from earmark.codec import audio
from earmark.codec.audio import Pcm
from earmark.codec.datasets import manifest
from earmark.codec.datasets.manifest import Entry
from earmark.codec.errors import UserError

FULL_SCALE = 32767


def entries(manifests: Sequence[Path], hours: float | None = None) -> list[Entry]:
    """The recordings of which shards would be made.

    Raises:
        UserError: a manifest cannot be read.
    """
    return [entry for entry, _ in wanted(manifests, hours)]


def wanted(manifests: Sequence[Path], hours: float | None) -> list[tuple[Entry, Path]]:
    """Entries and their files, sorted by fingerprint, without duplicates."""
    listed = [(entry, path.parent / entry.path) for path in manifests for entry in manifest.read(path)]
    unique = {entry.fingerprint: (entry, file) for entry, file in listed}
    if twice := len(listed) - len(unique):
        click.echo(f"{twice} recording(s) are in the manifests more than once, and taken once", err=True)
    chosen, seconds = [], 0.0
    for _, (entry, file) in sorted(unique.items()):
        if hours is not None and seconds >= hours * 3600:
            break
        seconds += entry.seconds
        chosen.append((entry, file))
    return chosen


def decode(path: Path, sample_rate: int, channels: int) -> Pcm:
    """Decode and normalise a file, [frames, channels]; no frames if it is silent or cannot be read."""
    unusable = np.zeros((0, channels), np.int16)
    try:
        recording = audio.read(path)
    except (UserError, UnicodeEncodeError):  # libsndfile supports UTF-8 names only
        return unusable
    samples = recording.samples.mean(axis=0, keepdims=True) if channels == 1 else recording.samples
    samples = audio.resample(samples, recording.sample_rate, sample_rate)
    peak = np.abs(samples).max(initial=0)
    if peak == 0:
        return unusable
    stored = np.rint(samples * (FULL_SCALE / peak)).astype("<i2")
    return np.ascontiguousarray(np.broadcast_to(stored, (channels, stored.shape[1])).T)

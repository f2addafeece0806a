"""Shards for a training: a folder of them, or those made of a manifest when it is first used."""

from __future__ import annotations

import copy
from collections.abc import Collection
from pathlib import Path

from earmark.codec.datasets.manifest import Category
from earmark.codec.errors import UserError
from earmark.codec.text import counted
from earmark.codec.training.distributed import ProcessGroup, maximum
from earmark.codec.training.examples import shard_sources, shards
from earmark.codec.training.examples.shards import Shards


def open_shards(path: Path, cache: Path, sample_rate: int, channels: int, group: ProcessGroup) -> Shards:
    """Open a folder of shards, or decode a manifest into shards and open those.

    Args:
        path: folder of shards, or a manifest.
        cache: folder that keeps the shards of a manifest. Rank 0 writes them while the other processes wait.
        sample_rate: the recipe's, in Hz.
        channels: the recipe's.

    Raises:
        UserError: shards of another sample rate or number of channels, or the errors of Shards and shards.write().
    """
    if path.is_dir():
        return _open_folder(path, sample_rate, channels)
    try:
        if group.rank == 0:
            shards.write([path], cache, sample_rate=sample_rate, channels=channels)
    finally:
        maximum(0)
    return Shards(cache)


def only(opened: Shards, categories: Collection[Category]) -> Shards:
    """The same shards with the recordings of some categories; the samples are shared."""
    selected = copy.copy(opened)
    selected.recordings = [stored for stored in opened.recordings if stored.entry.category in categories]
    return selected


def describe(path: Path, cache: Path, sample_rate: int, channels: int) -> str:
    """One line on what `open_shards` would open or make; writes nothing.

    Raises:
        UserError: see `open_shards`.
    """
    if path.is_dir():
        entries = [stored.entry for stored in _open_folder(path, sample_rate, channels).recordings]
    else:
        entries = shard_sources.entries([path])
    size = f"{counted(len(entries), 'recording')}, {sum(entry.seconds for entry in entries) / 3600:.2f} h"
    return f"{path}: {size}" if path.is_dir() else f"{path}: {size}, to be decoded to {cache}"


def _open_folder(path: Path, sample_rate: int, channels: int) -> Shards:
    opened = Shards(path)
    if (opened.sample_rate, opened.channels) != (sample_rate, channels):
        raise UserError(
            f"{path}: shards of {opened.sample_rate} Hz and {opened.channels} channel(s), but the recipe needs "
            f"{sample_rate} Hz and {channels}; make others with `earmark data shards`"
        )
    return opened

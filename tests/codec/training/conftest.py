"""A small corpus of synthetic recordings, as shards."""

from __future__ import annotations

import json

import numpy as np
import pytest

from codec.audio import write
from codec.training import manifest, shards

RATE = 24000


def made_of_tones(seconds, seed):
    """A few partials that come and go, and a little noise: [1, T]."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    partials = [
        np.sin(2 * np.pi * f * t + p) * (0.5 + 0.5 * np.sin(2 * np.pi * r * t))
        for f, p, r in zip(rng.uniform(100, 3000, 5), rng.uniform(0, 6, 5), rng.uniform(1, 6, 5), strict=True)
    ]
    return (0.15 * np.sum(partials, axis=0) + 0.01 * rng.standard_normal(len(t)))[None].astype(np.float32)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Folder of shards: speech, music and sound in each split; "speech" of tones like the rest."""
    root = tmp_path_factory.mktemp("corpus")
    entries = []
    for number, (kind, split) in enumerate((k, s) for k in manifest.KINDS for s in manifest.SPLITS for _ in range(2)):
        path = root / f"{number}.wav"
        write(path, made_of_tones(3.0, number), RATE)
        entries.append(
            manifest.Entry(
                path=path.name, dataset="tones", kind=kind, split=split, creator=None, licence="CC0-1.0", seconds=3.0,
                sample_rate=RATE, channels=1, fingerprint=manifest.fingerprint(path),
            )
        )  # fmt: skip
    manifest.write(root / "manifest.jsonl", entries)
    shards.write([root / "manifest.jsonl"], root / "shards", sample_rate=RATE, channels=1)
    return root / "shards"


@pytest.fixture
def tones():
    """(seconds, seed) -> [1, T]: a few partials that come and go, and a little noise."""
    return made_of_tones


@pytest.fixture
def log():
    """Entries of a training's log."""
    return lambda folder: [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]

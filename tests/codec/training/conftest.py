"""Fixtures: a small corpus of synthetic recordings as shards, and trainings in two processes."""

from __future__ import annotations

import json
import socket
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from earmark.codec.audio import write
from earmark.codec.datasets import manifest
from earmark.codec.training.examples import shards

RATE = 24000
ROOT = Path(__file__).resolve().parents[3]


def made_of_tones(seconds, seed):
    """Synthesise a few partials that fade in and out, and a little noise, [1, T]."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    partials = [
        np.sin(2 * np.pi * f * t + p) * (0.5 + 0.5 * np.sin(2 * np.pi * r * t))
        for f, p, r in zip(rng.uniform(100, 3000, 5), rng.uniform(0, 6, 5), rng.uniform(1, 6, 5), strict=True)
    ]
    return (0.15 * np.sum(partials, axis=0) + 0.01 * rng.standard_normal(len(t)))[None].astype(np.float32)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Folder of shards with two recordings per category and split; all of them are tones."""
    root = tmp_path_factory.mktemp("corpus")
    entries = []
    for number, (category, split, _) in enumerate(product(manifest.CATEGORIES, manifest.SPLITS, range(2))):
        path = root / f"{number}.wav"
        write(path, made_of_tones(3.0, number), RATE)
        entries.append(
            manifest.Entry(
                path=path.name, dataset="tones", category=category, split=split, creator=None, licence="CC0-1.0",
                seconds=3.0, sample_rate=RATE, channels=1, fingerprint=manifest.fingerprint(path),
            )
        )  # fmt: skip
    manifest.write(root / "manifest.jsonl", entries)
    shards.write([root / "manifest.jsonl"], root / "shards", sample_rate=RATE, channels=1)
    return root / "shards"


@pytest.fixture
def tones():
    """Function (seconds, seed) -> [1, T]: a few partials that fade in and out, and a little noise."""
    return made_of_tones


@pytest.fixture
def log():
    """Function that reads the entries of a training's log."""
    return lambda folder: [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


WORKER = """
import os, sys, torch
from pathlib import Path
from earmark.codec.training import recipe_files, run
from earmark.codec.training.examples import shards
from earmark.codec.training.distributed import join, leave
from earmark.codec.training.examples.shard_cache import open_shards
from earmark.codec.training.trainer import Trainer

torch.set_num_threads(1)
folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
group = join("cpu")
"""


@pytest.fixture(scope="module")
def two_processes(prepared, tmp_path_factory):
    """Function that runs code in two processes, as torchrun does, with the names `folder`, `rank` and `group`.

    Returns what they print, and the folder.
    """
    folder = tmp_path_factory.mktemp("together")

    def run(code, port):
        together = {
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
        }  # fmt: skip
        ranks = [{**together, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
        return prepared.run_ranks(WORKER + code, folder, ranks), folder

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return lambda code: run(code, port)

"""Running `earmark` in tests of the commands, and the recordings and weights that they use."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch

from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.encodec.config import PRESETS, EncodecConfig
from earmark.codec.encodec.model import EncodecModel

SMALL = {
    name: replace(config, seanet=replace(config.seanet, filters=4, dimension=8, lstm=1))
    for name, config in PRESETS.items()
}


class Done(NamedTuple):
    """Exit status and output of a command."""

    status: int
    stdout: bytes
    stderr: str


Run = Callable[..., Done]


def command(*arguments: object) -> list[str]:
    """The command line of `earmark ARGUMENTS` for a separate process."""
    return [sys.executable, "-m", "earmark", *map(str, arguments)]


def save_model(config: EncodecConfig, path: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    model = EncodecModel(config)
    torch.nn.init.normal_(model.quantizer.codebooks, std=0.3)
    checkpoints.save(model, path)
    return path


def noise(samples: int, channels: int = 1, level: float = 0.5) -> np.ndarray:
    return np.random.default_rng(0).uniform(-level, level, (channels, samples)).astype(np.float32)


def wav(path: Path, samples: np.ndarray, rate: int) -> Path:
    soundfile.write(path, samples.T, rate, subtype="PCM_16")
    return path


def assert_one_line(done: Done, says: str) -> None:
    assert done.status == 2
    assert done.stdout == b""
    assert done.stderr.startswith("earmark: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1

"""Running `earmark` in tests of the commands, and the recordings and weights that they use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import soundfile
import torch

import earmark.cli as program
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


def started(*arguments: object, before: Callable[[], object] = lambda: None, **pipes: Any) -> subprocess.Popen[Any]:
    """Start `earmark ARGUMENTS` in a copy of this process, which has PyTorch already, instead of a new one.

    Args:
        before: called in the copy.
        pipes: options of Popen.
    """

    def run() -> NoReturn:
        before()
        _be_command(arguments)

    # The signals that Python ignores stay ignored.
    return subprocess.Popen(["earmark"], preexec_fn=run, restore_signals=False, **pipes)


def _be_command(arguments: Sequence[object]) -> NoReturn:
    """Do in a fork what `python -m earmark ARGUMENTS` does, and end it."""
    status = 1
    try:
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # among them the other ends of pipes
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, "r" if number == 0 else "w") for number in range(3))
        sys.argv = ["earmark", *map(str, arguments)]
        program.main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else status
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            traceback.print_exc()
            status = 120
        sys.stderr.flush()
        os._exit(status)


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

"""Peak memory and speed of `earmark encode` and `earmark decode` on long files, for both models with random weights.

    python benchmarks/long_file.py [MINUTES ...]

The peak should not depend on the length. It is that of the program itself (VmHWM), without the file system's cache. The
target is less than 1 GiB for 120 minutes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch

from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.encodec.config import PRESETS, EncodecConfig
from earmark.codec.encodec.model import EncodecModel

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import sys, earmark.cli
try:
    earmark.cli.main()
finally:
    status = open("/proc/self/status").read()
    print("peak", status.split("VmHWM:")[1].split()[0], file=sys.stderr)
"""


def write_noise(path: Path, minutes: float, config: EncodecConfig) -> None:
    """Write quiet noise with 16 bits, block by block."""
    rng = np.random.default_rng(0)
    rate, left = config.sample_rate, round(60 * minutes * config.sample_rate)
    with soundfile.SoundFile(path, "w", rate, config.channels, "PCM_16") as file:
        while left > 0:
            block = 0.1 * rng.standard_normal((min(left, 10 * rate), config.channels), np.float32)
            file.write(block)
            left -= len(block)


def write_model(path: Path, config: EncodecConfig) -> None:
    """Write a model with random weights."""
    torch.manual_seed(0)
    model = EncodecModel(config)
    torch.nn.init.normal_(model.quantizer.codebooks, std=0.05)
    checkpoints.save(model, path)


def measured(*arguments: object) -> tuple[float, float]:
    """Run `earmark ARGUMENTS` and return its seconds and its peak memory in MiB."""
    start = time.perf_counter()
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stderr)
    return seconds, int(done.stderr.rsplit("peak ", 1)[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("minutes", type=float, nargs="*", default=[1.0, 3.0], help="lengths; default: 1 and 3")
    lengths = parser.parse_args().minutes
    print(f"{'model':<16}{'minutes':>8}{'encode':>21}{'decode':>21}")
    with tempfile.TemporaryDirectory() as name:
        wav, coded, model = (Path(name) / file for file in ("long.wav", "long.ecdc", "model.safetensors"))
        for config in PRESETS.values():
            write_model(model, config)
            for minutes in lengths:
                row = f"{config.name:<16}{minutes:>8g}"
                write_noise(wav, minutes, config)
                for command in (["encode", wav, coded, "--kbps", 24], ["decode", coded, wav]):
                    seconds, peak = measured(*command, "--checkpoint", model)
                    row += f"{60 * minutes / seconds:>6.1f} x, {peak:>5.0f} MiB"
                print(row, flush=True)


if __name__ == "__main__":
    main()

"""Without the packages of any extra: conventional codecs run, and each neural codec names the extra that it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from earmark.codec import audio

EXTRAS = (
    "ai_edge_litert", "onnxruntime", "pesq", "pycodec2", "snac", "speechmos", "torch", "transformers", "visqol",
)  # fmt: skip


# Hides packages from the search path; None in sys.modules would disturb libraries that look for torch there.
BLOCK = f"""
from importlib.machinery import PathFinder
find_spec = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name in {EXTRAS} else find_spec(name, *rest)
"""


@pytest.fixture
def earmark(tmp_path):
    """Runs a command in processes that cannot import the packages of extras, worker processes included."""
    blocked = tmp_path / "path"
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text(BLOCK)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "earmark", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(blocked), *sys.path[1:]])}
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    return run


@pytest.mark.parametrize(
    ("codec", "extra"),
    [
        ("encodec_24khz", "encodec"), ("encodec_48khz", "encodec"), ("soundstream", "encodec"), ("lyra", "lyra"),
        ("codec2", "codec2"), ("hilcodec", "hilcodec"), ("dac_24khz", "transformers"), ("mimi", "transformers"),
        ("snac_24khz", "snac"),
    ],
)  # fmt: skip
def test_a_codec_without_its_package_is_listed_with_the_pip_command(listing, codec, extra):
    (line,) = [line for line in listing.splitlines() if line.startswith(f"{codec}: ")]
    assert line.endswith(f"not installed; run `pip install 'earmark[{extra}]'`")


@pytest.fixture(scope="module")
def listing(tmp_path_factory) -> str:
    done = earmark.__wrapped__(tmp_path_factory.mktemp("blocked"))("systems")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_conventional_codecs_are_compared(earmark, tmp_path):
    noise = (0.1 * np.random.default_rng(0).standard_normal((1, 16000))).astype(np.float32)
    audio.write(tmp_path / "audio" / "a.wav", noise, 16000)
    systems = "opus@12,mp3@64,encodec_24khz@3"
    done = earmark(
        "compare",
        tmp_path / "audio",
        "--systems",
        systems,
        "--metrics",
        "si_snr",
        "--keep-going",
        "--out",
        tmp_path / "run",
    )
    assert done.returncode == 1, done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("failed: ")] == [
        "failed: encodec_24khz@3: PyTorch is not installed; run `pip install 'earmark[encodec]'` (a.wav)"
    ]
    scores = pd.read_parquet(tmp_path / "run" / "scores.parquet").set_index("system")
    assert scores.status[["opus@12", "mp3@64"]].tolist() == ["ok", "ok"]
    assert Path(tmp_path / "run" / "report.html").exists()

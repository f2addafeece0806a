"""`import earmark`: the public names, and runs made from Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import earmark
from earmark.codec.audio import write

SCRIPT = """
import sys

import numpy as np

import earmark
from earmark.baselines.interface import Encoded


class Silence:
    sample_rate, channels, kbps = 16000, 1, 8.0

    def encode(self, audio):
        return Encoded((bytes(1000),), audio.shape[-1])

    def decode(self, encoded):
        return np.zeros((1, encoded.samples), np.float32)


earmark.register_codec("silence", Silence)
print("the script runs")
run = earmark.compare(sys.argv[1], ["opus@12", "silence"], metrics=["si_snr"], out=sys.argv[2], jobs=2)
print(*run.failures)
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    time = np.arange(16000) / 16000
    for name in ("speech", "music"):
        chirp = np.sin(2 * np.pi * (200 * time + 300 * time**2)).astype(np.float32)
        (folder / name).mkdir()
        write(folder / name / "a.wav", 0.3 * chirp[np.newaxis], 16000)
    return folder


@pytest.fixture(scope="module")
def made(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The run of SCRIPT, and what the script printed."""
    out = tmp_path_factory.mktemp("out") / "run"
    script = out.with_name("script.py")
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script, clips, out], capture_output=True, text=True, check=True)
    return out, done.stdout


@pytest.mark.parametrize("name", earmark.__all__)
def test_every_public_name_is_there_and_documented(name: str):
    assert getattr(earmark, name).__doc__
    assert name in dir(earmark)


def test_other_names_are_no_attributes():
    with pytest.raises(AttributeError, match="no attribute 'scores'"):
        _ = earmark.scores  # type: ignore[attr-defined]


def test_a_script_without_a_guard_runs_once_and_its_codec_reaches_the_workers(made):
    _, printed = made
    assert printed.splitlines() == ["the script runs", ""]


def test_a_run_is_opened_with_its_scores(made):
    folder, _ = made
    run = earmark.load_run(folder)
    assert len(run.scores) == 4  # two recordings, two codecs, one metric
    silence = run.scores[run.scores["system"] == "silence"]
    assert set(silence["status"]) == {"undefined"}  # the decoded signal is silent
    assert silence["kbps"].tolist() == pytest.approx([8, 8])  # 1000 bytes per second
    opus = run.scores[run.scores["system"] == "opus@12"]
    means = run.summary.set_index(["system", "category"])["mean"]
    assert means["opus@12", "all"] == pytest.approx(opus["value"].mean())
    assert run.report.is_file()
    assert run.failures == []
    assert repr(run) == f"<Run '{folder}': 2 recordings, 2 systems, 4 scores>"
    pd.testing.assert_frame_equal(run.scores, pd.read_parquet(folder / "scores.parquet"))


def test_mistakes_are_one_line(clips: Path, tmp_path: Path):
    for systems, metrics, message in (
        (["opus@3"], ["si_snr"], "opus@3: Opus starts at 6 kbps"),
        (["opus@12"], ["pesk"], "pesk"),
        ("opus@12,opus@3", "si_snr", "opus@3: Opus starts at 6 kbps"),
        ([], ["si_snr"], "systems is empty"),
        (["opus@12"], [], "metrics is empty"),
    ):
        with pytest.raises(earmark.UserError, match=message) as caught:
            earmark.compare(clips, systems, metrics=metrics, out=tmp_path / "run")
        assert "\n" not in str(caught.value)
    with pytest.raises(earmark.UserError, match="sample_rate=-1 is not between 8000 and 48000 Hz"):
        earmark.compare(clips, ["opus@12"], out=tmp_path / "run", sample_rate=-1)
    with pytest.raises(earmark.UserError, match="jobs=-1 is less than 0"):
        earmark.compare(clips, ["opus@12"], out=tmp_path / "run", jobs=-1)
    with pytest.raises(earmark.UserError, match=r"no scores\.parquet"):
        earmark.load_run(tmp_path)


def test_a_model_is_loaded_by_its_name():
    model = earmark.load_model("encodec_24khz")
    codes = model.encode(np.zeros((1, 2400), np.float32), kbps=3)
    assert codes.array.shape == (1, 4, 8)  # 3 kbps: 4 codebooks of 10 bits at 75 steps per second; 7.5 steps
    with pytest.raises(earmark.UserError, match="no such file"):
        earmark.load_model("missing.safetensors")
    with pytest.raises(earmark.UserError, match=r"load_model: device='cuda:99': .*; use 'cpu'"):
        earmark.load_model(device="cuda:99")


def test_a_model_needs_torch():
    program = "import sys; sys.modules['torch'] = None; import earmark; earmark.load_model()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith(
        "UserError: load_model: PyTorch is not installed; run `pip install 'earmark[encodec]'`"
    )

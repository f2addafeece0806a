"""A rebuilt codec is measured again, and the terminal says why."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from earmark.codec.audio import write

CODER = """
import sys, wave
import numpy as np
STEP = 64
with wave.open(sys.argv[1]) as file:
    parameters, samples = file.getparams(), np.frombuffer(file.readframes(file.getnframes()), "<i2")
with wave.open(sys.argv[2], "w") as file:
    file.setparams(parameters)
    file.writeframes((np.round(samples / STEP) * STEP).astype("<i2").tobytes())
"""


class Bench:
    """A folder with a recording, a codec as a script, and a run."""

    def __init__(self, folder: Path, earmark) -> None:
        self.folder, self.earmark, self.script = folder, earmark, folder / "coder.py"
        noise = 0.1 * np.random.default_rng(0).standard_normal((1, 16000))
        write(folder / "clips" / "a.wav", noise.astype(np.float32), 16000)
        self.script.write_text(CODER)
        self.codec = f"mine={sys.executable} {self.script} {{input}} {{bitstream}} && cp {{bitstream}} {{output}}"

    def run(self, *options: str):
        return self.earmark(
            "compare", self.folder / "clips", "--codec", self.codec, "-m", "si_snr", "-j", "1",
            "-o", self.folder / "run", *options,
        )  # fmt: skip

    @property
    def score(self) -> float:
        return float(pd.read_parquet(self.folder / "run" / "scores.parquet").value.item())


@pytest.fixture
def bench(tmp_path, earmark) -> Bench:
    return Bench(tmp_path, earmark)


def test_one_constant_of_a_codec_s_script_is_changed(bench):
    """A quantiser of twice the step has four times the noise, 6.02 dB."""
    assert "1 computed, 0 reused" in bench.run().stdout
    first = bench.score
    again = bench.run()
    assert "0 computed, 1 reused" in again.stdout
    assert "computed again" not in again.stderr
    bench.script.write_text(CODER.replace("STEP = 64", "STEP = 128"))
    changed = bench.run()
    assert f"note: mine: {bench.script} changed since the last run; computed again" in changed.stderr
    assert "1 computed, 0 reused" in changed.stdout
    assert bench.score == pytest.approx(first - 20 * np.log10(2), abs=0.1)


def test_fresh_computes_again(bench):
    bench.run()
    done = bench.run("--fresh", "mine")
    assert "note: mine: computed again, as --fresh says" in done.stderr
    assert "1 computed, 0 reused" in done.stdout
    assert bench.run("--fresh", "theirs").returncode == 2


def test_a_version_given_by_hand_stands_for_the_files(bench):
    bench.run("--codec-version", "mine=1")
    bench.script.write_text(CODER.replace("STEP = 64", "STEP = 128"))
    assert "0 computed, 1 reused" in bench.run("--codec-version", "mine=1").stdout
    done = bench.run("--codec-version", "mine=2")
    assert "note: mine: given 1 is given 2 now; computed again" in done.stderr
    assert "1 computed" in done.stdout
    wrong = bench.run("--codec-version", "mine")
    assert (wrong.returncode, "write NAME=TEXT" in wrong.stderr) == (2, True)


def test_a_recording_that_changed_is_named(bench):
    bench.run()
    write(bench.folder / "clips" / "a.wav", np.full((1, 16000), 0.1, np.float32), 16000)
    assert "note: a.wav changed since the last run; computed again" in bench.run().stderr


def test_a_codec_that_is_rebuilt_during_the_run_fails_aloud(bench):
    """Its encoder changes its own script."""
    bench.script.write_text(f"{CODER}\nopen(__file__, 'a').write('# built')\n")
    write(bench.folder / "clips" / "b.wav", np.full((1, 16000), 0.1, np.float32), 16000)
    done = bench.run()
    assert done.returncode == 1
    assert "again if its files changed meanwhile" in done.stderr
    info = json.loads((bench.folder / "run" / "run.json").read_text())
    assert set(info["codec_parts"]["mine"]) > {"its command", str(bench.script)}

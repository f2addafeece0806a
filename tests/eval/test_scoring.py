"""`earmark.score`: arrays in, the numbers of `earmark compare` out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from earmark.baselines.systems import family_of, parse
from earmark.baselines.transcode import transcode
from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.eval.comparison import runner
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat
from earmark.eval.scoring import score


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Swelling noise and the same with noise 20 dB below it, [time] at 16 kHz."""
    rng = np.random.default_rng(0)
    reference = 0.1 * rng.standard_normal(32000) * (1.1 + np.sin(np.arange(32000) / 800))
    return reference, reference + 0.01 * rng.standard_normal(32000)


def test_the_numbers_are_those_of_a_run(corpus_dir: Path, tmp_path: Path):
    """Opus leaves a lag that `compare` removes; the decoded signal given to `score` still has it.

    `compare` knows the delay of Opus and fills the end with zeros; `score` finds it and leaves these samples out.
    """
    metrics = ("si_snr", "stoi", "mel_distance")
    plan = runner.Plan(
        audio_dir=corpus_dir, systems=(parse("opus@12"),), metrics=metrics, run=tmp_path / "run",
        format=ReferenceFormat(), speech=SPEECH_PATTERNS, jobs=2, command="earmark compare",
    )  # fmt: skip
    for file, rows in runner.run(plan).scores.groupby("file"):
        recording = audio.read(corpus_dir / str(file))
        system = parse("opus@12")
        codec = family_of(system).open(system, recording.sample_rate, recording.channels)
        decoded = transcode(codec, recording.samples, recording.sample_rate).audio
        scores = score(recording.samples, decoded, recording.sample_rate, metrics)
        for row in rows.itertuples():
            assert scores[row.metric].value == pytest.approx(row.value, rel=1e-3, abs=0.01)


def test_a_vector_is_one_channel_and_a_delay_and_a_shorter_end_are_accepted(pair):
    reference, decoded = pair
    whole = score(reference, decoded, 16000, ["si_snr", "stoi"])
    assert whole == score(reference[None], decoded[None], 16000, ["si_snr", "stoi"])
    late = np.concatenate([np.zeros(4), decoded])[:-10]  # 6 of 32000 samples lost: -37 dB beside noise at -22.5 dB
    assert score(reference, late, 16000, "si_snr")["si_snr"].value == pytest.approx(whole["si_snr"].value, abs=0.3)


def test_a_score_without_a_value_says_why(pair):
    answer = score(pair[0], np.zeros(32000), 16000, ["si_snr"])["si_snr"]
    assert (answer.value, answer.status, answer.reason) == (None, "undefined", "the decoded signal is silent")
    assert score(pair[0], np.full(32000, np.nan), 16000, ["si_snr"])["si_snr"].status == "error"
    assert score(np.zeros(0), np.zeros(0), 16000, ["si_snr"])["si_snr"].reason == "empty signal"


def test_above_48_khz_signals_are_heard_at_48_khz(pair):
    fine = [audio.resample(one.astype(np.float32), 48000, 96000) for one in pair]
    there = score(*pair, 48000, ["si_snr"])["si_snr"].value
    assert score(*fine, 96000, ["si_snr"])["si_snr"].value == pytest.approx(there, abs=0.05)


def test_the_decoded_signal_may_have_another_rate_and_channel_count(pair):
    """Resampling up and down again changes nothing below half the band, where both signals lie."""
    reference, decoded = (audio.resample(one.astype(np.float32), 8000, 16000) for one in pair)
    there = score(reference, decoded, 16000, "si_snr")
    finer = audio.resample(decoded, 16000, 48000)
    scores = score(reference, np.stack([finer, finer]), 16000, "si_snr", decoded_rate=48000)
    assert scores["si_snr"].value == pytest.approx(there["si_snr"].value, abs=0.01)
    assert scores.pair.notes == ("resampled from 48 kHz to 16 kHz", "converted from stereo to mono")
    both = score(np.stack([reference, reference]), decoded, 16000, "si_snr")
    assert both["si_snr"].value == pytest.approx(there["si_snr"].value, abs=1e-6)
    assert both.pair.notes == ("converted from mono to stereo",)


def test_what_the_alignment_and_the_length_did_is_told(pair):
    late = score(pair[0], np.concatenate([np.zeros(4), pair[1]]), 16000, "si_snr").pair
    assert (late.lag, late.longer, late.length_fits) == (4, 4 / 16000, True)
    assert late.notes == ()
    short = score(pair[0], pair[1][:16000], 16000, "si_snr").pair
    assert (short.longer, short.length_fits) == (-1.0, False)
    assert short.notes == ("missing (1.00 s at the end)",)


def test_torch_tensors_are_arrays_too(pair):
    torch = pytest.importorskip("torch")
    tensors = (torch.tensor(one, requires_grad=True) for one in pair)
    assert score(*tensors, 16000, ["si_snr"]) == score(*pair, 16000, ["si_snr"])


@pytest.mark.parametrize(("kind", "scale", "middle"), [("uint8", 128, 128), ("int16", 2**15, 0), ("int32", 2**31, 0)])
def test_integers_of_wav_files_are_scaled_to_full_scale(pair, kind, scale, middle):
    """Read back by their definition: 8 bits are unsigned around 128, others signed with full scale at 2^(bits - 1)."""
    integers = [(np.round(np.clip(one, -0.99, 0.99) * scale) + middle).astype(kind) for one in pair]
    floats = [(one.astype(np.float64) - middle) / scale for one in integers]
    metrics = ["si_snr", "mel_distance"]  # the second one hears levels
    found, expected = score(*integers, 16000, metrics), score(*floats, 16000, metrics)
    assert {name: one.value for name, one in found.items()} == {name: one.value for name, one in expected.items()}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"metrics": ["mos"]}, "there is no metric 'mos'; `earmark metrics` lists the metrics"),
        (
            {"decoded": np.zeros((32000, 2))},
            r"score: decoded has shape \(32000, 2\); pass \[time\] or",
        ),
        ({"reference": np.zeros((1, 1, 9))}, r"score: reference has shape \(1, 1, 9\)"),
        (
            {"reference": np.zeros(9, np.int64)},
            "score: reference has samples of type int64; pass uint8, int16,",
        ),
        ({"sample_rate": 0}, "score: sample_rate=0 is not a rate in Hz"),
        ({"decoded_rate": 44.1}, "score: decoded_rate=44.1 is not a rate in Hz"),
    ],
)
def test_a_mistake_is_one_line(pair, changes, says):
    arguments = {"reference": pair[0], "decoded": pair[1], "sample_rate": 16000, "metrics": ["si_snr"]} | changes
    with pytest.raises(UserError, match=says) as caught:
        score(**arguments)
    assert "\n" not in str(caught.value)


def test_scoring_needs_no_torch():
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from earmark.eval.scoring import score\n"
        "noise = np.random.default_rng(0).standard_normal(16000)\n"
        "print(score(noise, noise + 0.1 * np.roll(noise, 99), 16000, ['si_snr'])['si_snr'].status)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "ok\n"

"""Lyra v2 with its published weights: exact bit rate, no state between files, alignment."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from earmark.baselines import lyra
from earmark.baselines.registry import families
from earmark.baselines.systems import family_of, parse
from earmark.baselines.transcode import transcode
from earmark.codec.audio import read, resample
from earmark.codec.errors import UserError

RATES = [("3.2", 16), ("6", 30), ("9.2", 46)]


@pytest.fixture
def weights(shared, monkeypatch):
    """Folder of the published models."""
    monkeypatch.setenv("EARMARK_LYRA_DIR", str(shared / "weights" / "lyra_v2"))
    if (reason := families()["lyra"].unavailable()) is not None:
        pytest.skip(reason)
    return shared / "weights" / "lyra_v2"


@pytest.fixture
def speech(shared):
    """Three seconds at 16 kHz, [1, time]."""
    recording = read(shared / "audio" / "speech_lyra_1_48k.wav")
    return resample(recording.samples, recording.sample_rate, 16000)


def codec(text: str):
    system = parse(text)
    return family_of(system).open(system, 16000, 1)


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize(("kbps", "quantizers"), RATES)
def test_a_hop_of_20_ms_has_4_bits_for_each_quantizer(kbps, quantizers, speech):
    """16 x 4 bits / 20 ms = 3.2 kbps, 30 x 4 = 6, 46 x 4 = 9.2."""
    encoded = codec(f"lyra@{kbps}").encode(speech[:, :16000])
    assert len(encoded.packets) == 50
    assert encoded.payload_bits == 50 * 4 * quantizers == 1000 * float(kbps)


@pytest.mark.usefixtures("weights")
def test_lower_rates_are_the_first_stages_of_higher_ones(speech):
    """Residual quantisation: the stages of 3.2 kbps are the first ones of 9.2 kbps."""
    low, high = (codec(f"lyra@{kbps}").encode(speech[:, :8000]).packets for kbps in ("3.2", "9.2"))
    assert all(whole.startswith(part) for part, whole in zip(low, high, strict=True))


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("kbps", ["3.2", "6", "9.2"])
def test_comes_back_in_place(kbps, speech):
    one = codec(f"lyra@{kbps}")
    decoded = one.decode(one.encode(speech))
    assert decoded.shape == speech.shape
    assert decoded.dtype == np.float32
    correlations = [float(np.vdot(np.roll(decoded, -lag), speech)) for lag in range(-20, 21)]
    assert abs(int(np.argmax(correlations)) - 20) <= 1
    assert np.corrcoef(decoded[0], speech[0])[0, 1] > 0.8


@pytest.mark.usefixtures("weights")
def test_more_bits_are_nearer_to_the_source(speech):
    errors = []
    for kbps in ("9.2", "6", "3.2"):
        one = codec(f"lyra@{kbps}")
        errors.append(float(np.mean((one.decode(one.encode(speech)) - speech) ** 2)))
    assert errors == sorted(errors)


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("samples", [1, 160, 319, 320, 321, 3201])
def test_every_length_comes_back(samples, speech):
    one = codec("lyra@6")
    decoded = one.decode(one.encode(speech[:, :samples]))
    assert decoded.shape == (1, samples)
    assert np.isfinite(decoded).all()


@pytest.mark.usefixtures("weights")
def test_each_file_starts_afresh(speech):
    """Coding a file does not depend on files coded before, by the same codec object or another."""
    one = codec("lyra@6")
    first = one.encode(speech)
    one.encode(-speech)
    assert one.encode(speech) == first == codec("lyra@6").encode(speech)
    decoded = one.decode(first)
    one.decode(one.encode(-speech))
    np.testing.assert_array_equal(one.decode(first), decoded)


@pytest.mark.usefixtures("weights")
def test_eight_threads_do_not_disturb_each_other(speech):
    parts = [speech[:, start : start + 8000] for start in range(0, 32000, 4000)]
    alone = [codec("lyra@6").encode(part) for part in parts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda part: codec("lyra@6").encode(part), parts)) == alone


@pytest.mark.usefixtures("weights")
def test_silence_stays_quiet():
    one = codec("lyra@6")
    assert np.abs(one.decode(one.encode(np.zeros((1, 16000), np.float32)))).max() < 0.01


@pytest.mark.usefixtures("weights")
def test_stereo_is_two_channels_at_twice_the_rate(speech):
    result = transcode(codec("lyra@6"), np.repeat(speech[:, :16000], 2, axis=0), 16000)
    assert result.audio.shape == (2, 16000)
    assert result.payload_bits == 2 * 6000


def test_the_runtime_prints_nothing(weights):
    """In a process of its own, as it prints once per process."""
    code = (
        "import numpy as np; from earmark.baselines.systems import *; s = parse('lyra@6');"
        "c = family_of(s).open(s, 16000, 1);"
        "c.decode(c.encode(np.zeros((1, 640), np.float32)))"
    )
    environment = os.environ | {"EARMARK_LYRA_DIR": str(weights)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout + done.stderr == ""


def test_other_rates_are_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"Lyra v2 has 3\.2, 6, 9\.2 kbps; try lyra@9\.2"):
        parse("lyra@12")


def test_without_weights_it_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("EARMARK_LYRA_DIR", str(tmp_path))
    if families()["lyra"].unavailable().startswith("LiteRT is not installed"):
        pytest.skip("ai-edge-litert is not installed")
    assert "earmark download lyra_v2" in families()["lyra"].unavailable()
    for name in lyra.SHA256:
        (tmp_path / name).write_bytes(b"something else")
    assert "not the published file" in families()["lyra"].unavailable()


def test_without_the_runtime_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("earmark.codec.extras.find_spec", lambda name: None)
    assert "pip install 'earmark[lyra]'" in families()["lyra"].unavailable()


def test_the_weights_are_those_that_are_announced(weights, monkeypatch, tmp_path):
    """Downloaded from a folder of the published files, as a mirror has them; then from nowhere, as they are there."""
    monkeypatch.setenv("EARMARK_LYRA_DIR", str(tmp_path))
    assert lyra.download(weights.as_uri() + "/") == tmp_path
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(lyra.SHA256)
    lyra.download("http://127.0.0.1:1/")
    assert families()["lyra"].unavailable() is None

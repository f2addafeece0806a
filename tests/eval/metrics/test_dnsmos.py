"""DNSMOS equals the library that ships its weights, and ignores the reference."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from earmark.codec import audio
from earmark.eval.metrics.evaluation import evaluate
from earmark.eval.metrics.registry import find, registered

pytest.importorskip("onnxruntime")
if find("dnsmos").available() is not None:
    pytest.skip("the package speechmos is not here", allow_module_level=True)

RATE = 16000


@pytest.fixture
def library(monkeypatch):
    """The library's own loop, with stand-ins for librosa and requests, which only its other metric needs."""
    spectrogram = types.SimpleNamespace(melspectrogram=lambda **_: np.ones((120, 900)))
    stand_in = types.SimpleNamespace(feature=spectrogram, power_to_db=lambda mel, ref: mel)
    monkeypatch.setitem(sys.modules, "librosa", stand_in)
    monkeypatch.setitem(sys.modules, "requests", types.SimpleNamespace(session=None))
    from speechmos import dnsmos

    yield lambda samples: dnsmos.run(samples, RATE)["ovrl_mos"]
    sys.modules.pop("speechmos.dnsmos", None)


@pytest.fixture(scope="module")
def speech(shared) -> np.ndarray:
    recording = audio.read(shared / "audio" / "speech_libri_f_198.ogg")
    assert recording.sample_rate == RATE
    return recording.samples


@pytest.mark.parametrize("seconds", [0.7, 2.0, 5.0, 9.01, 10.0, 10.5, 12.0, 14.0])
def test_equals_the_library(library, speech, seconds):
    samples = speech[:, : round(seconds * RATE)]
    ours = evaluate(find("dnsmos"), samples, samples, RATE)
    assert ours.status == "ok"
    assert ours.value == pytest.approx(library(samples[0]), abs=1e-5)


def test_the_reference_is_ignored_and_noise_is_not(speech):
    short = speech[:, : 5 * RATE]
    noise = 0.05 * np.random.default_rng(0).standard_normal(short.shape).astype(np.float32)
    clean = evaluate(find("dnsmos"), noise, short, RATE)
    assert clean == evaluate(find("dnsmos"), short, short, RATE)
    noisy = evaluate(find("dnsmos"), short, short + noise, RATE)
    assert noisy.value < clean.value - 0.5


def test_silence_has_no_score_and_too_loud_is_clipped(speech):
    silence = np.zeros((1, RATE), np.float32)
    assert evaluate(find("dnsmos"), silence, silence, RATE).status == "undefined"
    loud = 100 * speech[:, : 2 * RATE]
    assert evaluate(find("dnsmos"), loud, loud, RATE) == evaluate(find("dnsmos"), loud, np.clip(loud, -1, 1), RATE)


def test_it_is_registered_as_what_it_is():
    metric = registered()["dnsmos"]
    assert (metric.better, metric.sample_rate, metric.channels) == ("higher", RATE, "mono")

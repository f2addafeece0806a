"""PESQ against the library called directly, and signals for which the library is wrong or crashes."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.codec.audio import resample
from earmark.eval.metrics import pesq as module
from earmark.eval.metrics.evaluation import evaluate
from earmark.eval.metrics.interface import Score
from earmark.eval.metrics.pesq import most_utterances
from earmark.eval.metrics.registry import find

library = pytest.importorskip("pesq")

CUT = Score(None, "undefined", "more utterances than the library can hold; cut it into shorter excerpts")
NAMES = ("pesq", "pesq_nb")


def pesq(name: str, reference: np.ndarray, decoded: np.ndarray, rate: int = 16000) -> Score:
    return evaluate(find(name), reference, decoded, rate)


def bursts(seconds: float, period: float, length: float, rate: int = 16000) -> np.ndarray:
    """A 1 kHz tone of `length` seconds every `period` seconds, [1, time], over noise 60 dB below."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(0).standard_normal(time.size)
    tone = np.sin(2 * np.pi * 1000 * time) * (time % period < length)
    return (0.1 * tone + 1e-4 * noise).astype(np.float32)[None]


def test_equals_the_library_on_the_same_samples(speech, noisy):
    assert pesq("pesq", speech, noisy).value == library.pesq(16000, speech[0], noisy[0], "wb")
    x, y = resample(speech, 16000, 8000)[0], resample(noisy, 16000, 8000)[0]
    assert pesq("pesq_nb", speech, noisy).value == library.pesq(8000, x, y, "nb")


def test_real_speech_equals_the_library(clip):
    x = clip("speech_libri_m_3436.ogg", 8, 16000)
    y = x + np.random.default_rng(0).standard_normal(x.shape).astype(np.float32) * np.float32(0.002)
    assert pesq("pesq", x, y).value == library.pesq(16000, x[0], y[0], "wb")


def test_identical_signals_reach_the_top_of_the_mapping(speech):
    """Raw PESQ 4.5 through the mappings of P.862.2 and P.862.1: 4.644 and 4.549."""
    wide = 0.999 + 4 / (1 + np.exp(-1.3669 * 4.5 + 3.8224))
    narrow = 0.999 + 4 / (1 + np.exp(-1.4945 * 4.5 + 4.6607))
    assert pesq("pesq", speech, speech).value == pytest.approx(wide, abs=1e-4)
    assert pesq("pesq_nb", speech, speech).value == pytest.approx(narrow, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gain", [1e-4, 0.3, 100])
def test_level_changes_nothing(name, gain, speech, noisy):
    full = pesq(name, speech, noisy).value
    assert pesq(name, speech, np.float32(gain) * noisy).value == pytest.approx(full, abs=1e-3)


def test_the_two_rates_can_alternate_in_one_process(speech, noisy):
    """The library keeps its sample rate in a global variable."""
    first = [pesq(name, speech, noisy).value for name in ("pesq", "pesq_nb", "pesq", "pesq_nb")]
    assert first[:2] == first[2:]


@pytest.mark.parametrize("name", NAMES)
def test_below_a_quarter_of_a_second(name):
    sound = bursts(0.25, 1, 1)
    assert pesq(name, sound, sound).status == "ok"
    assert pesq(name, sound[:, :3990], sound[:, :3990]) == Score(None, "undefined", "shorter than 0.25 s")


@pytest.mark.parametrize("name", NAMES)
def test_a_blip_is_no_utterance(name, speech):
    """0.1 s of sound in silence: the library returns -7."""
    blip = np.zeros_like(speech)
    blip[:, 16000:17600] = speech[:, 500:2100]
    assert pesq(name, blip, blip) == Score(None, "undefined", "no utterance found; one lasts at least 0.2 s")


@pytest.mark.parametrize(("seconds", "period", "length", "count"), [(6, 1, 0.5, 6), (10, 0.5, 0.25, 20), (5, 5, 5, 1)])
def test_utterances_are_counted(seconds, period, length, count):
    assert most_utterances(bursts(seconds, period, length)[0], 16000) == count


def test_sounds_closer_than_a_fifth_of_a_second_are_one_utterance():
    assert most_utterances(bursts(10, 0.4, 0.25)[0], 16000) == 1


def test_sounds_shorter_than_a_fifth_of_a_second_are_none():
    assert most_utterances(bursts(10, 0.5, 0.1)[0], 16000) == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seconds", [26, 60])
def test_more_utterances_than_the_library_can_hold_are_undefined(name, seconds):
    """The library's tables hold 50: 52 utterances give a wrong narrow-band score, and 120 crash the process."""
    sound = bursts(seconds, 0.5, 0.25)
    assert pesq(name, sound, sound) == CUT


def test_half_a_minute_of_real_speech_has_a_score(clip):
    """LibriSpeech has utterances of up to 35 s."""
    x = np.concatenate([clip(f"speech_libri_{name}.ogg", 11, 16000) for name in ("f_198", "m_3436", "m_5703")], axis=1)
    assert pesq("pesq", x, x).value == pytest.approx(4.644, abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_beyond_a_minute_and_a_half(name):
    sound = bursts(91, 91, 91, 8000)
    assert pesq(name, sound, sound, 8000) == Score(None, "undefined", "longer than 90 s; cut it into shorter excerpts")


@pytest.mark.parametrize("name", NAMES)
def test_any_other_code_of_the_library_is_an_error(name, speech, monkeypatch):
    monkeypatch.setattr(library, "pesq", lambda *_, **__: -5)  # out of memory
    assert pesq(name, speech, speech) == Score(None, "error", "the library returned -5")


@pytest.mark.parametrize("name", NAMES)
def test_without_the_library_it_names_the_command_and_a_missing_compiler(name, speech, monkeypatch):
    remedy = "unavailable: pesq is not installed; run `pip install 'earmark[pesq]'`"
    monkeypatch.setattr("earmark.codec.extras.find_spec", lambda _: None)
    monkeypatch.setattr(module.shutil, "which", lambda name: "/usr/bin/gcc" if name == "gcc" else None)
    assert pesq(name, speech, speech) == Score(None, "error", remedy)
    monkeypatch.setattr(module.shutil, "which", lambda _: None)
    assert pesq(name, speech, speech).reason == (
        f"{remedy}; it needs a C compiler and Python's headers, and no compiler was found here"
    )

"""The signals that a metric receives, and the scores of input that no metric accepts."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from earmark.codec.errors import UserError
from earmark.eval.metrics.evaluation import evaluate
from earmark.eval.metrics.interface import Metric, Score
from earmark.eval.metrics.registry import find, library, registered

NAMES = [
    "si_snr", "si_sdr", "visqol_speech", "visqol_audio", "pesq", "pesq_nb", "stoi", "estoi", "mel_distance",
    "stft_distance", "loudness_difference", "dnsmos",
]  # fmt: skip


class Listener:
    """Stands in for a metric's function and keeps its arguments."""

    def __init__(self, answer: Score | Exception | None = None) -> None:
        self.answer = answer or Score(1.0)

    def __call__(self, reference: np.ndarray, decoded: np.ndarray) -> Score:
        self.reference, self.decoded = reference, decoded
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def find_available(name: str) -> Metric:
    """The metric `name`, or a skipped test where its library is not installed."""
    reason = find(name).available()
    if reason is not None:
        pytest.skip(f"{name} is {reason}")
    return find(name)


def heard_by(listener: Listener, **changes: object) -> Metric:
    always = {"function": listener, "takes_rate": False, "available": lambda: None}
    return dataclasses.replace(find("stoi"), **(always | changes))


def stereo(samples: int = 4800) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (2, samples)).astype(np.float32)


def test_the_metrics_of_the_command_line():
    assert sorted(registered()) == sorted(NAMES)
    assert find("visqol", speech=True).name == "visqol_speech"
    assert find("visqol").name == "visqol_audio"


def test_an_unknown_metric_is_a_user_error_that_lists_the_known_ones():
    with pytest.raises(UserError, match=r"--metrics: there is no metric 'peaq'; did you mean pesq\?"):
        find("peaq")


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_says_what_it_is(name):
    chosen = find(name)
    assert chosen.title
    assert chosen.value_range
    assert chosen.version()
    assert chosen.source
    assert chosen.licence


def test_pesq_says_which_pesq_it_is():
    assert find("pesq").title == "PESQ wide band (P.862.2, before Corrigendum 2)"
    assert "before Corrigendum 2" in find("pesq_nb").title


def test_listing_the_metrics_loads_no_library():
    heavy = "{'visqol', 'numba', 'pesq', 'pystoi', 'scipy', 'ai_edge_litert', 'torch', 'matplotlib'}"
    code = (
        "import sys; from earmark.eval.metrics import registry; registry.registered();"
        f"print({heavy} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_a_library_that_is_not_installed_has_a_version_string_too():
    assert library("no-such-distribution") == "no-such-distribution missing"


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_signals_are_resampled_to_the_metrics_rate(rate):
    """A tenth of a second is 1600 samples at 16 kHz, whatever it was before."""
    listener = Listener()
    evaluate(heard_by(listener, sample_rate=16000), stereo(rate // 10), stereo(rate // 10), rate)
    assert listener.reference.shape == listener.decoded.shape == (1600,)


def test_a_mono_metric_hears_the_mean_of_the_channels():
    listener = Listener()
    evaluate(heard_by(listener, sample_rate=None), stereo(), -stereo(), 48000)
    np.testing.assert_allclose(listener.reference, (stereo()[0] + stereo()[1]) / 2, atol=1e-7)
    np.testing.assert_allclose(listener.decoded, -listener.reference)


def test_a_metric_for_all_channels_hears_them_as_they_are():
    listener = Listener()
    evaluate(heard_by(listener, sample_rate=None, channels="all"), stereo(), -stereo(), 48000)
    np.testing.assert_array_equal(listener.decoded, -stereo())


def test_half_a_signal_is_an_error():
    answer = evaluate(find("visqol_audio"), stereo(), stereo()[:, :2400], 48000)
    assert answer == Score(None, "error", "shapes differ: reference (2, 4800), decoded (2, 2400)")


def test_a_bare_vector_is_an_error():
    answer = evaluate(find("si_snr"), stereo()[0], stereo()[0], 48000)
    assert answer == Score(None, "error", "signals must be [channels, time], not (4800,)")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", NAMES)
def test_a_sample_that_is_no_number_is_an_error(name, bad):
    decoded = stereo()
    decoded[1, 7] = bad
    assert evaluate(find(name), stereo(), decoded, 48000) == Score(None, "error", "NaN or infinite samples")


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_signal_has_no_score(name):
    nothing = np.zeros((1, 0), np.float32)
    assert evaluate(find(name), nothing, nothing, 48000) == Score(None, "undefined", "empty signal")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("silent", ["reference", "decoded signal"])
@pytest.mark.parametrize("level", [0.0, 0.1, -0.1, 1e-30], ids=["zeros", "offset", "negative offset", "underflow"])
def test_silence_has_no_score(name, silent, level):
    """For a silent reference and a silent decoded signal, ViSQOL would return 4.73 and NaN, PESQ -7 and NaN, STOI 0."""
    sound, silence = stereo(96000), np.full((2, 96000), level, np.float32)
    pair = (silence, sound) if silent == "reference" else (sound, silence)
    assert evaluate(find_available(name), *pair, 48000) == Score(None, "undefined", f"the {silent} is silent")


@pytest.mark.parametrize("name", ["visqol_speech", "pesq", "pesq_nb", "stoi"])
def test_a_sound_above_the_metrics_band_is_silence(name):
    """20 kHz, faded in and out: resampling leaves only rounding errors."""
    time = np.arange(96000) / 48000
    tone = (np.hanning(96000) * np.sin(2 * np.pi * 20000 * time)).astype(np.float32)[None]
    assert evaluate(find_available(name), tone, 0.5 * tone, 48000).reason.startswith("the reference is silent")


@pytest.mark.parametrize("name", ["visqol_audio", "pesq", "stoi"])
def test_channels_that_cancel_in_mono_have_no_score(name):
    left, decoded = stereo(96000)[:1], stereo(96000)
    answer = evaluate(find_available(name), np.concatenate([left, -left]), decoded, 48000)
    assert answer == Score(None, "undefined", "the channels of the reference cancel in the average")


def test_a_metric_that_cannot_run_here_is_an_error_and_not_run():
    listener = Listener()
    chosen = heard_by(listener, available=lambda: "unavailable: needs a C compiler")
    assert evaluate(chosen, stereo(), stereo(), 48000) == Score(None, "error", "unavailable: needs a C compiler")
    assert not hasattr(listener, "reference")


def test_an_exception_is_one_line_of_reason():
    chosen = heard_by(Listener(ValueError("first line\nsecond line")))
    assert evaluate(chosen, stereo(), stereo(), 48000).reason == "ValueError: first line second line"


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_value_that_is_no_number_is_an_error(value):
    assert evaluate(heard_by(Listener(Score(value))), stereo(), stereo(), 48000).status == "error"


def test_a_librarys_numpy_warnings_stay_off_the_terminal(recwarn):
    class Careless(Listener):
        def __call__(self, reference: np.ndarray, decoded: np.ndarray) -> Score:
            return Score(float(np.float64(1) / np.float64(0)))

    assert evaluate(heard_by(Careless()), stereo(), stereo(), 48000).reason == "stoi returned inf"
    assert not recwarn.list

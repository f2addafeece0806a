"""ViSQOL against the library's own interface, and signals that the library scores too well."""

from __future__ import annotations

import logging
import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from earmark.codec.audio import resample
from earmark.eval.metrics import visqol as module
from earmark.eval.metrics.evaluation import evaluate
from earmark.eval.metrics.interface import Score
from earmark.eval.metrics.registry import find
from earmark.eval.metrics.visqol import has_voice

pytest.importorskip("visqol")
pytest.importorskip("ai_edge_litert")

QUIET = Score(None, "undefined", "the reference lies below ViSQOL's noise floor of -90 dBFS")
NAMES = ("visqol_speech", "visqol_audio")

# In a process of its own: the library's audio mode uses libsvm, whose OpenMP threads would hang in processes that
# later tests fork from this one.
LIBRARY = """
import sys, numpy, visqol
mode, rate, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
api = visqol.VisqolApi()
api.create(mode=mode, use_lattice_model=True)
print(api.measure_from_arrays(*numpy.load(path), rate).moslqo)
"""


def visqol(name: str, reference: np.ndarray, decoded: np.ndarray, rate: int = 16000) -> Score:
    return evaluate(find(name), reference, decoded, rate)


def library_score(path, mode: str, reference: np.ndarray, decoded: np.ndarray, rate: int) -> float:
    np.save(path, np.concatenate([reference, decoded]))
    command = [sys.executable, "-c", LIBRARY, mode, str(rate), str(path)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_speech_mode_equals_the_library_on_the_same_samples(speech, noisy, tmp_path):
    expected = library_score(tmp_path / "pair.npy", "speech", speech, noisy, 16000)
    assert visqol("visqol_speech", speech, noisy).value == pytest.approx(expected, abs=1e-6)


def test_audio_mode_equals_the_library_on_the_same_samples(clip, tmp_path):
    pytest.importorskip("libsvm")
    x = clip("music_trumpet.ogg", 3, 48000)
    y = x + np.random.default_rng(0).standard_normal(x.shape).astype(np.float32) * np.float32(0.003)
    expected = library_score(tmp_path / "pair.npy", "audio", x, y, 48000)
    assert visqol("visqol_audio", x, y, 48000).value == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("name", "rate"), [("visqol_speech", 16000), ("visqol_audio", 48000)])
def test_without_kernels_the_library_analyses_a_reference_once_and_the_scores_keep_every_bit(
    name, rate, clip, monkeypatch
):  # fmt: skip
    """The kernels, the library with a cache of spectrograms, and without one give identical scores to two systems."""
    from visqol.gammatone import GammatoneSpectrogramBuilder

    reference = clip("speech_libri_f_198.ogg", 3, rate)
    rng = np.random.default_rng(0)
    noise = [rng.standard_normal(reference.shape).astype(np.float32) for _ in range(2)]
    systems = [reference + np.float32(amount) * one for amount, one in zip((0.001, 0.01), noise, strict=True)]
    by_kernels = [visqol(name, reference, decoded, rate) for decoded in systems]
    built = []
    build = GammatoneSpectrogramBuilder.build

    def counting(self, signal, window):
        built.append(signal.data.tobytes())
        return build(self, signal, window)

    monkeypatch.setattr(GammatoneSpectrogramBuilder, "build", counting)
    monkeypatch.setattr(module, "_kernels", lambda: None)
    module._manager.cache_clear()
    assert [visqol(name, reference, decoded, rate) for decoded in systems] == by_kernels
    assert built
    assert len(built) == len(set(built))  # nothing twice
    plain = GammatoneSpectrogramBuilder(*((21, 50.0, True) if name == "visqol_speech" else (32, 50.0, False)))
    monkeypatch.setattr(module._manager("speech" if name == "visqol_speech" else "audio"), "spect_builder", plain)
    times = len(built)
    assert [visqol(name, reference, decoded, rate) for decoded in systems] == by_kernels
    assert len(built) - times > times  # computed every time
    module._manager.cache_clear()


def test_memory_of_spectrograms_is_bounded(monkeypatch):
    """ViSQOL makes 47 frames of 21 bands, 8 bytes each, from a second at 16 kHz: 7896 bytes, so two fit."""
    from visqol.analysis_window import AnalysisWindow
    from visqol.audio_utils import AudioSignal

    from earmark.eval.metrics import visqol_spectrograms

    monkeypatch.setattr(visqol_spectrograms, "MOST_BYTES", 2 * 47 * 21 * 8)
    builder = visqol_spectrograms.CachingBuilder(21, 50.0, speech_mode=True)
    signals = [AudioSignal(np.random.default_rng(seed).standard_normal(16000), 16000) for seed in range(3)]
    window = AnalysisWindow(16000, 0.25)
    first, second, third = (builder.build(signal, window) for signal in signals)
    assert first.data.shape == (21, 47)
    assert builder.build(signals[2], window) is third
    assert builder.build(signals[1], window) is second
    assert builder.build(signals[0], window) is not first


def test_identical_signals_score_what_the_original_gives_them(speech):
    """kConformanceCastanetsIdentity of C++ ViSQOL 3.3.3: every similarity is 1, whatever the signal."""
    assert visqol("visqol_audio", speech, speech).value == pytest.approx(4.732101253042348, abs=1e-6)


def test_identical_speech_scores_high(clip):
    """C++ ViSQOL 3.3.3 gives 4.51 to a recording compared with itself (kConformanceCA01PerfectScoreLattice)."""
    for name in ("speech_libri_m_3436.ogg", "speech_lyra_1_48k.wav"):
        sound = clip(name, 3, 16000)
        assert 4 < visqol("visqol_speech", sound, sound).value < 5


@pytest.mark.parametrize("name", NAMES)
def test_more_noise_scores_lower(name, clip):
    sound = clip("speech_lyra_2_48k.wav", 3, 48000)
    noise = np.random.default_rng(0).standard_normal(sound.shape).astype(np.float32) * sound.std()
    values = [visqol(name, sound, sound + np.float32(gain) * noise, 48000).value for gain in (0.001, 0.01, 0.1)]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1] + 0.5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("decibels", [-95, -120])
def test_a_reference_below_the_noise_floor_has_no_score(name, decibels, speech, noisy):
    """ViSQOL treats such signals as silence and would score any two as identical."""
    gain = np.float32(10 ** (decibels / 20) / speech.std())
    faint = Score(None, "undefined", "the reference lies below -90 dBFS")
    assert visqol(name, gain * speech, noisy) == (faint if decibels < -110 else QUIET)


@pytest.mark.parametrize(("name", "rate", "samples", "seconds"), [
    ("visqol_speech", 16000, 10240, "0.64"),
    ("visqol_audio", 48000, 46080, "0.96"),
])  # fmt: skip
def test_the_shortest_signal(name, rate, samples, seconds, speech):
    """Frames last 80 ms and start 20 ms apart; speech needs 9 + 20, audio 15 + 30. With one sample less it raises."""
    sound = resample(speech, 16000, rate)
    assert visqol(name, sound[:, :samples], sound[:, :samples], rate).status == "ok"
    one_less = sound[:, : samples - 1]
    assert visqol(name, one_less, one_less, rate) == Score(None, "undefined", f"shorter than {seconds} s")


def test_a_click_is_no_voice():
    """ViSQOL always counts the first 40 ms as voice and would score the faint noise there."""
    noise = np.random.default_rng(0).standard_normal((2, 1, 32000)).astype(np.float32) * np.float32(1e-3)
    reference, decoded = noise
    reference[0, 20000] = 1
    assert visqol("visqol_speech", reference, decoded) == Score(None, "undefined", "no voice activity in the reference")


def test_voice_behind_the_last_patch_is_not_heard(speech):
    """1 s has 47 frames and one patch, frames 9 to 28, from sample 9 to sample 6409."""
    sound = np.random.default_rng(0).standard_normal(16000).astype(np.float32) * np.float32(1e-3)
    sound[6500:] += speech[0, :9500]
    assert not has_voice(sound)
    assert has_voice(speech[0])


def test_warnings_of_the_library_become_the_reason_and_stay_off_the_terminal(capfd, speech):
    """Delayed by 1.4 of its 3 s, the decoded signal ends before the last patches of the reference."""
    late = np.zeros_like(speech)
    late[:, 22000:] = speech[:, :26000]
    answer = visqol("visqol_speech", speech, late)
    assert answer.status == "ok"
    assert answer.reason.startswith("Dropping")
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("visqol").propagate


def test_nothing_is_printed_when_the_models_are_loaded(tmp_path, noisy):
    """The C++ code of TensorFlow Lite prints to standard error."""
    np.save(tmp_path / "x.npy", noisy)
    code = """if True:
        import sys, numpy
        from earmark.eval.metrics.evaluation import evaluate
        from earmark.eval.metrics.registry import find
        x = numpy.load(sys.argv[1])
        for name in ("visqol_speech", "visqol_audio"):
            assert evaluate(find(name), x, x, 16000).status == "ok"
        print("to the error stream", file=sys.stderr)"""
    command = [sys.executable, "-c", code, str(tmp_path / "x.npy")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("", "to the error stream\n")


def test_threads_take_turns(speech, noisy):
    """Two threads at once in numba's work queue would crash the process."""
    alone = {name: visqol(name, speech, noisy) for name in NAMES}
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda name: visqol(name, speech, noisy), NAMES * 2)) == list(alone.values()) * 2


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_process_forked_after_a_score_can_score_too(speech, noisy):
    """libsvm, which the library would use, waits for ever for threads that were not forked."""
    pairs = [(find(name).name, speech, noisy) for name in NAMES]
    here = [visqol(*pair) for pair in pairs]
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.starmap_async(visqol, pairs).get(timeout=60) == here


@pytest.mark.parametrize(("missing", "name", "remedy"), [
    ("ai_edge_litert", "visqol_speech", "unavailable: LiteRT is not installed; run `pip install 'earmark[visqol]'`"),
    ("visqol", "visqol_speech", "unavailable: visqol-python is not installed; run `pip install 'earmark[visqol]'`"),
    ("visqol", "visqol_audio", "unavailable: visqol-python is not installed; run `pip install 'earmark[visqol]'`"),
])  # fmt: skip
def test_without_its_library_it_names_the_command(missing, name, remedy, speech, monkeypatch):
    """In particular, speech mode does not fall back to the other mapping, which scores up to 2 MOS higher."""
    monkeypatch.setattr("earmark.codec.extras.find_spec", lambda name: None if name == missing else object())
    assert visqol(name, speech, speech) == Score(None, "error", remedy)

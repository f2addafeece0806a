"""Signals outside the domain of a metric: near-silence, channels that cancel, telephone speech, empty bands."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.codec.audio import resample
from earmark.eval.metrics.evaluation import evaluate
from earmark.eval.metrics.interface import Score, undefined
from earmark.eval.metrics.registry import find
from earmark.eval.metrics.silence import cancels, is_faint
from earmark.eval.metrics.spectrum import band_note, end_of_spectrum, is_narrow_band

CANCEL = undefined("the channels of the reference cancel in the average")
FAINT = undefined("the reference lies below -90 dBFS")
STEP = 2.0**-15  # of 16-bit PCM


def dither(samples: int) -> np.ndarray:
    """Triangular dither of 16-bit PCM, [1, time]: -1, 0 or 1 step with probabilities 1/4, 1/2, 1/4."""
    rng = np.random.default_rng(0)
    return (STEP * (rng.integers(0, 2, (1, samples)) - rng.integers(0, 2, (1, samples)))).astype(np.float32)


@pytest.mark.parametrize("name", ["stoi", "estoi", "pesq", "pesq_nb", "mel_distance", "stft_distance", "visqol_audio"])
def test_dither_has_no_score(name):
    """Its level is 20 log10(sqrt(1/2) / 2^15) = -93.3 dBFS; STOI gave it .986 and PESQ 3.6."""
    noise = dither(48000)
    answer = evaluate(find(name), noise, 0.9 * noise, 16000)
    assert answer == FAINT or (answer.status == "undefined" and name == "visqol_audio")


def test_faintness_is_that_of_the_loudest_50_ms_without_offset():
    """A sine of amplitude a has an RMS of a / sqrt(2): -89 and -91 dBFS."""
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    for level, faint in ((-89, False), (-91, True)):
        sound = np.zeros(160000)
        sound[48000:64000] = 10 ** (level / 20) * np.sqrt(2) * tone
        assert is_faint(sound + 0.25, 16000) is faint


@pytest.mark.parametrize("name", ["mel_distance", "stoi", "pesq"])
def test_antiphase_stereo_that_averages_to_rounding_errors(name, speech):
    left = np.round(speech / STEP) * STEP
    right = -left + dither(left.size)  # one step of 16 bits, here and there
    stereo = np.concatenate([left, right]).astype(np.float32)
    assert cancels(stereo)
    assert evaluate(find(name), stereo, 0.9 * stereo, 16000) == CANCEL
    assert evaluate(find("si_snr"), stereo, 0.9 * stereo + 0.01 * left[:, ::-1], 16000).status == "ok"


def test_wide_stereo_does_not_cancel(speech):
    assert not cancels(np.concatenate([speech, -0.99 * speech]))
    assert not cancels(speech)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_wide_band_pesq_is_undefined_for_telephone_speech_at_any_rate(clip, rate):
    sound = resample(clip("speech_libri_f_198.ogg", 4, 8000), 8000, rate)
    sound = (np.round(sound / STEP) * STEP).astype(np.float32)
    noisy = sound + dither(sound.size) * 30
    answer = evaluate(find("pesq"), sound, noisy, rate)
    assert answer == undefined("the reference has nothing above 4 kHz; pesq_nb is made for it")
    assert evaluate(find("pesq_nb"), sound, noisy, rate).status == "ok"


@pytest.mark.parametrize("name", ["f_198", "m_3436", "m_5703"])
def test_wide_band_speech_is_wide_band(clip, name):
    assert not is_narrow_band(clip(f"speech_libri_{name}.ogg", 8, 16000)[0], 16000)


@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_white_noise_below_a_frequency_ends_there(offset):
    """Made in the frequency domain: nothing at all at 7 kHz and above, then rounded to 16 bits."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(96000))
    spectrum[np.fft.rfftfreq(96000, 1 / 48000) > 6900] = 0
    sound = 0.05 * np.fft.irfft(spectrum) + offset
    sound = (np.round(sound / STEP) * STEP).astype(np.float32)[None]
    assert end_of_spectrum(sound, 48000) == 7000
    assert band_note(sound, 48000) == "48 kHz, empty above 7 kHz"
    assert band_note(resample(sound, 48000, 16000), 16000) is None


def test_silence_ends_nowhere():
    assert end_of_spectrum(np.zeros((2, 48000), np.float32), 48000) is None
    assert band_note(np.full((1, 100), 0.5, np.float32), 48000) is None


def test_speech_at_16_khz_stored_at_48_khz_is_noted_and_music_is_not(shared):
    from earmark.codec.audio import read

    notes = {}
    for name in ("speech_lyra_1_48k.wav", "music_trumpet.ogg", "speech_libri_m_3436.ogg"):
        recording = read(shared / "audio" / name)
        notes[name] = band_note(recording.samples[:, : 5 * recording.sample_rate], recording.sample_rate)
    assert list(notes.values()) == ["48 kHz, empty above 8 kHz", None, None]


def test_a_decoded_signal_without_anything_of_the_reference_has_no_si_snr():
    """Antiphase stereo that is folded to mono: the projection is zero but for rounding errors, which were -300 dB."""
    left = np.random.default_rng(0).standard_normal((1, 16000)).astype(np.float32)
    decoded = np.repeat(np.random.default_rng(1).standard_normal((1, 16000)).astype(np.float32), 2, axis=0)
    answer = evaluate(find("si_snr"), np.concatenate([left, -left]), decoded, 16000)
    assert answer == Score(None, "undefined", "the decoded signal has nothing of the reference")


def test_reasons_have_no_temporary_paths():
    import tempfile
    from pathlib import Path

    from earmark.codec.text import without_temporary_paths

    def fails(reference: np.ndarray, decoded: np.ndarray) -> float:
        with tempfile.TemporaryDirectory(prefix="earmark-") as folder:
            return float(Path(folder, "input.wav").read_text())

    chosen = find("mel_distance")
    chosen = type(chosen)(**{**vars(chosen), "function": fails})
    noise = np.random.default_rng(0).uniform(-1, 1, (1, 24000)).astype(np.float32)
    assert evaluate(chosen, noise, noise, 24000).reason == (
        "FileNotFoundError: [Errno 2] No such file or directory: 'input.wav'"
    )
    own = f"{tempfile.gettempdir()}/my-earmark/clips/a.wav: too short"
    assert without_temporary_paths(own) == own
    bare = f"{tempfile.gettempdir()}/earmark-evs-ab12_9xz: no space left"
    assert without_temporary_paths(bare) == "the temporary folder: no space left"

"""The demo recordings: reproducible, within their stated ranges, and with the content that they claim."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy.linalg import solve_toeplitz
from scipy.signal import butter, find_peaks, firwin, resample_poly, sosfilt

from earmark.codec.audio import read, resample
from earmark.codec.errors import UserError
from earmark.eval import demo
from earmark.eval.comparison.corpus import is_speech
from earmark.eval.demo import CLIPS, Clip, instruments, speech, voice, write_demo_audio
from earmark.eval.demo.stage import Stage, master

needs_espeak = pytest.mark.skipif(
    find_spec("espeakng_loader") is None, reason="eSpeak NG (espeakng-loader) is not installed"
)
SPOKEN = "speech/"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_demo_audio(folder)
    return folder


@pytest.fixture(params=CLIPS, ids=lambda clip: clip.path)
def clip(request: pytest.FixtureRequest) -> Clip:
    clip: Clip = request.param
    if clip.path.startswith(SPOKEN) and find_spec("espeakng_loader") is None:
        pytest.skip("eSpeak NG (espeakng-loader) is not installed")
    return clip


def digests(folder: Path) -> dict[str, str]:
    files = sorted(folder.rglob("*.wav"))
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


# The set as a whole


def test_same_bytes_from_another_process(folder: Path, tmp_path: Path) -> None:
    program = "import sys, pathlib, earmark.eval.demo; earmark.eval.demo.write_demo_audio(pathlib.Path(sys.argv[1]))"
    root = Path(demo.__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, env=environment)
    assert digests(tmp_path) == digests(folder)


def test_another_seed_is_another_performance(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "CLIPS", [clip for clip in CLIPS if "waltz" in clip.path or "low" in clip.path])
    for file in write_demo_audio(tmp_path, seed=1):
        other = folder / file.relative_to(tmp_path)
        assert file.read_bytes() != other.read_bytes()
        assert soundfile.info(file).duration == pytest.approx(soundfile.info(other).duration, rel=0.1)


def test_returns_the_files_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "CLIPS", CLIPS[5:7])
    assert write_demo_audio(tmp_path) == [tmp_path / "music/river_waltz.wav", tmp_path / "music/two_voices.wav"]


def test_categories_rates_and_channels_are_mixed(folder: Path) -> None:
    infos = [soundfile.info(file) for file in folder.rglob("*.wav")]
    assert {folder.name for folder in folder.iterdir()} >= {"speech_like", "music", "sounds"}
    assert {info.channels for info in infos} == {1, 2}
    assert {info.subtype for info in infos} == {"PCM_16", "PCM_24"}
    assert {clip.sample_rate for clip in CLIPS} == {16000, 22050, 24000, 44100, 48000}


def test_visqol_hears_the_voices_in_speech_mode() -> None:
    speaking = {category: is_speech(category) for category in {clip.path.split("/")[0] for clip in CLIPS}}
    assert speaking == {"speech": True, "speech_like": True, "music": False, "sounds": False}


def test_every_recording_keeps_its_ranges(folder: Path, clip: Clip) -> None:
    recording = read(folder / clip.path)  # also refuses NaN and truncation
    assert recording.sample_rate == clip.sample_rate
    assert 5 <= recording.seconds <= 8
    peak = 20 * np.log10(np.abs(recording.samples).max())
    assert peak == pytest.approx(-3, abs=0.01)
    assert np.abs(recording.samples.mean()) < 0.003
    loudness = 20 * np.log10(recording.samples.std())
    assert -30 < loudness < -12


def test_nothing_starts_or_ends_with_a_click(folder: Path, clip: Clip) -> None:
    samples = read(folder / clip.path).samples
    assert np.abs(samples[:, [0, -1]]).max() < 0.002


def test_pauses_are_quiet_but_never_digital_silence(folder: Path, clip: Clip) -> None:
    recording = read(folder / clip.path)
    block = recording.sample_rate // 50
    samples = recording.samples[:, : recording.samples.shape[1] // block * block]
    energy = 10 * np.log10(np.square(samples.reshape(len(samples), -1, block)).mean(axis=(0, 2)) + 1e-20)
    assert energy.min() > -80
    if is_speech(clip.path.split("/")[0]):
        assert np.count_nonzero(energy > energy.max() - 30) > 2.5 * 50  # STOI wants more than 0.4 s of speech
        assert np.count_nonzero(energy < -60) > 0.5 * 50


@pytest.mark.parametrize(
    ("path", "above"),
    [("music/night_train.wav", 18000), ("music/river_waltz.wav", 16000), ("sounds/carillon.wav", 16000)],
)
def test_full_band_recordings_reach_beyond_16_khz(folder: Path, path: str, above: float) -> None:
    """More than 20 dB above the level of the noise floor (-75 dBFS) in that range."""
    recording = read(folder / path)
    high = sosfilt(butter(8, above, "highpass", fs=recording.sample_rate, output="sos"), recording.samples[0])
    assert 20 * np.log10(high.std()) > -75 + 10 * np.log10(1 - 2 * above / recording.sample_rate) + 20


def test_low_pass_copy_scores_below_the_original(folder: Path) -> None:
    """PESQ gives identical signals 0.999 + 4 / (1 + exp(-1.3669 * 4.5 + 3.8224)) = 4.644 (P.862.2's mapping)."""
    pesq = pytest.importorskip("pesq").pesq
    recording = read(folder / "speech_like/low_voice.wav")
    reference = resample(recording.samples[0], recording.sample_rate, 16000)
    low_pass = np.convolve(reference, firwin(511, 3500, fs=16000), mode="same").astype(np.float32)
    assert pesq(16000, reference, reference, "wb") == pytest.approx(4.644, abs=0.001)
    assert 1.5 < pesq(16000, reference, low_pass, "wb") < 4.3


# Speech by eSpeak NG


def test_without_espeak_the_rest_is_written_with_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setattr(demo, "CLIPS", CLIPS[:4])
    with caplog.at_level(logging.WARNING):
        files = write_demo_audio(tmp_path)
    assert files == [tmp_path / "speech_like/low_voice.wav"]
    assert not (tmp_path / "speech").exists()
    assert len(caplog.messages) == 1
    assert "espeakng-loader is not installed; run `pip install 'earmark[demo]'`" in caplog.messages[0]


@needs_espeak
def test_a_voice_that_espeak_does_not_have_is_named() -> None:
    with pytest.raises(UserError, match=r"eSpeak NG cannot speak here \(no voice 'xx-yy'\)"):
        speech.speak(speech.Sentence("Hello.", "xx-yy", 150, 50), 16000, np.random.default_rng(0))


@needs_espeak
def test_espeak_in_a_folder_of_more_than_160_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library truncates the path of its data to that length."""
    import espeakng_loader

    expected = speech.speak(speech.ENGLISH, 22050, np.random.default_rng(0))
    site = tmp_path / ("long" * 40)
    site.mkdir()
    (site / "espeakng_loader").symlink_to(Path(espeakng_loader.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", str(site))
    np.testing.assert_array_equal(speech.speak(speech.ENGLISH, 22050, np.random.default_rng(0)), expected)


@needs_espeak
def test_a_faster_sentence_is_shorter() -> None:
    slow, fast = (
        speech.speak(speech.Sentence("Seven grey geese.", "en-us", rate, 50), 16000, np.random.default_rng(0))
        for rate in (100, 250)
    )
    assert slow.shape[0] == fast.shape[0] == 1
    assert slow.shape[1] > 1.5 * fast.shape[1]


# The voice without words


def fundamental(signal: NDArray[np.float64], sample_rate: int) -> float:
    """Frequency in Hz of the highest peak of the autocorrelation between 60 and 400 Hz, refined by a parabola."""
    spectrum = np.fft.rfft(signal, 2 * len(signal))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)
    first, last = sample_rate // 400, sample_rate // 60
    lag = first + int(np.argmax(correlation[first:last]))
    before, here, after = correlation[lag - 1 : lag + 2]
    return float(sample_rate / (lag + 0.5 * (before - after) / (before - 2 * here + after)))


def linear_prediction_formants(signal: NDArray[np.float64], order: int = 14) -> NDArray[np.float64]:
    """Resonances in Hz of [time] at 10 kHz: angles of the roots of the autocorrelation method's predictor."""
    emphasised = np.append(signal[0], signal[1:] - 0.9 * signal[:-1]) * np.hanning(len(signal))
    correlation = np.correlate(emphasised, emphasised, "full")[len(signal) - 1 :][: order + 1]
    predictor = solve_toeplitz(correlation[:-1], correlation[1:])
    roots = np.roots(np.append(1.0, -predictor))
    sharp = roots[(roots.imag > 0) & (np.abs(roots) > 0.85)]
    return np.sort(np.angle(sharp)) * 10000 / (2 * np.pi)


@pytest.mark.parametrize("pitch", [85.0, 120.0, 210.0])
def test_monotone_has_the_asked_pitch(pitch: float) -> None:
    vowel = voice.talk([("ɑ", 1.0)], pitch, 24000, np.random.default_rng(3), intonation=0)
    assert fundamental(vowel[4800:-4800], 24000) == pytest.approx(pitch, rel=0.01)


@pytest.mark.parametrize("tract", [1.0, 1.16])
@pytest.mark.parametrize("symbol", ["i", "ɛ", "æ", "ɑ", "ʌ"])
def test_vowel_formants_are_those_of_peterson_and_barney(symbol: str, tract: float) -> None:
    published = {
        "i": (270, 2290, 3010),
        "ɛ": (530, 1840, 2480),
        "æ": (660, 1720, 2410),
        "ɑ": (730, 1090, 2440),
        "ʌ": (640, 1190, 2390),
    }
    vowel = voice.talk([(symbol, 0.8)], 90, 20000, np.random.default_rng(5), intonation=0, tract=tract)
    measured = linear_prediction_formants(resample_poly(vowel[4000:12000], 1, 2))
    for formant in published[symbol]:
        nearest = measured[np.argmin(np.abs(measured - tract * formant))]
        assert nearest == pytest.approx(tract * formant, rel=0.06, abs=30)


def test_glottal_periods_jitter_by_under_one_percent() -> None:
    f0 = np.full(4 * 48000, 100.0)
    _, slope = voice.glottal_source(f0, 48000, np.random.default_rng(2))
    closures, _ = find_peaks(-slope, distance=240, height=0.3)
    periods = np.diff(closures)
    assert periods.mean() == pytest.approx(480, rel=0.005)
    assert periods.std() / periods.mean() == pytest.approx(voice.JITTER, rel=0.25)


def test_glottal_flow_is_shut_for_the_rest_of_the_period() -> None:
    flow, _ = voice.glottal_source(np.full(48000, 100.0), 48000, np.random.default_rng(2))
    assert np.mean(flow > 0.005) == pytest.approx(voice.OPENING + voice.CLOSING, abs=0.03)
    assert 0.9 < flow.max() < 1.15


def test_a_fricative_is_noise_in_its_band() -> None:
    noise = voice.talk([("s", 0.5)], 100, 48000, np.random.default_rng(1))
    spectrum = np.abs(np.fft.rfft(noise)) ** 2
    frequency = np.fft.rfftfreq(len(noise), 1 / 48000)
    assert spectrum[(frequency > 4000) & (frequency < 14000)].sum() / spectrum.sum() > 0.85


def test_moving_formants_make_no_clicks() -> None:
    """From one vowel to the other and back, no sample leaves the range of the steady vowels."""
    rng = np.random.default_rng(4)
    moving = voice.talk([("u", 0.1), ("i", 0.1)] * 5, 110, 24000, rng, intonation=0)
    crest = np.abs(moving).max() / moving.std()
    assert crest < 5


def test_phones_before_a_pause_are_longer() -> None:
    (_, inside), (_, final), _ = voice.utterance("ɑ ɑ ,", np.random.default_rng(0))
    assert final / inside > 1.4 * 0.9 / 1.1


# Instruments and stage


def peak_frequency(signal: NDArray[np.float64], sample_rate: int, near: float) -> float:
    """Frequency in Hz of the spectral peak within 6 % of `near`, from a spectrum padded to 1/32 of its bins."""
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal)), 32 * len(signal)))
    frequency = np.fft.rfftfreq(32 * len(signal), 1 / sample_rate)
    inside = np.abs(frequency / near - 1) < 0.06
    return float(frequency[inside][np.argmax(spectrum[inside])])


@pytest.mark.parametrize(
    ("note", "frequency"),
    [("A4", 440.0), ("C4", 261.626), ("A1", 55.0), ("F#4", 369.994), ("Bb3", 233.082), ("G5", 783.991)],
)
def test_notes_in_equal_temperament(note: str, frequency: float) -> None:
    assert instruments.frequency_of(note) == pytest.approx(frequency, abs=0.001)


@pytest.mark.parametrize("sample_rate", [44100, 48000])
@pytest.mark.parametrize("frequency", [82.41, 110.0, 261.63, 440.0, 987.77, 1318.51])
def test_plucked_string_is_in_tune(frequency: float, sample_rate: int) -> None:
    """Within 2 cents; a loop of whole samples could be off by half a sample in 33, 26 cents at 1318.51 Hz."""
    tone = instruments.plucked_string(frequency, 1.0, sample_rate, np.random.default_rng(1))
    cents = 1200 * np.log2(peak_frequency(tone, sample_rate, frequency) / frequency)
    assert abs(cents) < 2


def test_struck_string_is_stiff() -> None:
    """Partial 10 of a string with B = 0.0004 is sqrt(1 + 0.04) / sqrt(1 + 0.0004) = 1.0196 times 10 times the first."""
    tone = instruments.struck_string(220, 1.0, 44100, np.random.default_rng(1))
    first, tenth = (peak_frequency(tone[2000:], 44100, near) for near in (220.0, 2243.0))
    assert tenth / (10 * first) == pytest.approx(1.0196, abs=0.001)


def test_partials_fall_by_60_db_in_their_decay() -> None:
    tone = instruments.damped_partials([1000.0], [1.0], [0.5], 0.6, 48000, np.random.default_rng(0))
    early, late = (np.abs(tone[round(at * 48000) :][:480]).max() for at in (0.05, 0.55))
    assert 20 * np.log10(early / late) == pytest.approx(60, abs=0.5)


def test_partials_beyond_nyquist_are_left_out() -> None:
    tone = instruments.damped_partials([30000.0], [1.0], [0.5], 0.1, 48000, np.random.default_rng(0))
    assert not tone.any()


def test_oscillator_does_not_alias() -> None:
    """A sawtooth at 5 kHz and 44.1 kHz has its harmonics at 5, 10, 15 and 20 kHz and nothing else."""
    wave = instruments.oscillator(np.full(44100, 5000.0), 1 / np.arange(1, 100), 44100)
    spectrum = np.abs(np.fft.rfft(wave)) / (len(wave) / 2)  # a bin a Hz
    np.testing.assert_allclose(spectrum[[5000, 10000, 15000, 20000]], [1, 1 / 2, 1 / 3, 1 / 4], rtol=1e-3)
    spectrum[[5000, 10000, 15000, 20000]] = 0
    assert spectrum.max() < 1e-4


@pytest.mark.parametrize("pan", [-1.0, -0.3, 0.0, 1.0])
def test_panning_keeps_the_power(pan: float) -> None:
    stage = Stage(0.1, 1000)
    stage.add(np.ones(50), 0.02, gain=0.5, pan=pan)
    assert np.square(stage.samples[:, 20:70]).sum(axis=0) == pytest.approx(0.25)
    assert not stage.samples[:, :20].any()
    assert not stage.samples[:, 70:].any()


def test_a_sound_beyond_the_end_is_cut() -> None:
    stage = Stage(0.1, 1000)
    stage.add(np.ones(500), 0.09)
    stage.add(np.ones(500), 0.5)
    assert stage.samples.shape == (2, 100)
    assert np.count_nonzero(stage.samples[0]) == 10


def test_master_sets_the_peak_of_any_level() -> None:
    rng = np.random.default_rng(0)
    for scale in (1e-4, 1.0, 500.0):
        recording = master(scale * rng.standard_normal((2, 8000)), 16000, rng)
        assert np.abs(recording).max() == pytest.approx(10 ** (-3 / 20), rel=1e-6)

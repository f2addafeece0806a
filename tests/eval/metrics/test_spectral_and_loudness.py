"""SI-SDR, spectral distances, ESTOI and loudness: exact properties, and the libraries called directly."""

from __future__ import annotations

import math

import numpy as np
import pyloudnorm
import pystoi
import pytest
from click.testing import CliRunner

from earmark.cli import cli
from earmark.codec.audio import resample
from earmark.eval.metrics.evaluation import evaluate
from earmark.eval.metrics.interface import Score
from earmark.eval.metrics.registry import find
from earmark.eval.metrics.spectral import mel_filters


def noise(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    return (0.1 * np.random.default_rng(3).standard_normal((channels, round(seconds * rate)))).astype(np.float32)


def value(name: str, reference: np.ndarray, decoded: np.ndarray, rate: int) -> float:
    answer = evaluate(find(name), reference, decoded, rate)
    assert answer.value is not None, answer.reason
    return answer.value


def test_an_offset_is_distortion_to_si_sdr_alone():
    """Offset 0.1 beside a source of variance 1/2: 10 log10(0.5 / 0.01) = 17 dB."""
    tone = np.sin(2 * np.pi * np.arange(48000) * 100 / 48000)[None].astype(np.float32)
    assert value("si_sdr", tone, tone + np.float32(0.1), 48000) == pytest.approx(10 * math.log10(50), abs=0.01)
    assert evaluate(find("si_snr"), tone, tone + np.float32(0.1), 48000).status == "undefined"


def test_si_sdr_is_si_snr_without_offsets():
    x = noise(1, 16000)
    x -= x.mean()
    y = x + 0.1 * (noise(1, 16000, 2)[1:] - noise(1, 16000, 2)[1:].mean())
    assert value("si_sdr", x, y, 16000) == pytest.approx(value("si_snr", x, y, 16000), abs=1e-4)


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_a_gain_is_its_decibels_in_every_mel_band(gain):
    assert value("mel_distance", noise(1, 24000), np.float32(gain) * noise(1, 24000), 24000) == pytest.approx(
        20 * math.log10(2), abs=1e-3
    )


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_a_gain_costs_convergence_and_log_magnitude(gain):
    """Yamamoto et al., equations 5 and 6, for y = g x: |g - 1| and |ln g|."""
    distance = value("stft_distance", noise(1, 24000), np.float32(gain) * noise(1, 24000), 24000)
    assert distance == pytest.approx(abs(gain - 1) + abs(math.log(gain)), abs=1e-3)


@pytest.mark.parametrize("name", ["mel_distance", "stft_distance"])
def test_spectral_distances_ignore_the_sign_and_grow_with_noise(name):
    x = noise(1, 24000)
    assert value(name, x, -x, 24000) == pytest.approx(0, abs=1e-9)
    other = noise(1, 24000, 2)[1:]
    levels = [value(name, x, x + np.float32(gain) * other, 24000) for gain in (0.01, 0.1, 1.0)]
    assert levels == sorted(levels)
    assert levels[0] > 0


def test_mel_bands_cover_the_spectrum_evenly():
    """White power is the same level in each band; the middle of the last band lies below 12 kHz."""
    filters = mel_filters()
    assert filters.shape == (80, 513)
    np.testing.assert_allclose(filters.sum(axis=1), 1)
    assert (np.diff(filters.argmax(axis=1)) >= 0).all()


def test_estoi_equals_the_library_on_the_same_samples(speech, noisy):
    x, y = resample(speech, 16000, 10000), resample(noisy, 16000, 10000)
    expected = pystoi.stoi(x[0], y[0], 10000, extended=True)
    assert value("estoi", x, y, 10000) == pytest.approx(expected, abs=1e-12)
    assert value("estoi", x, x, 10000) == pytest.approx(1, abs=1e-6)


def test_loudness_difference_is_the_gain_and_the_librarys():
    """6.02 LU for a factor 2 (BS.1770: 10 log10 of a mean square)."""
    x = noise(3, 48000, 2)
    assert value("loudness_difference", x, 2 * x, 48000) == pytest.approx(20 * math.log10(2), abs=1e-6)
    quiet = x.copy()
    quiet[:, 48000:] *= np.float32(0.1)
    meter = pyloudnorm.Meter(48000)
    expected = meter.integrated_loudness(x.T.astype(float)) - meter.integrated_loudness(quiet.T.astype(float))
    assert value("loudness_difference", x, quiet, 48000) == pytest.approx(expected, abs=1e-9)


def test_loudness_of_the_short_and_the_faint_is_undefined():
    x = noise(0.3, 48000)
    assert evaluate(find("loudness_difference"), x, x, 48000) == Score(None, "undefined", "shorter than 0.4 s")
    faint = np.float32(1e-4) * noise(1, 48000)
    assert evaluate(find("loudness_difference"), faint, faint, 48000).reason == "below the gate of -70 LUFS"


def test_the_command_lists_what_a_reader_must_know():
    done = CliRunner().invoke(cli, ["metrics", "--format", "csv"])
    assert done.exit_code == 0
    lines = dict(line.split(",", 1) for line in done.stdout.splitlines())
    assert "lower" in lines["mel_distance"]
    assert "1.04 to 4.64" in lines["pesq"]
    assert "arXiv 2004.09584" in lines["visqol_audio"]
    assert "visqol_speech or visqol_audio" in lines["visqol"]


def test_the_list_fits_a_wide_terminal():
    lines = CliRunner().invoke(cli, ["metrics"]).stdout.splitlines()
    listed = {line.split()[0] for line in lines if line and not line.startswith(" ")}
    assert {"visqol", "visqol_speech", "pesq", "si_snr", "dnsmos"} <= listed
    reasons = [line for line in lines if "unavailable:" in line]
    assert max(len(line) for line in lines if line not in reasons) <= 140

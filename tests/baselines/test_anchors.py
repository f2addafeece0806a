"""The anchors against the mask of BS.1534-3, section 5.1."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import freqz

from earmark.baselines.anchors import low_pass
from earmark.baselines.systems import family_of, parse

RATES = [16000, 22050, 24000, 32000, 44100, 48000]


def response(text: str, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz and gain in dB of the anchor's response to an impulse in the middle of a second."""
    system = parse(text)
    codec = family_of(system).open(system, rate, 1)
    impulse = np.zeros((1, rate), np.float32)
    impulse[0, rate // 2] = 1
    spectrum = np.fft.rfft(codec.decode(codec.encode(impulse))[0])
    return np.fft.rfftfreq(rate, 1 / rate), 20 * np.log10(np.abs(spectrum) + 1e-12)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("text", "cutoff"), [("anchor@3.5k", 3500), ("anchor@7k", 7000)])
def test_meets_the_mask_at_every_sample_rate(text, cutoff, rate):
    frequencies, gain = response(text, rate)
    assert np.abs(gain[frequencies <= cutoff]).max() <= 0.1
    for edge, attenuation in [(cutoff * 8 / 7, 25), (cutoff * 9 / 7, 50)]:
        above = gain[frequencies >= edge]
        assert above.size == 0 or above.max() <= -attenuation


def test_the_low_anchors_mask_is_the_published_one():
    """3.5 kHz: at least 25 dB at 4 kHz and 50 dB at 4.5 kHz."""
    frequencies, gain = freqz(low_pass(3500, 48000), worN=1 << 16, fs=48000)
    level = 20 * np.log10(np.abs(gain) + 1e-12)
    assert level[frequencies >= 4000].max() <= -25
    assert level[frequencies >= 4500].max() <= -50


@pytest.mark.parametrize("rate", RATES)
def test_an_impulse_stays_in_place_and_symmetric(rate):
    """Linear phase and zero lag."""
    system = parse("anchor@3.5k")
    codec = family_of(system).open(system, rate, 1)
    impulse = np.zeros((1, rate // 2 * 2 + 1), np.float32)
    middle = impulse.shape[1] // 2
    impulse[0, middle] = 1
    out = codec.decode(codec.encode(impulse))[0]
    assert np.argmax(out) == middle
    np.testing.assert_allclose(out, out[::-1], atol=1e-6)


def test_a_cut_off_above_the_band_leaves_the_signal_unchanged():
    system = parse("anchor@7k")
    noise = np.random.default_rng(0).standard_normal((1, 4000)).astype(np.float32)
    codec = family_of(system).open(system, 8000, 1)
    np.testing.assert_array_equal(codec.decode(codec.encode(noise)), noise)


def test_the_reference_is_the_source():
    system = parse("reference")
    noise = np.random.default_rng(0).standard_normal((2, 4000)).astype(np.float32)
    codec = family_of(system).open(system, 44100, 2)
    np.testing.assert_array_equal(codec.decode(codec.encode(noise)), noise)

"""player.js, rendered sample by sample in a real browser's OfflineAudioContext."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import flask
import numpy as np
import pytest
from selenium import webdriver

from earmark.eval.report.assets import PLAYER
from tests.mushra_app.browsing import serve
from tests.mushra_app.rendering import FADE, RATE, SWITCH, edged, noise, play, rise, sounding, tones

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(chromium: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    """The browser on an empty page that can import player.js."""
    app = flask.Flask(__name__)
    app.add_url_rule("/", "page", lambda: "<!doctype html><title>player</title>")
    app.add_url_rule("/player.js", "player", lambda: flask.send_file(PLAYER, mimetype="text/javascript"))
    for url in serve(app):
        chromium.get(url)
        yield chromium
        chromium.get("about:blank")


@pytest.mark.parametrize(("rate", "fade"), [(48_000, 240), (44_100, 221), (32_000, 160), (16_000, 80)])
def test_switching_keeps_the_conditions_in_step(page: webdriver.Chrome, rate: int, fade: int):
    """Three noises of 3001 samples: frame n is sample (n - start) mod 3001 of each, with fades of exactly 5 ms."""
    signals, total = noise(3, 3001), round(0.5 * rate)
    start, first, second = 1000, round(0.15 * rate) + 1, round(0.31 * rate) + 7
    actions = [["start", [], start / rate], ["select", [1], first / rate], ["select", [2], second / rate]]
    heard = play(page, signals, actions, 0.5, rate)["samples"]
    expected = (
        sounding(signals[0], total, start, first + fade, start, fade)
        + sounding(signals[1], total, first + fade + 1, second + fade, start, fade)
        + sounding(signals[2], total, second + fade + 1, total + fade, start, fade)
    )
    np.testing.assert_allclose(heard, expected, rtol=0, atol=2e-6)


def test_channels_are_not_mixed(page: webdriver.Chrome):
    """Two stereo noises, looped from 0.1 to 0.7 s: each ear hears its own channel, bit-exact."""
    signals = list(np.random.default_rng(1).uniform(-0.9, 0.9, (2, 2, RATE)).astype(np.float32))
    heard = play(page, signals, [["loop", [0.1, 0.7], 0.0], ["start", [], 0.0], ["select", [1], 0.2]], 0.5)["samples"]
    np.testing.assert_array_equal(heard[:, 1000:9000], signals[0][:, 5800:13_800])
    np.testing.assert_array_equal(heard[:, 10_500:24_000], signals[1][:, 15_300:28_800])


def test_switches_have_no_larger_steps_than_the_signal(page: webdriver.Chrome):
    """Twelve conditions, one tone of 440 Hz in twelve phases, switched at 40 random frames.

    Of gain x signal, g A sin(wn + p), a step is at most A sqrt((g w)^2 + g'^2); where the fade is steepest g = 1/2 and
    g' = pi / 480, less than the w A of the tone itself, w = 2 pi 440 / 48000. The tone's own steps: 2 A sin(w / 2).
    """
    n = np.arange(RATE)
    signals = [(0.9 * np.sin(2 * np.pi * (440 * n / RATE + k / 12))).astype(np.float32) for k in range(12)]
    rng = random.Random(0)
    frames = sorted(rng.sample(range(1000, 70_000, SWITCH + 1), 40))
    actions = [["start", [], 0.0], *(["select", [rng.randrange(12)], frame / RATE] for frame in frames)]
    heard = play(page, signals, actions, 1.5)["samples"].astype(np.float64)
    assert np.abs(np.diff(heard)).max() <= 2 * 0.9 * np.sin(np.pi * 440 / RATE) + 1e-6


def test_between_fades_samples_are_bit_exact(page: webdriver.Chrome):
    """No resampling, no interpolation, unity gain: the output equals the input bit by bit."""
    signals = noise(2, 5000)
    actions = [["start", [], 0.013], ["select", [1], 0.2]]
    heard = play(page, signals, actions, 0.4)["samples"]
    began = round(0.013 * RATE)
    for signal, first, last in ((signals[0], began + FADE, 9600), (signals[1], 9600 + SWITCH, 19_200)):
        n = np.arange(first, last)
        np.testing.assert_array_equal(heard[n], signal[(n - began) % 5000])


def test_fades_are_raised_cosines_of_five_milliseconds_without_overlap(page: webdriver.Chrome):
    """Two constants, 0.5 and 0.25, show the gains themselves: 240 steps down, a silent sample, 240 steps up."""
    signals = [np.full(1000, level, np.float32) for level in (0.5, 0.25)]
    heard = play(page, signals, [["start", [], 0.0], ["select", [1], 0.1]], 0.2)["samples"][4800:]
    np.testing.assert_allclose(heard[: FADE + 1], 0.5 * rise(FADE)[::-1], atol=1e-6)
    np.testing.assert_allclose(heard[FADE + 1 : 2 * FADE + 2], 0.25 * rise(FADE), atol=1e-6)
    assert heard[FADE] == heard[FADE + 1] == 0
    assert (heard[SWITCH:] == 0.25).all()
    # half the level after half a fade: cos(pi/2) = 0
    assert heard[FADE // 2] == pytest.approx(0.25)


def test_selecting_the_audible_condition_changes_nothing(page: webdriver.Chrome):
    signals = noise(2, 3000)
    once = play(page, signals, [["start", [], 0.0]], 0.2)["samples"]
    again = play(page, signals, [["start", [], 0.0], ["select", [0], 0.1], ["start", [], 0.12]], 0.2)["samples"]
    np.testing.assert_array_equal(once, again)


def test_playback_continues_where_it_was_paused(page: webdriver.Chrome):
    """Sources stop one frame after the fade-out; the next start continues with that sample."""
    signals, total = noise(2, 7000), round(0.5 * RATE)
    paused, resumed = 5000, 12_000
    actions = [["start", [], 0.0], ["pause", [], paused / RATE], ["select", [1], 0.2], ["start", [], resumed / RATE]]
    heard = play(page, signals, actions, 0.5)["samples"]
    stopped = paused + FADE + 1
    expected = sounding(signals[0], total, 0, paused + FADE, 0)
    expected += sounding(signals[1], total, resumed, total + FADE, resumed - stopped)
    expected[stopped:resumed] = 0
    np.testing.assert_allclose(heard, expected, rtol=0, atol=2e-6)


def test_restart_fades_back_to_the_first_sample(page: webdriver.Chrome):
    signals, total = noise(2, 9000), round(0.4 * RATE)
    again = 6000
    heard = play(page, signals, [["start", [], 0.0], ["restart", [], again / RATE]], 0.4)["samples"]
    expected = sounding(signals[0], total, 0, again + FADE, 0)
    expected += sounding(signals[0], total, again + FADE + 1, total + FADE, again + FADE + 1)
    np.testing.assert_allclose(heard, expected, rtol=0, atol=2e-6)


def test_a_loop_region_repeats_with_faded_edges(page: webdriver.Chrome):
    """0.25 to 0.80 s of a recording of 1 s: samples 12000 to 38399, their edges faded in the loop itself."""
    signals, total = noise(2, RATE), round(1.5 * RATE)
    heard = play(page, signals, [["loop", [0.25, 0.80], 0.0], ["start", [], 0.0]], 1.5)["samples"]
    expected = sounding(edged(signals[0], 12_000, 38_400), total, 0, total + FADE, 0)
    np.testing.assert_allclose(heard, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [(0.2, 0.3, 0.2, 0.7), (0.9, 0.95, 0.5, 1.0), (-1, 9, 0, 1.0), (0.7, 0.1, 0.5, 1.0)],
)
def test_a_loop_region_has_at_least_half_a_second(
    page: webdriver.Chrome, start: float, end: float, first: float, last: float
):
    """A requested region is moved and extended within the recording of 1 s. The period of the output is its length."""
    signal = noise(1, RATE)
    actions = [["loop", [start, end], 0.0], ["start", [], 0.0], ["position", [], None, 0]]
    result = play(page, signal, actions, 1.6)
    period = round((last - first) * RATE)
    heard = result["samples"]
    np.testing.assert_array_equal(heard[1000 : 1000 + 20_000], heard[1000 + period : 21_000 + period])
    np.testing.assert_array_equal(heard[1000:5000], signal[0][round(first * RATE) + 1000 : round(first * RATE) + 5000])
    assert result["positions"] == pytest.approx([first])


def test_a_new_loop_region_begins_after_a_fade_and_can_be_removed(page: webdriver.Chrome):
    signals, total = noise(1, RATE), round(1.0 * RATE)
    lifted = 225 * 128  # 0.6 s
    actions = [["start", [], 0.0], ["loop", [0.5, 1.0], 0.2], ["loop", [], None, lifted]]
    heard = play(page, signals, actions, 1.0)["samples"]
    region = round(0.2 * RATE) + FADE + 1
    whole = lifted + FADE + 1
    np.testing.assert_array_equal(heard[1000:9000], signals[0][1000:9000])
    np.testing.assert_array_equal(heard[region + 1000 : region + 9000], signals[0][25_000:33_000])
    np.testing.assert_array_equal(heard[whole + 1000 : total], signals[0][1000 : total - whole])


def test_position_follows_the_playhead(page: webdriver.Chrome):
    """Recordings of 0.25 s that start at 0.1 s: position 0 before, 0.02 s at 0.12 s, and 0.02 s one loop later."""
    frames = [0, 45 * 128, 45 * 128 + 93 * 128]
    actions = [["start", [], 0.1], *(["position", [], None, frame] for frame in frames)]
    result = play(page, noise(2, 12_000), actions, 0.5)
    assert result["positions"] == pytest.approx([0, 0.02, (0.02 + 93 * 128 / RATE) % 0.25])
    assert result["duration"] == 0.25


def test_quick_selections_queue_without_overlap(page: webdriver.Chrome):
    """Four switches scheduled within 3 ms happen one after another, 482 frames each, and complete."""
    signals, total = noise(4, 3001), round(0.3 * RATE)
    asked = [0.1, 0.101, 0.1015, 0.103]
    wanted = [1, 2, 3, 0]
    actions = [["start", [], 0.0], *(["select", [k], when] for k, when in zip(wanted, asked, strict=True))]
    heard = play(page, signals, actions, 0.3)["samples"]
    edges = [4800 + SWITCH * turn for turn in range(4)]
    expected = sounding(signals[0], total, 0, edges[0] + FADE, 0)
    for turn, k in enumerate(wanted):
        last = edges[turn + 1] + FADE if turn < 3 else total + FADE
        expected += sounding(signals[k], total, edges[turn] + FADE + 1, last, 0)
    np.testing.assert_allclose(heard, expected, rtol=0, atol=2e-6)


def test_only_the_last_selection_during_a_fade_counts(page: webdriver.Chrome):
    """Live calls at one instant: the switch from 0 to 1 begins at once; of 2, 3 and 2, one switch to 2 follows."""
    signals, total = noise(4, 3001), round(0.3 * RATE)
    at = 38 * 128
    storm = [["select", [k], None, at] for k in (1, 2, 3, 2)]
    heard = play(page, signals, [["start", [], 0.0], *storm], 0.3)["samples"]
    expected = sounding(signals[0], total, 0, at + FADE, 0)
    expected += sounding(signals[1], total, at + FADE + 1, at + SWITCH + FADE, 0)
    expected += sounding(signals[2], total, at + SWITCH + FADE + 1, total + FADE, 0)
    np.testing.assert_allclose(heard, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_many_calls_neither_click_nor_throw(page: webdriver.Chrome, seed: int, live: bool):
    """120 random calls in 0.6 s, many within one fade. The steepest step of gain x signal is the signal's own plus its
    amplitude times the fade's slope, pi / (2 N); nothing that was rendered exceeds it. The last wish is what sounds.
    """
    rng = random.Random(seed)
    signals = tones(4, 24_000)
    actions: list[list[Any]] = [["start", [], 0.0]]
    for frame in sorted(rng.randrange(1, 225) * 128 for _ in range(120)):
        call = rng.choice([["select", [rng.randrange(4)]]] * 4 + [["pause", []], ["start", []], ["restart", []]])
        actions.append([*call, None, frame] if live else [*call, (frame + rng.randrange(128)) / RATE])
    actions += [["start", [], None, 240 * 128]] if live else [["start", [], 240 * 128 / RATE]]
    result = play(page, signals, actions, 2.5)
    heard = result["samples"].astype(np.float64)
    own = max(np.abs(np.diff(signal, append=signal[:1])).max() for signal in signals)
    assert np.abs(np.diff(heard)).max() <= own + 0.9 * np.pi / (2 * FADE) + 1e-6
    end = heard[-24_000:]
    spectrum = np.abs(np.fft.rfft(end))
    assert spectrum.argmax() == 10 + result["index"]
    assert result["playing"]


def test_many_loop_regions_do_not_click(page: webdriver.Chrome):
    """40 regions within 0.6 s, as by dragging. Where the fade of a region's end meets that of a
    switch both slopes add up; nothing is steeper. The last region is what loops: 0.25 to 0.75 s.
    """
    rng = random.Random(0)
    signals = tones(2, RATE)
    frames = sorted(rng.randrange(1, 225) * 128 for _ in range(40))
    actions: list[list[Any]] = [["start", [], 0.0], *(["loop", [rng.random(), rng.random()], None, f] for f in frames)]
    actions.append(["loop", [0.25, 0.75], None, 240 * 128])
    heard = play(page, signals, actions, 2.5)["samples"].astype(np.float64)
    own = np.abs(np.diff(signals[0])).max()
    assert np.abs(np.diff(heard)).max() <= own + 2 * 0.9 * np.pi / (2 * FADE) + 1e-6
    end = heard[-48_000:]
    np.testing.assert_array_equal(end[:24_000], end[24_000:])
    clip = edged(signals[0], 12_000, 36_000)
    shift = np.fft.irfft(np.fft.rfft(end[:24_000]) * np.fft.rfft(clip).conj()).argmax()
    np.testing.assert_allclose(end[:24_000], np.roll(clip, shift), rtol=0, atol=2e-6)


def test_an_unknown_condition_is_refused(page: webdriver.Chrome):
    with pytest.raises(AssertionError, match="RangeError: there is no condition 2"):
        play(page, noise(2, 1000), [["select", [2], 0.0]], 0.1)

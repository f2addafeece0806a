"""Bjontegaard deltas against an independent implementation, and against exact properties."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import PchipInterpolator

from earmark.eval.statistics import curve_bootstrap
from earmark.eval.statistics.bjontegaard import Curve, codecs_of, delta_quality, delta_rate, deltas, overlap, shared
from earmark.eval.tables.difference_grids import delta_grid

TEST = Curve((1356.24, 2451.52, 4469.00, 9787.80), (34.987, 36.970, 38.651, 40.121))
ANCHOR = Curve((1358.24, 2486.44, 4593.60, 9487.76), (34.851, 36.845, 38.615, 40.037))


def test_published_curves():
    """The package bjontegaard 1.3.0 (method "pchip") gives -4.417485350589045 % and 0.11969278542479489 dB."""
    assert delta_rate(TEST, ANCHOR) == pytest.approx(-4.417485350589045, abs=1e-6)
    assert delta_quality(TEST, ANCHOR) == pytest.approx(0.11969278542479489, abs=1e-8)


def test_a_fifth_less_bit_rate_at_every_quality_is_minus_20_percent():
    cheaper = Curve(tuple(0.8 * kbps for kbps in ANCHOR.kbps), ANCHOR.quality)
    assert delta_rate(cheaper, ANCHOR) == pytest.approx(-20)
    assert delta_rate(ANCHOR, cheaper) == pytest.approx(25)


def test_a_constant_gain_is_that_gain():
    better = Curve(ANCHOR.kbps, tuple(quality + 0.3 for quality in ANCHOR.quality))
    assert delta_quality(better, ANCHOR) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("curve", "says"),
    [
        (Curve((6.0,), (3.0,)), "needs two bit rates"),
        (Curve((6.0, 12.0), (3.0, 3.0)), "does not rise"),
        (Curve((6.0, 12.0), (1.0, 2.0)), "no quality in common"),
    ],
)
def test_curves_that_cannot_be_compared_say_why(curve, says):
    with pytest.raises(ValueError, match=says):
        delta_rate(curve, ANCHOR)


def run(metric, values, kbps=None):
    """Rows of a run: system -> values by file."""
    return pd.DataFrame(
        {
            "file": f"{index}.wav", "category": "speech", "system": system, "metric": metric, "value": value,
            "status": "ok" if value is not None else "undefined",
            "kbps": (kbps or {}).get(system, float(system.partition("@")[2] or "nan")),
            "kbps_nominal": float(system.partition("@")[2] or "nan"),
        }
        for system, row in values.items()
        for index, value in enumerate(row)
    )  # fmt: skip


def test_a_codecs_points_are_measured_rates_of_the_files_that_both_codecs_have():
    """The second file has no score at opus@12, so it counts for neither codec; the anchor has no bit rate."""
    values = {"opus@6": [2.0, 9.0], "opus@12": [3.0, None], "mp3@64": [4.0, 7.0], "mp3@96": [4.5, 8.0], "anchor": [1.0]}
    rows = run("visqol", values, {"opus@6": 6.3})
    rows = rows[(rows["status"] == "ok") & rows["kbps"].notna()]
    assert codecs_of(rows) == {"opus": ["opus@6", "opus@12"], "mp3": ["mp3@64", "mp3@96"]}
    pair = shared(rows, ["opus@6", "opus@12"], ["mp3@64", "mp3@96"])
    assert pair.n == 1
    assert pair.curves() == (Curve((6.3, 12.0), (2.0, 3.0)), Curve((64.0, 96.0), (4.0, 4.5)))


def two_codecs(files, undefined=0):
    """Two equal codecs at four bit rates; the first lacks its lowest on the files with the lowest scores."""
    rng = np.random.default_rng(4)
    level = np.sort(rng.normal(0, 0.5, files))
    values, kbps = {}, {}
    for name in ("opus", "mp3"):
        for step, rate in enumerate((6, 12, 24, 48)):
            values[f"{name}@{rate}"] = list(2.5 + 0.4 * step + level + rng.normal(0, 0.01, files))
            kbps[f"{name}@{rate}"] = float(rate)
    values["opus@6"][:undefined] = [None] * undefined
    return run("si_snr", values, kbps)


def test_equal_codecs_do_not_differ_if_one_has_undefined_files():
    """Five of 20 files lack a score at the lowest rate of one codec. They count for neither, so both stay equal."""
    (result,) = deltas(two_codecs(20, undefined=5), "si_snr")
    assert (result.n, result.points, result.weaknesses) == (15, (4, 4), ())
    assert abs(result.rate) < 1
    assert result.rate_low < 0 < result.rate_high
    assert result.rate_high - result.rate_low < 2
    assert result.overlap_rate == 1
    shown = delta_grid([result], "si_snr")
    assert shown.rows[0][3:6] == ("15", "4, 4", f"{100 * result.overlap_quality:.0f} / 100 %")
    assert shown.data[0]["n"] == 15


def test_few_points_and_small_overlap_are_warned_of():
    """Two points each; qualities 2 to 3 and 2.9 to 3.9 share 0.1 of 1.9, 5 %."""
    values = {"opus@6": [2.0] * 3, "opus@12": [3.0] * 3, "mp3@6": [2.9] * 3, "mp3@12": [3.9] * 3}
    (result,) = deltas(run("si_snr", values), "si_snr")
    assert overlap([2.0, 3.0], [2.9, 3.9]) == pytest.approx(0.1 / 1.9)
    assert result.weaknesses == ("2 bit rates, fewer than 4", "the curves share 5 % of their qualities")
    notes = delta_grid([result], "si_snr").notes
    assert "Warning, unreliable: opus against mp3 (speech): the curves share 5 % of their qualities." in notes


def test_many_curves_at_once_equal_scipy():
    """The mean gap of random monotone and other curves, as by scipy's PCHIP."""
    rng = np.random.default_rng(1)
    for points in (2, 3, 5):
        x = np.sort(rng.normal(size=(2, 40, points)), axis=-1)
        y = rng.normal(size=(2, 40, points))
        y[:, :20] = np.sort(y[:, :20], axis=-1)
        gaps = curve_bootstrap.mean_gaps(x[0], y[0], x[1], y[1])
        for index, gap in enumerate(gaps):
            low, high = x[:, index, 0].max(), x[:, index, -1].min()
            if low >= high:
                assert math.isnan(gap)
                continue
            areas = [PchipInterpolator(x[one, index], y[one, index]).integrate(low, high) for one in (0, 1)]
            assert gap == pytest.approx((areas[0] - areas[1]) / (high - low))


def test_the_bootstrap_covers_the_true_delta():
    """A gain of 0.3 at every bit rate, normal differences between files: of 200 tests of 12 files, 95 % hold 0.3."""
    rng = np.random.default_rng(2)
    kbps = np.tile([6.0, 12, 24, 48], (12, 1))
    held = 0
    for _ in range(200):
        base = 3 + 0.5 * np.arange(4) + rng.normal(0, 0.3, (12, 1))
        gain = 0.3 + rng.normal(0, 0.2, (12, 1))
        _, (low, high) = curve_bootstrap.intervals((kbps, kbps), (base + gain, base))
        held += low <= 0.3 <= high
    assert 180 <= held <= 199


def test_few_recordings_have_no_interval():
    one = np.tile([6.0, 12], (2, 1))
    assert np.isnan(curve_bootstrap.intervals((one, one), (one, one))).all()


def test_a_metric_to_be_low_keeps_its_sign():
    """The first codec's distance is 0.2 lower at every bit rate: better, so it saves bit rate, and quality is -0.2."""
    values = {"opus@6": [1.8, 1.7, 1.9], "opus@12": [0.8, 0.7, 0.9], "mp3@6": [2.0] * 3, "mp3@12": [1.0] * 3}
    (result,) = deltas(run("mel_distance", values), "mel_distance")
    assert result.quality == pytest.approx(-0.2)
    assert result.quality_low < -0.2 < result.quality_high < 0
    assert result.rate < 0


def test_two_scales_of_one_metric_make_no_curve_over_all_files():
    values = {"opus@6": [2.0, 3.0], "opus@12": [3.0, 4.0], "mp3@6": [2.0, 3.0], "mp3@12": [3.0, 4.0]}
    rows = run("visqol", values).assign(category=["speech", "music"] * 4)
    assert [one.category for one in deltas(rows, "visqol", ["speech"])] == ["speech", "music"]
    assert [one.category for one in deltas(rows, "visqol", [])] == ["speech", "music", "all"]


def test_every_pair_of_codecs_and_the_reason_for_what_is_missing():
    values = {"opus@6": [2.0], "opus@12": [3.0], "encodec_24khz@6": [3.5], "encodec_24khz@12": [3.4]}
    (result,) = deltas(run("visqol", values), "visqol")
    assert (result.a, result.b) == ("opus", "encodec_24khz")
    assert math.isnan(result.rate)
    assert result.reason == "quality does not rise with the bit rate"
    assert result.quality == pytest.approx(-0.95)  # from -1.5 to -0.4 along straight lines


def test_as_many_decimals_as_the_means_have_and_numbers_for_programs():
    """Three decimals for STOI: opus gains 0.004 at equal bit rate; the data has the number in full."""
    values = {"opus@6": [0.804], "opus@12": [0.904], "mp3@6": [0.8], "mp3@12": [0.9]}
    rates = {"mp3@6": 6.0, "opus@6": 6.0, "mp3@12": 12.0, "opus@12": 12.0}
    shown = delta_grid(deltas(run("stoi", values, rates), "stoi"), "stoi")
    assert shown.rows[0][7] == "+0.004"
    assert shown.data[0]["quality"] == pytest.approx(0.004)
    assert shown.data[0]["rate_percent"] == pytest.approx(100 * (2 ** (-0.004 / 0.1) - 1))

"""Bjontegaard deltas against an independent implementation, and against exact properties."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from earmark.eval.statistics.bjontegaard import Curve, curves, delta_quality, delta_rate, deltas
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


def test_a_codecs_points_are_measured_rates_of_the_same_files():
    """The second file has no score at 12 kbps, so it counts at neither rate."""
    values = {"opus@6": [2.0, 9.0], "opus@12": [3.0, None], "mp3@64": [4.0, 4.0], "anchor": [1.0, 1.0]}
    result = curves(run("visqol", values, {"opus@6": 6.3}), "visqol")
    assert result == {"speech": {"opus": Curve((6.3, 12.0), (2.0, 3.0))}}


def test_two_scales_of_one_metric_make_no_curve_over_all_files():
    values = {"opus@6": [2.0, 3.0], "opus@12": [3.0, 4.0]}
    rows = run("visqol", values).assign(category=["speech", "music"] * 2)
    assert list(curves(rows, "visqol", ["speech"])) == ["speech", "music"]
    assert list(curves(rows, "visqol", [])) == ["speech", "music", "all"]


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
    assert shown.rows[0][4] == "+0.004"
    assert shown.data[0]["quality"] == pytest.approx(0.004)
    assert shown.data[0]["rate_percent"] == pytest.approx(100 * (2 ** (-0.004 / 0.1) - 1))

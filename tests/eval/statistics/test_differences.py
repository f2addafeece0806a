"""Paired differences, win rates, significance and outliers."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from earmark.codec.errors import UserError
from earmark.eval.statistics.differences import differences, holm, outliers
from earmark.eval.tables.difference_grids import difference_grid
from earmark.eval.tables.grid import comma_separated
from earmark.eval.tables.numbers import probability


def scores(metric="visqol", category="speech", **systems):
    """Rows of a run: a list of values for each system, None where a file has no score."""
    return pd.DataFrame(
        {
            "file": f"{category}/{index}.wav", "category": category, "system": system, "metric": metric,
            "value": math.nan if value is None else value, "status": "undefined" if value is None else "ok",
        }
        for system, values in systems.items()
        for index, value in enumerate(values)
    )  # fmt: skip


def test_pairs_are_compared_file_by_file():
    """Gaps 1, 1, -1, 0: mean 0.25, two wins and a tie of four files; s^2 = 2.75 / 3, and t(0.975, 3) = 3.182."""
    (result,) = differences(scores(a=[2.0, 3.0, 3.0, 4.0], b=[1.0, 2.0, 4.0, 4.0]), "visqol")
    assert (result.a, result.b, result.n) == ("a", "b", 4)
    assert result.mean == 0.25
    assert result.win_rate == 2.5 / 4
    half_width = 3.182 * (2.75 / 3) ** 0.5 / 4**0.5
    assert (result.ci95_low, result.ci95_high) == pytest.approx((0.25 - half_width, 0.25 + half_width), abs=1e-3)


def test_a_file_without_a_score_is_in_no_pair():
    (result,) = differences(scores(a=[2.0, None, 3.0], b=[1.0, 9.0, None]), "visqol")
    assert (result.n, result.mean, result.win_rate) == (1, 1.0, 1.0)
    assert math.isnan(result.ci95_low)
    assert math.isnan(result.p)


def test_each_category_and_all_files():
    rows = pd.concat([scores(a=[2.0, 2.0], b=[1.0, 1.0]), scores(category="music", a=[1.0], b=[4.0])])
    result = {one.category: one for one in differences(rows, "visqol")}
    assert list(result) == ["speech", "music", "all"]
    assert result["all"].n == 3
    assert result["all"].mean == pytest.approx((1 + 1 - 3) / 3)


def test_two_scales_of_one_metric_are_not_pooled():
    """ViSQOL has different scales for speech and music; SI-SNR has one."""
    for metric, blocks in (("visqol", ["speech", "music"]), ("si_snr", ["speech", "music", "all"])):
        rows = pd.concat([scores(metric, a=[2.0, 2.0], b=[1.0, 1.0]), scores(metric, "music", a=[1.0], b=[4.0])])
        result = differences(rows, metric, speech_categories=["speech"])
        assert [one.category for one in result] == blocks
        notes = difference_grid(result, metric, ["speech"]).notes
        assert any("ViSQOL has two scales, speech mode (speech) and audio mode (music)" in note for note in notes) == (
            metric == "visqol"
        )
    rows = pd.concat([scores(a=[2.0], b=[1.0]), scores(category="talk", a=[1.0], b=[4.0])])
    assert len(differences(rows, "visqol", speech_categories=["speech", "talk"])) == 3


def test_against_puts_the_other_system_first():
    rows = scores(a=[2.0, 2.0], b=[1.0, 1.0], c=[0.0, 0.0])
    assert [(one.a, one.b, one.mean) for one in differences(rows, "visqol", against="b")] == [
        ("a", "b", 1.0), ("c", "b", -1.0),
    ]  # fmt: skip
    with pytest.raises(UserError, match="--against d: not in this run; it has a, b, c"):
        differences(rows, "visqol", against="d")
    with pytest.raises(UserError, match="--metrics pesq: not in this run; it has visqol"):
        differences(rows, "pesq")


def test_intervals_are_those_of_the_t_distribution_for_many_files():
    """For 400 normal gaps, bootstrap and Student t agree within a few percent of the width."""
    gaps = np.random.default_rng(3).normal(0.2, 1.0, 400)
    (result,) = differences(scores(a=gaps, b=np.zeros(400)), "visqol")
    expected = ttest_rel(gaps, np.zeros(400)).confidence_interval(0.95)
    width = expected.high - expected.low
    assert result.ci95_low == pytest.approx(expected.low, abs=0.05 * width)
    assert result.ci95_high == pytest.approx(expected.high, abs=0.05 * width)


@pytest.mark.parametrize("files", [2, 4, 5, 10, 40])
def test_intervals_cover_the_true_difference_as_often_as_they_claim(files):
    """1000 systems with scores normal around 1 against one with zeros: 95 % cover 1, with a standard error of 0.7 %.

    The bootstrap uses 1.96 sqrt((n - 1) / n) instead of t, so that 94 % are expected for 40 files.
    """
    rng = np.random.default_rng(11)
    systems = {f"s{index}": rng.normal(1.0, 2.0, files) for index in range(1000)}
    result = differences(scores(zero=np.zeros(files), **systems), "visqol", against="zero")
    covered = np.mean([one.ci95_low <= 1.0 <= one.ci95_high for one in result])
    assert 0.925 < covered < 0.97


def test_too_few_files_for_significance_are_noted():
    """Three pairs over 5 files: p is at least 3 x 2 / 2^5 = 0.1875; over 9 files 3 x 2 / 2^9 = 0.012."""
    five, nine = (scores(a=range(n), b=[value + 0.5 + 0.1 * value for value in range(n)], c=range(2, n + 2))
                  for n in (5, 9))  # fmt: skip
    note = "speech: too few files for significance; with 5 files p is at least 0.188."
    assert note in difference_grid(differences(five, "visqol"), "visqol").notes
    result = differences(nine, "visqol")
    assert not any("too few" in one for one in difference_grid(result, "visqol").notes)
    assert any(one.significant for one in result)


def test_wilcoxon_by_hand():
    """Six gaps of one sign without ties: 2 of 2^6 sign patterns are as extreme, p = 2/64."""
    (result,) = differences(scores(a=[1.1, 1.2, 1.3, 1.4, 1.5, 1.6], b=[1.0] * 6), "visqol")
    assert result.p == pytest.approx(2 / 64)
    assert result.significant
    (equal,) = differences(scores(a=[1.0, 2.0], b=[1.0, 2.0]), "visqol")
    assert (equal.p, equal.mean, equal.win_rate) == (1.0, 0.0, 0.5)


def test_holm_on_a_worked_example():
    """p = 0.01, 0.04, 0.03, 0.005: sorted and times 4, 3, 2, 1 that is 0.02, 0.03, 0.06, 0.04, made monotonic: 0.06."""
    assert holm([0.01, 0.04, math.nan, 0.03, 0.005]) == pytest.approx([0.03, 0.06, math.nan, 0.06, 0.02], nan_ok=True)


def test_where_less_is_better_a_lower_score_wins():
    (result,) = differences(scores("mel_distance", a=[1.0, 1.0], b=[2.0, 2.0]), "mel_distance")
    assert (result.mean, result.win_rate) == (-1.0, 1.0)


def test_worst_files_are_those_farthest_below_their_category():
    """Medians of "a": speech 4, music 2; so 1.5 in music (0.5 below) is less of an outlier than 3 in speech.

    The others are no worse than their medians.
    """
    rows = pd.concat([scores(a=[4.0, 3.0, 5.0]), scores(category="music", a=[2.0, 1.5, 3.0])])
    result = outliers(rows, "visqol", 3)
    assert result["file"].tolist() == ["speech/1.wav", "music/1.wav"]
    assert result["gap"].tolist() == [-1.0, -0.5]
    more_is_worse = outliers(scores("mel_distance", a=[4.0, 3.0, 5.0]), "mel_distance", 3)
    assert more_is_worse["gap"].tolist() == [1.0]
    assert outliers(scores(a=[4.0]), "visqol", 3).empty


def test_the_printed_table():
    shown = difference_grid(differences(scores(a=[2.0, 3.0, 3.0, 4.0], b=[1.0, 2.0, 4.0, 4.0]), "visqol"), "visqol")
    assert shown.rows[0][:5] == ("speech", "a", "b", "4", "+0.25")
    assert shown.rows[0][6] == "62 %"
    assert shown.notes[1] == "p: Wilcoxon's signed-rank test, two-sided; * marks p below 0.05."
    three = difference_grid(differences(scores(a=[2.0, 3.0], b=[1.0, 2.0], c=[1.0, 1.0]), "visqol"), "visqol")
    assert "after Holm's correction over the 3 pairs of each category" in three.notes[1]
    assert [probability(p) for p in (0.0004, 0.03125, math.nan)] == ["<0.001", "0.031", "–"]


def test_as_many_decimals_as_the_table_of_means_has():
    """STOI stays within +-1, so it has three decimals; with two, a difference of 0.004 would read 0.00."""
    shown = difference_grid(differences(scores("stoi", a=[0.904, 0.914], b=[0.9, 0.91]), "stoi"), "stoi")
    assert shown.rows[0][4] == "+0.004"


def test_as_csv_every_number_is_in_full_and_under_one_heading():
    """Gaps 1/3 and 0: mean 1/6; with two files no p is below 1/2."""
    result = differences(scores(a=[1 / 3, 1.0], b=[0.0, 1.0]), "visqol") + differences(
        scores(a=[1.0], b=[0.5]), "visqol"
    )
    both = replace(
        difference_grid(result[:1], "visqol"),
        data=tuple(one for half in result for one in difference_grid([half], "visqol").data),
    )
    first, second = csv.DictReader(io.StringIO(comma_separated(both)))
    assert list(first) == [
        "metric", "category", "a", "b", "n", "mean", "ci95_low", "ci95_high", "win_rate", "p", "p_holm",
    ]  # fmt: skip
    assert float(first["mean"]) == pytest.approx(1 / 6, abs=1e-15)
    assert float(first["ci95_low"]) < 0
    assert (second["mean"], second["ci95_low"], second["p"]) == ("0.5", "", "")

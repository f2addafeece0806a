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
from earmark.eval.statistics.studentized import Stratum, means
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


def coverage(gaps: np.ndarray) -> float:
    """Share of the columns whose interval covers 0; gaps: [files, columns]."""
    result = means([Stratum(gaps, np.ones(gaps.shape))], resamples=1000)
    return float(np.mean((result.low <= 0) & (result.high >= 0)))


@pytest.mark.parametrize("files", [3, 4, 5, 10, 40])
def test_intervals_cover_the_true_difference_as_often_as_they_claim(files):
    """1000 sets of normal gaps around 0: 95 % cover 0, with a standard error of 0.7 %; a little more with few files."""
    assert 0.93 < coverage(np.random.default_rng(11).normal(0, 2, (files, 1000))) < 0.98


def test_skewed_differences_are_covered():
    """Exponential gaps around 0 over 8 and 30 files: Student's t covers 88 and 93 %."""
    rng = np.random.default_rng(5)
    assert 0.93 < coverage(rng.exponential(1, (8, 1000)) - 1) < 0.97
    assert 0.93 < coverage(rng.exponential(1, (30, 1000)) - 1) < 0.97


@pytest.mark.parametrize("files", [1, 3, 8, 30])
def test_p_is_below_a_twentieth_where_the_interval_excludes_zero(files):
    """500 sets of exponential gaps around 0.4: p inverts the interval, up to the rounding of a quantile."""
    gaps = np.random.default_rng(files).exponential(1, (files, 500)) - 0.6
    result = means([Stratum(gaps, np.ones(gaps.shape))], resamples=1000)
    excludes = (result.low > 0) | (result.high < 0)
    clear = np.isnan(result.p) | (np.abs(result.p - 0.05) > 0.002)
    np.testing.assert_array_equal((result.p < 0.05)[clear], excludes[clear])
    assert np.isnan(result.p).all() == (files == 1)


def test_p_is_that_of_students_t_or_more():
    """With four files p is Student's t to the last digit; with 40 normal ones it is no less, and close to it."""
    rng = np.random.default_rng(8)
    few, many = rng.normal(1, 1, (4, 20)), rng.normal(0.3, 1, (40, 20))
    of_few, of_many = (means([Stratum(gaps, np.ones(gaps.shape))]).p for gaps in (few, many))
    np.testing.assert_allclose(of_few, ttest_rel(few, 0 * few).pvalue)
    expected = ttest_rel(many, 0 * many).pvalue
    assert (of_many >= expected - 1e-12).all()
    np.testing.assert_allclose(of_many, expected, atol=0.05)


def test_equal_differences_have_the_p_of_a_sign_test():
    """All of 8 gaps are 0.5: no standard error; the pattern of signs is one of 2^8, p = 2 / 2^8."""
    result = means([Stratum(np.full((8, 1), 0.5), np.ones((8, 1)))])
    assert (result.low[0], result.high[0], result.p[0]) == (0.5, 0.5, 2 / 2**8)
    assert means([Stratum(np.zeros((8, 1)), np.ones((8, 1)))]).p[0] == 1


def test_too_few_files_for_significance_are_noted():
    """Three pairs of constant difference over 5 files: p is at least 3 x 2 / 2^5 = 0.1875; with 7, 0.047."""
    five, one = (
        difference_grid(differences(scores(a=range(n), b=range(1, n + 1), c=range(2, n + 2)), "visqol"), "visqol").notes
        for n in (5, 1)
    )
    assert (
        "speech: too few files for significance; the differences of 5 files are the same, and p, that of a sign test, "
        "is at least 0.188. At least 7 files are needed."
    ) in five
    assert "speech: too few files for significance; at least 3 are needed." in one


def test_what_few_files_assume_is_noted():
    gaps = np.random.default_rng(2).normal(0, 1, 30)
    notes = {
        n: difference_grid(differences(scores(a=gaps[:n], b=[0.0] * n), "visqol"), "visqol").notes for n in (8, 30)
    }
    assert any(note.startswith("With few files (speech: 8) interval and p hold for") for note in notes[8])
    assert not any("few files" in note for note in notes[30])


def test_wilcoxon_by_hand():
    """Six gaps of one sign without ties: 2 of 2^6 sign patterns are as extreme, p = 2/64; mean over s.e. is 4.6."""
    (result,) = differences(scores(a=[1.1, 1.2, 1.3, 1.4, 1.5, 1.6], b=[1.0] * 6), "visqol")
    assert result.p_wilcoxon == pytest.approx(2 / 64)
    assert result.significant
    (equal,) = differences(scores(a=[1.0, 2.0, 3.0], b=[1.0, 2.0, 3.0]), "visqol")
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
    assert (
        shown.notes[1]
        == "p: bootstrap-t test of the mean difference over files, by inversion of the interval, two-sided; * marks p "
        "below 0.05."
    )
    three = difference_grid(differences(scores(a=[2.0, 3.0], b=[1.0, 2.0], c=[1.0, 1.0]), "visqol"), "visqol")
    assert "after Holm's correction over the 3 pairs of each category" in three.notes[1]
    assert [probability(p) for p in (0.0004, 0.03125, math.nan)] == ["<0.001", "0.031", "–"]


def test_as_many_decimals_as_the_table_of_means_has():
    """STOI stays within +-1, so it has three decimals; with two, a difference of 0.004 would read 0.00."""
    shown = difference_grid(differences(scores("stoi", a=[0.904, 0.914], b=[0.9, 0.91]), "stoi"), "stoi")
    assert shown.rows[0][4] == "+0.004"


def test_as_csv_every_number_is_in_full_and_under_one_heading():
    """Gaps 1/3, 1/6 and 0: mean 1/6. Two files have no interval."""
    result = differences(scores(a=[1 / 3, 1 / 6, 1.0], b=[0.0, 0.0, 1.0]), "visqol") + differences(
        scores(a=[1.0, 1.0], b=[0.5, 0.5]), "visqol"
    )
    both = replace(
        difference_grid(result[:1], "visqol"),
        data=tuple(one for half in result for one in difference_grid([half], "visqol").data),
    )
    first, second = csv.DictReader(io.StringIO(comma_separated(both)))
    assert list(first) == [
        "metric", "category", "a", "b", "n", "mean", "ci95_low", "ci95_high", "win_rate", "p", "p_holm", "median",
        "p_wilcoxon", "clusters",
    ]  # fmt: skip
    assert float(first["mean"]) == pytest.approx(1 / 6, abs=1e-15)
    assert float(first["ci95_low"]) < 0
    assert (second["mean"], second["ci95_low"]) == ("0.5", "")


def test_mean_and_median_that_disagree_are_warned_of():
    """36 files +0.2 and four -3: mean -4.8 / 40 = -0.12, median +0.2.

    Wilcoxon's ranks are 18.5 for each +0.2 and 37 to 40 for the -3, a sum of 154 of 820: p < 0.001 and "better", though
    the mean is worse. The standard error is 0.96 / sqrt(40) = 0.15, so t = -0.8 and p is 0.4 or more.
    """
    gaps = [0.2] * 36 + [-3.0] * 4
    (result,) = differences(scores(a=gaps, b=[0.0] * 40), "visqol")
    assert (result.mean, result.median) == (pytest.approx(-0.12), 0.2)
    assert result.p_wilcoxon < 0.001
    assert 0.3 < result.p < 0.8
    assert result.ci95_low < 0 < result.ci95_high
    (warning,) = (note for note in difference_grid([result], "visqol").notes if note.startswith("Warning"))
    assert "the mean difference is −0.120 and the median +0.200, so a few files decide the mean" in warning
    assert warning.endswith("has p < 0.001.")


def test_files_of_one_talker_are_one_unit():
    """12 talkers with 5 files each; talkers differ by 1, files by 0.3: 95 % cover by talker, far fewer by file."""
    rng = np.random.default_rng(6)
    gaps = np.repeat(rng.normal(0, 1, (12, 1000)), 5, axis=0) + rng.normal(0, 0.3, (60, 1000))
    talkers = Stratum(gaps.reshape(12, 5, 1000).sum(axis=1), np.full((12, 1000), 5.0))
    by_talker = means([talkers], resamples=1000)
    assert coverage(gaps) < 0.75
    assert 0.925 < np.mean((by_talker.low <= 0) & (by_talker.high >= 0)) < 0.97

    groups = {f"speech/{index}.wav": str(index // 5) for index in range(60)}
    (result,) = differences(scores(a=gaps[:, 0], b=np.zeros(60)), "visqol", clusters=groups)
    assert (result.n, result.clusters) == (60, 12)
    first = means([Stratum(talkers.sums[:, :1], talkers.counts[:, :1])])
    expected = (first.low[0], first.high[0], first.p[0])
    assert (result.ci95_low, result.ci95_high, result.p) == pytest.approx(expected)
    notes = difference_grid([result], "visqol").notes
    assert "Groups of files that are not independent count as one unit (speech: 12)." in notes


def test_the_average_over_categories_weights_them_alike():
    """Speech: gaps 1, 1, 1, 2; music: 4 and 6. All files: 15 / 6 = 2.5; macro: (1.25 + 5) / 2 = 3.125."""
    rows = pd.concat(
        [scores("si_snr", a=[1.0, 1, 1, 2], b=[0.0] * 4), scores("si_snr", "music", a=[4.0, 6], b=[0.0] * 2)]
    )
    result = {one.category: one for one in differences(rows, "si_snr", macro=True)}
    assert list(result) == ["speech", "music", "all", "macro"]
    assert (result["all"].mean, result["macro"].mean) == (2.5, 3.125)
    assert (result["macro"].p < 0.05) == (result["macro"].ci95_low > 0)
    assert any(note.startswith("macro: the average") for note in difference_grid(list(result.values()), "si_snr").notes)


def test_the_interval_of_two_files_is_a_dash():
    """Its t is 12.7, which printed a difference of 10 as "-188 to +168"."""
    two, three = (differences(scores(a=[2.0, 5.0, 1.0][:n], b=[1.0, 1.0, 1.0][:n]), "visqol") for n in (2, 3))
    assert difference_grid(two, "visqol").rows[0][5] == "–"
    assert " to " in difference_grid(three, "visqol").rows[0][5]


def test_warnings_of_many_pairs_are_counted():
    """Eleven systems against a twelfth: mean and median of each difference have opposite signs."""
    gaps = [0.2] * 36 + [-3.0] * 4
    many = {f"s{index}": [3.0 + gap + index / 1000 for gap in gaps] for index in range(11)}
    notes = difference_grid(differences(scores(**many, z=[3.0] * 40), "visqol", against="z"), "visqol").notes
    assert sum(note.startswith("Warning: ") for note in notes) == 5
    assert "In 6 more pairs too, mean and median have opposite signs." in notes

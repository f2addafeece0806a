"""Tests between conditions and reliability of listeners against published examples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from statsmodels.stats.multitest import multipletests

from earmark.eval.statistics.signed_rank import signed_rank_p
from earmark.mushra_app.analysis.reliability import agreement, krippendorff_alpha
from earmark.mushra_app.analysis.significance import friedman, holm, listener_means, rank_biserial
from earmark.mushra_app.ratings.importers import read_ratings

# Hollander and Wolfe (1973), p. 140: 22 players round first base in three ways, seconds.
ROUNDING_TIMES = """
5.40 5.50 5.55 5.85 5.70 5.75 5.20 5.60 5.50 5.55 5.50 5.40 5.90 5.85 5.70 5.45 5.55 5.60 5.40 5.40 5.35 5.45 5.50 5.35
5.25 5.15 5.00 5.85 5.80 5.70 5.25 5.20 5.10 5.65 5.55 5.45 5.60 5.35 5.45 5.05 5.00 4.95 5.50 5.50 5.40 5.45 5.55 5.50
5.55 5.55 5.35 5.45 5.50 5.55 5.50 5.45 5.25 5.65 5.60 5.40 5.70 5.65 5.55 6.30 6.30 6.25
"""

# Darwin's maize, cross- minus self-fertilised, eighths of an inch (Fisher 1935, The Design of Experiments, section 17).
MAIZE = np.array([6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75], dtype=float)

# Krippendorff (2011), section E: four observers, twelve units, missing values.
OBSERVERS = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""


def table(text: str) -> pd.DataFrame:
    """Ratings from a grid of scores with a row per listener and a column per item; "." is a missing rating."""
    rows = [
        (f"L{listener}", f"i{item}", "x", float(score))
        for listener, line in enumerate(text.split("\n")[1:-1])
        for item, score in enumerate(line.split())
        if score != "."
    ]
    return pd.DataFrame(rows, columns=["listener", "item", "condition", "score"])


def test_friedman_on_a_published_example():
    """chi-squared = 11.143 with 2 degrees of freedom, p = 0.003805 (also the example of R's friedman.test)."""
    result = friedman(pd.DataFrame(np.array(ROUNDING_TIMES.split(), dtype=float).reshape(22, 3)))
    assert result is not None
    assert result.statistic == pytest.approx(11.143, abs=5e-4)
    assert result.p == pytest.approx(0.003805, abs=5e-7)
    assert (result.listeners, result.conditions) == (22, 3)
    assert result.kendall_w == pytest.approx(11.143 / (22 * 2), abs=1e-4)


@pytest.mark.parametrize("means", [np.ones((5, 3)), np.arange(6.0).reshape(3, 2), np.arange(3.0).reshape(1, 3)])
def test_friedman_is_none_if_there_is_nothing_to_rank(means):
    assert friedman(pd.DataFrame(means)) is None


def test_wilcoxon_on_a_published_example():
    """Ranks of the two negative differences: 48 is the 10th, 67 the 14th: 24 of 120; exact p = 0.0413 (tables)."""
    assert signed_rank_p(MAIZE) == pytest.approx(0.0413, abs=5e-5)
    assert rank_biserial(MAIZE) == pytest.approx((120 - 2 * 24) / 120)
    assert signed_rank_p(np.zeros(2)) == 1
    assert np.isnan(signed_rank_p(MAIZE[:1]))


def test_holm_worked_by_hand():
    """Four p values: 0.005 x 4 = 0.02, 0.01 x 3 = 0.03, 0.03 x 2 = 0.06, 0.04 x 1 = 0.04, raised to 0.06 before it."""
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([np.nan, 0.9, 0.8]), [np.nan, 1, 1])


@pytest.mark.parametrize("seed", range(5))
def test_holm_equals_that_of_statsmodels(seed):
    p = np.random.default_rng(seed).beta(0.3, 2, 28)
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-12)


def test_rank_biserial():
    assert rank_biserial(np.array([1.0, 2, 3])) == 1
    assert rank_biserial(np.array([-1.0, -2, 0])) == -1
    assert rank_biserial(np.array([1.0, -1])) == 0
    assert np.isnan(rank_biserial(np.zeros(3)))


def test_one_listener_is_one_observation_over_complete_trials():
    """A: items 1 and 2 are complete, (80 + 60) / 2 and (40 + 20) / 2; item 3 lacks y. B has no complete trial."""
    rows = [("A", "1", "x", 80), ("A", "1", "y", 40), ("A", "2", "x", 60), ("A", "2", "y", 20), ("A", "3", "x", 0),
            ("B", "1", "x", 5)]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["listener", "item", "condition", "score"]).astype({"score": float})
    assert listener_means(frame).to_dict("index") == {"A": {"x": 70, "y": 30}}


def test_only_trials_with_all_compared_conditions_count():
    """z lacks item 2, which counts as long as z is not compared."""
    rows = [("A", "1", name, 10.0) for name in "xyz"] + [("A", "2", name, 30.0) for name in "xy"]
    frame = pd.DataFrame(rows, columns=["listener", "item", "condition", "score"])
    assert listener_means(frame).loc["A"].to_list() == [10, 10, 10]
    assert listener_means(frame, ["x", "y"]).loc["A"].to_list() == [20, 20]


def test_real_file_against_scipy(shared):
    frame = read_ratings(shared / "mushra/ambisonics_webmushra/webmushra_results.csv").frame
    means = frame.groupby(["condition", "listener"])["score"].mean().unstack("listener")
    result = friedman(listener_means(frame))
    assert result is not None
    expected = scipy.stats.friedmanchisquare(*means.to_numpy())
    assert (result.statistic, result.p) == pytest.approx((expected.statistic, expected.pvalue))


def test_krippendorff_alpha_on_the_published_example():
    assert krippendorff_alpha(table(OBSERVERS)) == pytest.approx(0.849, abs=5e-4)


def test_alpha_at_its_limits():
    assert krippendorff_alpha(table("\n1 50 90\n1 50 90\n")) == 1
    assert np.isnan(krippendorff_alpha(table("\n50 50\n50 50\n")))
    assert np.isnan(krippendorff_alpha(table("\n50 . 1\n. 20 .\n")))
    noise = np.random.default_rng(0).uniform(0, 100, (40, 50))
    listener, item = (index.ravel() for index in np.indices(noise.shape))
    frame = pd.DataFrame({"listener": listener, "item": item, "condition": "x", "score": noise.ravel()})
    assert krippendorff_alpha(frame) == pytest.approx(0, abs=0.02)


def test_agreement_against_numpy():
    rng = np.random.default_rng(4)
    scores = rng.uniform(20, 80, 10) + rng.normal(0, 12, (5, 10))
    scores[4] = 100 - scores[4]
    text = "\n" + "\n".join(" ".join(str(score) for score in row) for row in scores) + "\n"
    correlation = agreement(table(text))
    for listener in range(5):
        rest = np.delete(scores, listener, axis=0).mean(axis=0)
        assert correlation[f"L{listener}"] == pytest.approx(np.corrcoef(scores[listener], rest)[0, 1])
    assert correlation["L4"] < 0


def test_agreement_is_nan_if_there_is_nothing_to_compare():
    correlation = agreement(table("\n50 50 50 .\n10 20 30 .\n20 30 . 7\n"))
    assert np.isnan(correlation["L0"])  # constant
    assert np.isnan(correlation["L2"])  # two shared scores only
    assert np.isfinite(correlation["L1"])

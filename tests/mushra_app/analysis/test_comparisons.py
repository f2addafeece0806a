"""Differences between conditions: one estimand, trials per pair, families, and published ratings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from statsmodels.stats.multitest import multipletests

from earmark.mushra_app.analysis.comparisons import compare, family_of, too_few_listeners
from earmark.mushra_app.ratings.importers import read_ratings
from earmark.mushra_app.ratings.screening import screen
from earmark.mushra_app.ratings.statistics import summarise


def table(*rows: tuple[str, str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["listener", "item", "condition", "score"]).astype({"score": float})


def grid(scores: np.ndarray, names: str = "abcdefgh") -> pd.DataFrame:
    """Ratings from scores [listeners, conditions, items]; NaN is no rating."""
    listener, condition, item = (index.ravel() for index in np.indices(scores.shape))
    frame = pd.DataFrame({"listener": listener, "item": item, "condition": [names[one] for one in condition],
                          "score": scores.ravel()})  # fmt: skip
    return frame.dropna().astype({"listener": "str", "item": "str"})


def test_means_and_differences_weight_trials_alike():
    """Ten items A = 80, B = 70 by one listener, one item each A = 50, B = 60 by two others.

    A is (800 + 100) / 12 = 75 and B (700 + 120) / 12 = 68.33; A is better by 6.67. With one weight per listener it
    would be (10 - 10 - 10) / 3 = -3.33.
    """
    frame = table(
        *[("one", f"i{item}", name, score) for item in range(10) for name, score in (("A", 80), ("B", 70))],
        *[(who, "i0", name, score) for who in ("two", "three") for name, score in (("A", 50), ("B", 60))],
    )
    means = summarise(frame).set_index("condition")["mean"]
    assert means.to_dict() == pytest.approx({"A": 75, "B": 68.333}, abs=1e-3)
    (row,) = compare(frame, ["A", "B"]).to_dict("records")
    assert (row["better"], row["worse"], row["trials"]) == ("A", "B", 12)
    assert row["difference"] == pytest.approx(6.667, abs=1e-3)
    assert row["listener_difference"] == pytest.approx(-10 / 3)
    # Sums of the listeners 100, -10, -10: |100 -+ 10 -+ 10| is at least 80 in all patterns.
    assert row["p"] == 1
    assert (row["crossed95_low"], row["crossed95_high"]) == (-100, 100)  # no difference is larger


def test_a_condition_missing_in_some_trials_leaves_them_to_other_pairs():
    """20 listeners x 12 items; X lacks six, where A - B is 18.25; it is 0.05 elsewhere: (18.25 + 0.05) / 2 = 9.15."""
    scores = np.full((20, 3, 12), 60.45)
    scores[:, 0, :6] += 18.25
    scores[:, 0, 6:] += 0.05
    scores[:, 2, :6] = np.nan
    frame = grid(scores, "ABX")
    means = summarise(frame).set_index("condition")["mean"]
    assert means[["A", "B"]].to_dict() == pytest.approx({"A": 69.6, "B": 60.45})
    pairs = compare(frame, "ABX").set_index(["better", "worse"])
    assert pairs.loc[("A", "B"), ["difference", "trials"]].to_list() == pytest.approx([9.15, 240])
    assert pairs.loc[("A", "X"), ["difference", "trials"]].to_list() == pytest.approx([0.05, 120])


def test_incomplete_blocks_are_compared():
    """Each trial holds two of three conditions, so no listener rated all of an item; every pair has its trials."""
    rng = np.random.default_rng(0)
    scores = np.array([70.0, 60, 40])[:, np.newaxis] + rng.normal(0, 3, (12, 3, 6))
    for item in range(6):
        scores[:, item % 3, item] = np.nan
    pairs = compare(grid(scores), "abc")
    assert pairs["trials"].to_list() == [24, 24, 24]
    assert pairs["difference"].to_list() == pytest.approx([10, 30, 20], abs=2)
    assert (pairs["p_holm"] < 0.05).all()


def test_a_pair_that_nobody_rated_together_is_left_out():
    assert compare(table(("A", "1", "x", 10), ("A", "2", "y", 20)), "xy").empty


def test_sign_flips_of_listeners_by_hand():
    """Listeners' sums 6, 4, 2, -2 (two items each): of 16 patterns, |sum| >= 10 for +-14, +-10 (twice): 6 of 16."""
    gaps = np.array([3.0, 2, 1, -1])
    scores = 50 + np.stack([gaps, np.zeros(4)], axis=1)[:, :, np.newaxis] * np.ones(2)
    (row,) = compare(grid(scores), "ab").to_dict("records")
    assert (row["difference"], row["p"]) == (1.25, 6 / 16)
    assert row["p_wilcoxon"] == pytest.approx(scipy.stats.wilcoxon(gaps).pvalue)
    reach = scipy.stats.t.ppf(0.975, 3) * gaps.std(ddof=1) / 2
    assert (row["ci95_low"], row["ci95_high"]) == pytest.approx((1.25 - reach, 1.25 + reach))
    assert row["rank_biserial"] == pytest.approx((4 + 3 + 1.5 - 1.5) / 10)


def test_rounding_errors_count_as_ties():
    """0.1 + 0.2 and 0.3 differ by 6e-17."""
    scores = np.stack([np.full((8, 2), 0.1 + 0.2), np.full((8, 2), 0.3)], axis=1)
    (row,) = compare(grid(scores), "ab").to_dict("records")
    assert (row["difference"], row["p"], row["p_wilcoxon"]) == (0, 1, 1)


def test_reference_and_anchors_are_outside_the_family():
    """Three systems make three pairs; Holm multiplies the smallest p by 3 and not by 10."""
    rng = np.random.default_rng(1)
    scores = np.array([100.0, 70, 60, 50, 20])[:, np.newaxis] + rng.normal(0, 4, (12, 5, 4))
    roles = {"a": "hidden reference", "b": "system", "c": "system", "d": "system", "e": "low anchor"}
    assert family_of(roles) == ["b", "c", "d"]
    pairs = compare(grid(scores), family_of(roles))
    family = pairs[pairs["in_family"]]
    assert (len(pairs), len(family)) == (10, 3)
    assert pairs.loc[~pairs["in_family"], ["p_holm", "p_crossed_holm"]].isna().all(axis=None)
    for name in ("p", "p_crossed", "p_wilcoxon"):
        np.testing.assert_allclose(family[f"{name}_holm"], multipletests(family[name], method="holm")[1])
    assert len(family_of(roles, everything=True)) == 5


def test_eight_listeners_cannot_decide_28_pairs():
    """28 x 2 / 2^8 = 0.219; with 10 listeners 0.0547, with 11 0.0273."""
    scores = np.arange(80.0, 0, -10)[:, np.newaxis] + np.random.default_rng(0).normal(0, 0.1, (8, 8, 3))
    pairs = compare(grid(scores), "abcdefgh")
    assert pairs["p_holm"].min() == pytest.approx(0.21875)
    assert too_few_listeners(pairs) == (
        "Too few listeners for significance for these items: with 8 listeners the smallest p after Holm's correction "
        "for 28 pairs is 0.219, whatever the ratings. At least 11 listeners are needed. The t test for other items too "
        "has no such bound, because it takes the differences as normally distributed."
    )
    assert too_few_listeners(compare(grid(scores[:, :3]), "abc")) == ""


def test_published_ratings_have_15_differences_that_hold_for_other_items(shared):
    """Of 28 pairs of the ambisonics test, 26 differ for these items, and 15 in a crossed analysis."""
    ratings = read_ratings(shared / "mushra/ambisonics_webmushra/webmushra_results.csv", low_anchor="Mono")
    pairs = compare(screen(ratings, "paper").kept, family_of(ratings.roles, everything=True))
    assert len(pairs) == 28
    assert [int((pairs[name] < 0.05).sum()) for name in ("p_holm", "p_wilcoxon_holm", "p_crossed_holm")] == [26, 26, 15]
    means = screen(ratings, "paper").kept.groupby(["condition", "listener"])["score"].mean().unstack("listener")
    for row in pairs.to_dict("records"):
        gaps = (means.loc[row["better"]] - means.loc[row["worse"]]).round(9)
        assert row["difference"] == pytest.approx(gaps.mean())
        assert row["p_wilcoxon"] == pytest.approx(scipy.stats.wilcoxon(gaps).pvalue)

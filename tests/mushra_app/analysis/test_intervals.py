"""Bootstrap of listeners and mixed model against Student's t, scipy and the analysis of variance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from earmark.mushra_app.analysis.intervals import cluster_bootstrap, listeners_to_halve
from earmark.mushra_app.analysis.mixed_model import fit
from earmark.mushra_app.ratings.importers import read_ratings
from earmark.mushra_app.ratings.statistics import summarise


def balanced(scores: np.ndarray) -> pd.DataFrame:
    """Table of ratings from scores [listeners, conditions, items]."""
    listener, condition, item = (index.ravel() for index in np.indices(scores.shape))
    return pd.DataFrame(
        {
            "listener": [f"L{number}" for number in listener],
            "item": [f"i{number}" for number in item],
            "condition": [f"c{number}" for number in condition],
            "score": scores.ravel(),
        }
    )


def test_bootstrap_of_a_balanced_test_equals_students_t_over_the_listeners_means():
    """For normal means of 25 listeners, expanded percentiles approximate t(0.975, 24) s / sqrt(25)."""
    rng = np.random.default_rng(1)
    scores = 50 + rng.normal(0, 10, (25, 1, 1)) + rng.normal(0, 3, (25, 2, 8))
    intervals = cluster_bootstrap(balanced(scores), replicates=20_000).set_index("condition")
    for index in range(2):
        means = scores[:, index].mean(axis=1)
        low, high = scipy.stats.t.interval(0.95, 24, loc=means.mean(), scale=scipy.stats.sem(means))
        assert intervals.loc[f"c{index}", "boot95_low"] == pytest.approx(low, abs=0.06 * (high - low))
        assert intervals.loc[f"c{index}", "boot95_high"] == pytest.approx(high, abs=0.06 * (high - low))


def test_bootstrap_of_many_listeners_equals_that_of_scipy():
    """With 400 listeners the expansion is 0.3 %, so the interval equals scipy's percentile interval of the means."""
    scores = np.random.default_rng(2).gamma(2, 10, (400, 1, 5))
    (row,) = cluster_bootstrap(balanced(scores), replicates=10_000).to_dict("records")
    reference = scipy.stats.bootstrap(
        (scores.mean(axis=(1, 2)),), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert row["boot95_low"] == pytest.approx(reference.low, abs=0.1)
    assert row["boot95_high"] == pytest.approx(reference.high, abs=0.1)


def test_bootstrap_is_wider_than_the_papers_interval_if_listeners_differ():
    """Ten listeners, each with one score for 20 items: the 200 ratings carry no more information than 10."""
    scores = np.repeat(np.linspace(30, 70, 10)[:, np.newaxis, np.newaxis], 20, axis=2)
    frame = balanced(scores)
    (paper,), (boot,) = summarise(frame).to_dict("records"), cluster_bootstrap(frame).to_dict("records")
    ratio = (boot["boot95_high"] - boot["boot95_low"]) / (paper["ci95_high"] - paper["ci95_low"])
    assert 3.5 < ratio < 5.5  # sqrt(20) = 4.5


def test_bootstrap_of_constant_scores_has_width_zero():
    frame = pd.DataFrame({"listener": ["a"] * 3 + ["b"] * 3, "condition": "x", "score": [40.0] * 6})
    (row,) = cluster_bootstrap(frame).to_dict("records")
    assert (row["boot95_low"], row["boot95_high"]) == (40, 40)


def test_bootstrap_has_a_row_per_condition_and_category():
    frame = balanced(np.random.default_rng(0).uniform(0, 100, (6, 2, 4)))
    frame["category"] = np.where(frame["item"].isin(["i0", "i1"]), "music", "speech")
    intervals = cluster_bootstrap(frame)
    assert sorted(zip(intervals["category"], intervals["condition"], strict=True)) == [
        (category, condition) for category in ("all", "music", "speech") for condition in ("c0", "c1")
    ]
    assert (intervals["boot95_low"] < intervals["boot95_high"]).all()


def test_one_listener_has_no_bootstrap():
    intervals = cluster_bootstrap(balanced(np.full((1, 1, 5), 50.0)))
    assert intervals[["boot95_low", "boot95_high"]].isna().all(axis=None)


def test_the_same_ratings_give_the_same_interval():
    frame = balanced(np.random.default_rng(0).uniform(0, 100, (5, 2, 4)))
    pd.testing.assert_frame_equal(cluster_bootstrap(frame), cluster_bootstrap(frame))


def test_listeners_to_halve():
    """With 10 listeners, t(0.975, 9) / sqrt(10) = 2.2622 / 3.1623 = 0.7154. With 32, 2.0395 / 5.6569 = 0.3605, more
    than half of it; with 33, 2.0369 / 5.7446 = 0.3546, so 23 more (tables of Student's t). For large panels it is three
    times the number of listeners.
    """
    assert listeners_to_halve(10) == 23
    assert listeners_to_halve(1) is None
    assert listeners_to_halve(10_000) == pytest.approx(30_000, rel=1e-3)


@pytest.mark.parametrize("shape", [(12, 4, 6), (8, 2, 3)])
def test_mixed_model_of_a_balanced_test_equals_the_analysis_of_variance(shape):
    """In a balanced design, REML gives the variance components of the mean squares if those are positive.

    E MS(listener) = s2 + I lc2 + C I l2, E MS(listener x condition) = s2 + I lc2, E MS(error) = s2; the variance of a
    condition's mean is (l2 + lc2) / L + s2 / (L I).
    """
    listeners, conditions, items = shape
    rng = np.random.default_rng(3)
    y = 50 + rng.normal(0, 8, (listeners, 1, 1)) + rng.normal(0, 6, (listeners, conditions, 1))
    y = y + rng.normal(0, 5, (1, 1, items)) + rng.normal(0, 4, shape) + np.linspace(-20, 20, conditions)[:, np.newaxis]
    by_listener, by_item, by_both = y.mean((1, 2)), y.mean((0, 1)), y.mean(2)
    interaction = by_both - by_listener[:, np.newaxis] - y.mean((0, 2)) + y.mean()
    error = y - by_both[:, :, np.newaxis] - by_item + y.mean()
    ms_listener = conditions * items * by_listener.var(ddof=1)
    ms_both = items * (interaction**2).sum() / ((listeners - 1) * (conditions - 1))
    ms_error = (error**2).sum() / (y.size - listeners * conditions - (items - 1))
    listener, both = (ms_listener - ms_both) / (conditions * items), (ms_both - ms_error) / items
    half_width = scipy.stats.t.ppf(0.975, listeners - 1) * np.sqrt(
        (listener + both) / listeners + ms_error / (listeners * items)
    )

    model = fit(balanced(y))
    assert model.reason == ""
    assert model.sd_listener == pytest.approx(np.sqrt(listener), rel=5e-3)
    assert model.sd_listener_condition == pytest.approx(np.sqrt(both), rel=5e-3)
    assert model.sd_residual == pytest.approx(np.sqrt(ms_error), rel=5e-3)
    np.testing.assert_allclose(model.means["mixed_mean"], y.mean((0, 2)), rtol=1e-9)
    np.testing.assert_allclose(model.means["mixed95_high"] - model.means["mixed_mean"], half_width, rtol=5e-3)


def test_mixed_model_without_differences_between_listeners_equals_least_squares():
    """If listeners have no variance, the standard error of a mean is sqrt(s2 / n) with the residual variance s2."""
    y = np.random.default_rng(0).uniform(0, 100, (6, 3, 4))
    error = y - y.mean((0, 2))[:, np.newaxis] - y.mean((0, 1)) + y.mean()
    half_width = scipy.stats.t.ppf(0.975, 5) * np.sqrt((error**2).sum() / (72 - 3 - 3) / 24)
    model = fit(balanced(y))
    assert model.sd_listener == pytest.approx(0, abs=0.01)
    np.testing.assert_allclose(model.means["mixed95_high"] - model.means["mixed_mean"], half_width, rtol=1e-4)


def test_mixed_model_does_not_depend_on_the_order_of_rows():
    frame = balanced(np.random.default_rng(0).uniform(0, 100, (6, 3, 4)))
    shuffled = frame.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(fit(frame).means, fit(shuffled).means, rtol=1e-6)


def test_mixed_model_corrects_for_the_difficulty_of_the_items_rated():
    """Item 0 scores 40 points higher. Condition c1 lacks most ratings of it, so its plain mean is too low."""
    rng = np.random.default_rng(5)
    frame = balanced(50 + rng.normal(0, 1, (10, 2, 4)))
    frame.loc[frame["item"] == "i0", "score"] += 40
    lacking = (frame["condition"] == "c1") & (frame["item"] == "i0") & ~frame["listener"].isin(["L0", "L1"])
    means = fit(frame[~lacking]).means.set_index("condition")["mixed_mean"]
    assert means["c1"] - means["c0"] == pytest.approx(0, abs=1)
    plain = frame[~lacking].groupby("condition")["score"].mean()
    assert plain["c1"] - plain["c0"] < -5


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (balanced(np.full((2, 2, 2), 50.0)), "three listeners"),
        (balanced(np.full((4, 2, 1), 50.0)), "two items"),
        (balanced(np.full((4, 2, 2), 50.0)), "all scores are the same"),
        (balanced(np.zeros((4, 2, 151))), "at most 150 items"),
        (balanced(np.arange(16.0).reshape(4, 2, 2)).query("(condition == 'c0') == (item == 'i0')"), "some items only"),
    ],
)
def test_a_mixed_model_that_is_not_fitted_has_a_reason(frame, reason):
    model = fit(frame)
    assert reason in model.reason
    assert model.means.empty


@pytest.mark.parametrize("file", ["ambisonics_webmushra/webmushra_results.csv", "s4_golisten/mushra.csv"])
def test_mixed_model_of_real_tests(shared, file):
    frame = read_ratings(shared / "mushra" / file).frame
    model = fit(frame)
    means = summarise(frame).set_index("condition")["mean"]
    np.testing.assert_allclose(model.means["mixed_mean"], means[model.means["condition"]], rtol=1e-6)  # balanced

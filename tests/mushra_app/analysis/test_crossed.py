"""Intervals over listeners and items against the analysis of variance, statsmodels and coverage in simulated tests."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.api as sm

from earmark.mushra_app.analysis.crossed import crossed_means, dense_sums, estimate, sums_of
from earmark.mushra_app.ratings.importers import read_ratings


def by_anova(y: np.ndarray) -> tuple[float, float] | None:
    """Variance of a mean and its degrees of freedom, y [listeners, items]; None if a component is not positive.

    The variance of the mean is (MS listeners + MS items - MS residual) / (L I); each mean square enters the degrees of
    freedom with its own, L - 1, I - 1 and (L - 1)(I - 1).
    """
    listeners, items = y.shape
    ms_l, ms_i = items * y.mean(1).var(ddof=1), listeners * y.mean(0).var(ddof=1)
    residual = y - y.mean(1, keepdims=True) - y.mean(0) + y.mean()
    ms_e = (residual**2).sum() / ((listeners - 1) * (items - 1))
    if min(ms_l, ms_i) <= ms_e:
        return None
    total = ms_l + ms_i - ms_e
    degrees = total**2 / (ms_l**2 / (listeners - 1) + ms_i**2 / (items - 1) + ms_e**2 / ((listeners - 1) * (items - 1)))
    return total / y.size, degrees


def grids(path) -> dict[str, np.ndarray]:
    """Condition -> scores [listeners, items] of a complete test."""
    frame = read_ratings(path).frame
    return {
        str(name): cell.pivot_table(index="listener", columns="item", values="score").to_numpy()
        for name, cell in frame.groupby("condition")
    }


def test_ambisonics_ratings_equal_the_analysis_of_variance(shared):
    """22 listeners x 13 items, 8 conditions: every mean and every difference whose components are positive."""
    scores = list(grids(shared / "mushra/ambisonics_webmushra/webmushra_results.csv").values())
    compared = 0
    for y in (*scores, *(a - b for a, b in itertools.combinations(scores, 2))):
        if (expected := by_anova(y)) is None:
            continue
        variance, degrees = expected
        result = estimate(dense_sums(y))
        assert (result.mean, result.error**2, result.degrees) == pytest.approx((y.mean(), variance, degrees), rel=1e-9)
        reach = scipy.stats.t.ppf(0.975, degrees) * variance**0.5
        assert result.interval() == pytest.approx((y.mean() - reach, y.mean() + reach), rel=1e-9)
        compared += 1
    assert compared > 25


@pytest.mark.parametrize("file", ["ambisonics_webmushra/webmushra_results.csv", "s4_golisten/mushra.csv"])
def test_published_ratings_equal_reml_by_statsmodels(shared, file):
    """Crossed random effects of listener and item, one group, as variance components: three digits of the error."""
    scores = list(grids(shared / "mushra" / file).values())
    y = scores[0] - scores[1] if "ambisonics" in file else scores[0]
    listener, item = (index.ravel() for index in np.indices(y.shape))
    data = pd.DataFrame({"y": y.ravel(), "listener": listener, "item": item, "one": 1})
    fitted = sm.MixedLM.from_formula(
        "y ~ 1", data, groups="one", re_formula="0", vc_formula={"listener": "0 + C(listener)", "item": "0 + C(item)"}
    ).fit(reml=True, method=["powell", "lbfgs"])
    result = estimate(dense_sums(y))
    components = dict(zip(fitted.model.exog_vc.names, fitted.vcomp, strict=True))
    assert result.error == pytest.approx(fitted.bse["Intercept"], rel=2e-3)
    assert (result.listener, result.item) == pytest.approx(
        (components["listener"], components["item"]), rel=5e-3, abs=0.01
    )
    assert result.residual == pytest.approx(fitted.scale, rel=2e-3)


def test_incomplete_design_by_hand():
    """Henderson's method 1 in full matrices: the expectation of a quadratic form y'Ay is the trace of A times V."""
    rng = np.random.default_rng(3)
    listener, item = np.nonzero(rng.random((7, 9)) < 0.6)
    y = rng.normal(50, 10, len(listener)) + 6 * rng.normal(size=7)[listener] + 5 * rng.normal(size=9)[item]
    n = len(y)
    zl, zi = np.eye(7)[listener], np.eye(9)[item]
    mean = np.full((n, n), 1 / n)
    forms = [zl @ np.diag(1 / zl.sum(0)) @ zl.T - mean, zi @ np.diag(1 / zi.sum(0)) @ zi.T - mean, np.eye(n) - mean]
    parts = [zl @ zl.T, zi @ zi.T, np.eye(n)]
    solved = np.linalg.solve([[np.trace(a @ v) for v in parts] for a in forms], [y @ a @ y for a in forms])
    assert (solved > 0).all()
    variance = sum(size * v.sum() for size, v in zip(solved, parts, strict=True)) / n**2
    for sums in (sums_of(y, listener, item), dense_sums(dense(y, listener, item))):
        result = estimate(sums)
        assert (result.listener, result.item, result.residual) == pytest.approx(tuple(solved))
        assert (result.mean, result.error**2) == pytest.approx((y.mean(), variance))


def dense(y, listener, item) -> np.ndarray:
    grid = np.full((listener.max() + 1, item.max() + 1), np.nan)
    grid[listener, item] = y
    return grid


def test_without_variance_between_items_it_is_students_t_over_listeners():
    """If the items' mean square is below the error's, the variance is that of the listeners' means, df = L - 1."""
    rng = np.random.default_rng(0)
    y = 50 + rng.normal(0, 8, (10, 1)) + rng.normal(0, 5, (10, 6))
    y = y - y.mean(0) + 50  # no difference between items
    residual = y - y.mean(1, keepdims=True) - y.mean(0) + y.mean()
    result = estimate(dense_sums(y))
    assert result.item == 0
    assert (residual**2).sum() / 45 == pytest.approx(result.residual)
    assert result.error == pytest.approx(y.mean(1).std(ddof=1) / 10**0.5)
    assert result.degrees == pytest.approx(9)


def test_limits():
    one = estimate(dense_sums(np.array([[50.0, 60, 70]])))  # one listener
    assert np.isnan(one.error)
    assert np.isnan(one.interval()).all()
    same = estimate(dense_sums(np.full((5, 4), 100.0)))
    assert same.interval() == (100, 100)
    assert np.isnan(same.p())
    assert np.isnan(estimate(dense_sums(np.full((3, 3), np.nan))).mean)


def test_a_bound_never_leaves_the_scale():
    rng = np.random.default_rng(1)
    listener, item = (index.ravel() for index in np.indices((4, 3)))
    score = np.minimum(100, 97 + rng.normal(0, 6, 12))
    frame = pd.DataFrame({"listener": listener, "item": item, "condition": "x", "score": score})
    (row,) = crossed_means(frame).to_dict("records")
    assert row["crossed95_high"] == 100


@pytest.mark.parametrize(("listeners", "items"), [(10, 8), (20, 12)])
def test_coverage_with_other_listeners_and_items(listeners, items):
    """2,000 normal tests: 95 % hold the true mean, standard error 0.5 %."""
    rng = np.random.default_rng(listeners)
    shape = (2000, listeners, items)
    y = rng.normal(0, 8, (2000, listeners, 1)) + rng.normal(0, 7, (2000, 1, items)) + rng.normal(0, 10, shape)
    low, high = estimate(dense_sums(y)).interval()
    assert 0.935 < np.mean((low <= 0) & (high >= 0)) < 0.965

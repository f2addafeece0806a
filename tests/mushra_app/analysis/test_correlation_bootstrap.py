"""Bootstrap of correlations over conditions and items: weights against repeated rows, and its width."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from earmark.mushra_app.analysis.correlation_bootstrap import _ranks, intervals, weighted_pearson


def test_a_weight_is_a_repetition():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, (2, 5, 12)).astype(float)  # with ties
    weights = rng.integers(0, 4, (5, 12)).astype(float)
    pearson = weighted_pearson(x, y, weights)
    spearman = weighted_pearson(_ranks(x, weights), _ranks(y, weights), weights)
    for row in range(5):
        times = weights[row].astype(int)
        repeated = np.repeat(x[row], times), np.repeat(y[row], times)
        assert pearson[row] == pytest.approx(np.corrcoef(*repeated)[0, 1])
        assert spearman[row] == pytest.approx(spearmanr(*repeated).statistic)


def points(rng, conditions, items, noise):
    """Metric and score that share a term of the condition."""
    quality = rng.normal(0, 1, (conditions, 1))
    value, score = (quality + rng.normal(0, noise, (conditions, items)) for _ in range(2))
    condition, item = np.indices((conditions, items))
    return value.ravel(), score.ravel(), condition.ravel(), item.ravel()


def test_six_conditions_say_less_than_their_180_points():
    """Fisher's interval over 180 points is about 0.3 wide for r = 0; six conditions leave it much wider."""
    value, score, condition, item = points(np.random.default_rng(3), 6, 30, 1.5)
    (low, high), _ = intervals(value, score, condition, item, over_conditions=False)
    r = np.corrcoef(value, score)[0, 1]
    fisher = np.tanh(np.arctanh(r) + 1.96 / np.sqrt(177)) - np.tanh(np.arctanh(r) - 1.96 / np.sqrt(177))
    assert low < r < high
    assert high - low > 1.4 * fisher


def test_over_conditions_and_too_few():
    value, score, condition, item = points(np.random.default_rng(2), 12, 20, 0.3)
    (low, high), (rank_low, rank_high) = intervals(value, score, condition, item, over_conditions=True)
    assert 0.5 < low < high <= 1
    assert 0.3 < rank_low < rank_high <= 1
    three = condition < 3
    assert np.isnan(intervals(value[three], score[three], condition[three], item[three], over_conditions=True)).all()

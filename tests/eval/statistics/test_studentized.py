"""Bootstrap-t of few values, against all resamples with their exact probabilities."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from earmark.eval.statistics.studentized import Stratum, means


def test_eight_values_against_all_their_resamples():
    """Eight values have 6,435 different resamples, the multisets of eight, whose multinomial probabilities are known.

    In this set the 2.5 and 97.5 % quantiles of the exact distribution give -0.3786 to -0.1797, and p is 0.000637, where
    Student's t test has 0.000112. Among 10,000 random resamples, 3.2 are expected beyond the statistic, and more than 9
    with a probability of 0.1 %.
    """
    values = np.array([-0.1, -0.2, -0.25, -0.3, -0.3, -0.35, -0.4, -0.42])
    n, mean = len(values), values.mean()
    error = values.std(ddof=1) / math.sqrt(n)
    bars = np.array(list(itertools.combinations(range(2 * n - 1), n - 1)))
    counts = np.diff(np.pad(bars, ((0, 0), (1, 1)), constant_values=(-1, 2 * n - 1))) - 1
    assert counts.shape == (6435, n)
    weights = stats.multinomial.pmf(counts, n, np.full(n, 1 / n))
    centred = values - mean
    resampled = counts @ centred / n
    deviation = np.sqrt(np.maximum(counts @ centred**2 - n * resampled**2, 0) / (n - 1))
    varied = deviation > 1e-9
    statistic, weights = (resampled[varied] / deviation[varied] * math.sqrt(n)), weights[varied] / weights[varied].sum()
    order = np.argsort(statistic)
    low, high = np.interp([0.025, 0.975], np.cumsum(weights[order]), statistic[order])
    reach = stats.t.ppf(0.975, n - 1)
    result = means([Stratum(values[:, np.newaxis], np.ones((n, 1)))])
    assert result.low[0] == pytest.approx(mean - max(high, reach) * error, abs=1e-3)
    assert result.high[0] == pytest.approx(mean - min(low, -reach) * error, abs=1e-3)
    exact = 2 * weights[statistic <= mean / error].sum()
    assert exact == pytest.approx(0.000637, abs=1e-6)
    assert 2 * stats.t.sf(abs(mean / error), n - 1) < result.p[0] < 2 * (9 + 1) / 10_001

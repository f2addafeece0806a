"""Sign-flip test against counting by hand and scipy's permutation test."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from earmark.eval.statistics.sign_flip import EXACT_UNITS, least_p, sign_flip, units_needed
from earmark.eval.statistics.signed_rank import signed_rank_p


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, np.newaxis]


def test_patterns_counted_by_hand():
    """1, 2, 3 and -1: sum 5. Of the 16 patterns, sums of at least 5 in size are +-7 (1 each), +-5 (2 each): 6 of 16."""
    assert sign_flip(column(1, 2, 3, -1)) == [6 / 16]
    assert sign_flip(column(0.3, 0.1 + 0.2, -0.6 + 1e-16)) == [1]  # sum 0: every pattern is at least as extreme


def test_darwins_maize():
    """Fisher 1935, section 21: 1,726 of 2^15 patterns are at least as extreme as 314 eighths, p = 5.267 %."""
    maize = column(6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75)
    assert sign_flip(maize)[0] == 1726 / 2**15


@pytest.mark.parametrize("units", [10, EXACT_UNITS + 4])
def test_equals_scipy(units):
    sums = np.random.default_rng(units).normal(0.4, 1, units)
    expected = scipy.stats.permutation_test(
        (sums, np.zeros(units)), lambda x, y, axis: (x - y).mean(axis=axis), permutation_type="samples",
        n_resamples=50_000, vectorized=True, rng=np.random.default_rng(0),
    ).pvalue  # fmt: skip
    assert sign_flip(sums[:, np.newaxis])[0] == pytest.approx(expected, abs=1e-9 if units <= EXACT_UNITS else 0.006)


def test_many_units_equal_students_t():
    """For 2,000 normal differences, permuting signs and Student's t agree to three digits."""
    sums = np.random.default_rng(0).normal(0.04, 1, 2000)
    assert sign_flip(sums[:, np.newaxis])[0] == pytest.approx(scipy.stats.ttest_1samp(sums, 0).pvalue, rel=5e-3)
    assert sign_flip(np.zeros((2000, 1))) == [1]


def test_absent_units_do_not_count():
    sums = np.array([[1.0, 1], [np.nan, 2], [2, 3], [np.nan, -1], [np.nan, np.nan]])
    np.testing.assert_array_equal(sign_flip(sums), [1 / 2, 6 / 16])
    assert np.isnan(sign_flip(column(1, np.nan))).all()
    assert sign_flip(column(0, 0, 0)) == [1]


def test_floor_and_units_needed():
    """28 pairs of 8 listeners: 28 x 2 / 2^8 = 0.219. With 10, 0.0547; with 11, 0.0273."""
    assert 28 * least_p(8) == pytest.approx(0.219, abs=5e-4)
    assert units_needed(28) == 11
    assert units_needed(1) == 6


@pytest.mark.parametrize("size", [2, 5, 8, 14])
def test_signed_ranks_with_ties_and_zeros_equal_scipy(size):
    """Up to 13 differences scipy counts all sign patterns, beyond that it takes the normal limit."""
    gaps = np.random.default_rng(size).integers(-3, 5, size).astype(float)
    assert signed_rank_p(gaps) == pytest.approx(scipy.stats.wilcoxon(gaps).pvalue, rel=1e-12)

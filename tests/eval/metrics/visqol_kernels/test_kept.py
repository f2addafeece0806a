"""The cache of what ViSQOL computes from a reference."""

from __future__ import annotations

import numpy as np
import pytest

from earmark.eval.metrics.visqol_kernels.kept import Kept


def test_the_least_recently_used_goes_first():
    kept = Kept(most_bytes=2 * 80)  # two arrays of ten doubles
    arrays = {name: kept.get(name, lambda: np.zeros(10)) for name in "ab"}
    assert kept.get("a", lambda: np.ones(10)) is arrays["a"]
    kept.get("c", lambda: np.zeros(10))  # b goes
    assert kept.get("a", lambda: np.ones(10)) is arrays["a"]
    assert kept.get("b", lambda: np.ones(10)) is not arrays["b"]


def test_an_array_above_the_limit_pushes_nothing_out():
    kept = Kept(most_bytes=80)
    small = kept.get("small", lambda: np.zeros(10))
    assert kept.get("large", lambda: np.zeros(11)).size == 11
    assert kept.get("small", lambda: np.ones(10)) is small
    assert kept.get("large", lambda: np.ones(11)).all()


def test_arrays_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        Kept(80).get("a", lambda: np.zeros(1))[0] = 1

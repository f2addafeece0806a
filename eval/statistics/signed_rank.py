"""Wilcoxon's signed-rank test."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, wilcoxon

from earmark.eval.statistics.sign_flip import sign_flip

EXACT = 13  # most differences for which scipy counts all sign patterns if some are tied or zero


def signed_rank_p(differences: NDArray[np.floating[Any]]) -> float:
    """Two-sided p value, as by `scipy.stats.wilcoxon`; 1 if all differences are zero, NaN for fewer than two.

    With ties or zeros among at most `EXACT` differences, scipy computes its statistic anew for each of the 2^n sign
    patterns, which takes a second; here all patterns are counted at once.
    """
    if len(differences) < 2:
        return math.nan
    if not differences.any():
        return 1.0
    size = np.abs(differences)
    if len(differences) > EXACT or (len(np.unique(size)) == len(size) and size.all()):
        return float(wilcoxon(differences).pvalue)
    ranks = np.zeros(len(size))
    ranks[size > 0] = rankdata(size[size > 0])
    return float(sign_flip((np.sign(differences) * ranks)[:, np.newaxis])[0])

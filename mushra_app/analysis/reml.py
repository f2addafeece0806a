"""Restricted maximum likelihood (REML) for ratings grouped by listener and, within listeners, by condition.

The model is y = X b + u(listener) + v(listener, condition) + e, with independent normal u, v and e. REML estimates the
variances from contrasts that do not depend on b (Patterson and Thompson 1971, Biometrika 58(3)). Only the two ratios
var(u) / var(e) and var(v) / var(e) are searched numerically; b and var(e) follow in closed form (Bates et al. 2015,
J. Stat. Softw. 67(1), section 3.4). The covariance of a listener's ratings is inverted analytically, inner groups
first, so that an evaluation needs no matrix larger than X'X.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]
Labels = NDArray[np.intp]


@dataclass(frozen=True)
class Fit:
    """Estimates of the model.

    Args:
        coefficients: b, [columns of X].
        covariance: of the coefficients, [columns, columns].
        listener, cell, residual: variances of u, v and e.
    """

    coefficients: Array
    covariance: Array
    listener: float
    cell: float
    residual: float


def fit(y: Array, x: Array, listener: Labels, cell: Labels) -> Fit:
    """Fit the model by REML.

    Args:
        y: [n] ratings.
        x: [n, columns] fixed effects, of full rank, with n > columns.
        listener, cell: [n] group of each rating, numbered from 0; all ratings of a cell have one listener.

    Raises:
        ValueError: if the fixed effects explain the ratings exactly, or the search does not converge.
    """
    sums = _Sums(y, x, listener, cell)
    with np.errstate(all="ignore"):  # trial points far from the optimum may overflow
        # Nelder-Mead needs no gradient, which vanishes where a standard deviation is zero.
        result = minimize(
            lambda ratios: sums.criterion(*np.square(ratios)), x0=[0.5, 0.5], method="Nelder-Mead",
            bounds=[(0, None), (0, None)], options={"xatol": 1e-7, "fatol": 1e-9, "maxiter": 2000},
        )  # fmt: skip
    if not result.success or not np.isfinite(result.fun):
        raise ValueError("the search for the variances did not converge")
    between, within = np.square(result.x)
    coefficients, inverse, residual, _ = sums.solve(between, within)
    return Fit(coefficients, residual * inverse, between * residual, within * residual, residual)


class _Sums:
    """Sufficient statistics of the ratings: sums over cells, grouped by the number of ratings in a cell."""

    def __init__(self, y: Array, x: Array, listener: Labels, cell: Labels) -> None:
        joint = np.column_stack([x, y])
        self.degrees = len(y) - x.shape[1]
        self.total = joint.T @ joint
        size = np.bincount(cell)
        order = np.argsort(cell, kind="stable")
        starts = np.concatenate([[0], np.cumsum(size)[:-1]])
        cell_sums = np.add.reduceat(joint[order], starts, axis=0)
        owner = listener[order][starts]
        listeners = owner.max() + 1
        self.sizes = np.unique(size)
        self.products: list[Array] = []  # sum over cells of s s', with s the sums of a cell
        self.listener_sums: list[Array] = []
        self.counts: list[Labels] = []  # cells of each listener
        for n in self.sizes:
            chosen = cell_sums[size == n]
            per_listener = np.zeros((listeners, joint.shape[1]))
            np.add.at(per_listener, owner[size == n], chosen)
            self.products.append(chosen.T @ chosen)
            self.listener_sums.append(per_listener)
            self.counts.append(np.bincount(owner[size == n], minlength=listeners))

    def solve(self, between: float, within: float) -> tuple[Array, Array, float, float]:
        """Coefficients, inverse of X' H^-1 X, variance of e, and log det H + log det(X' H^-1 X).

        H is the covariance of y over var(e), with the variance ratios `between` listeners and `within` them.
        """
        shrink = 1 / (1 + within * self.sizes)
        q = sum(count * n * s for count, n, s in zip(self.counts, self.sizes, shrink, strict=True))
        u = sum(sums * s for sums, s in zip(self.listener_sums, shrink, strict=True))
        cross = self.total - sum(within * s * product for product, s in zip(self.products, shrink, strict=True))
        cross = cross - (u.T * (between / (1 + between * q))) @ u
        factor = np.linalg.cholesky(cross[:-1, :-1])
        inverse = np.linalg.inv(cross[:-1, :-1])
        coefficients = inverse @ cross[:-1, -1]
        residual = float(cross[-1, -1] - cross[:-1, -1] @ coefficients) / self.degrees
        log_h = sum(count.sum() * np.log(1 / s) for count, s in zip(self.counts, shrink, strict=True))
        log_h += np.log1p(between * q).sum()
        return coefficients, inverse, residual, float(log_h + 2 * np.log(np.diag(factor)).sum())

    def criterion(self, between: float, within: float) -> float:
        """-2 log restricted likelihood, without its constant."""
        try:
            _, _, residual, determinants = self.solve(between, within)
        except np.linalg.LinAlgError:
            return float("inf")
        # A residual within the rounding error of the sums means that the fixed effects explain everything.
        if residual <= 1e-12 * self.total[-1, -1]:
            return float("nan")
        return self.degrees * np.log(residual) + determinants

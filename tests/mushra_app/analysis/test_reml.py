"""REML against statsmodels, on ratings of different items by different listeners."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.regression.mixed_linear_model import VCSpec

from earmark.mushra_app.analysis import reml


def unbalanced(seed: int, listeners: int = 9, conditions: int = 4, items: int = 6) -> tuple[np.ndarray, ...]:
    """Ratings of which a third is missing: y, fixed effects of the conditions, and listener and cell of each rating."""
    rng = np.random.default_rng(seed)
    listener, condition, _ = (index.ravel() for index in np.indices((listeners, conditions, items)))
    y = 50 + 10 * condition + rng.normal(0, 7, listeners)[listener]
    y = y + rng.normal(0, 5, (listeners, conditions))[listener, condition] + rng.normal(0, 4, len(y))
    kept = rng.random(len(y)) < 2 / 3
    cells = np.unique(listener[kept] * conditions + condition[kept], return_inverse=True)[1]
    return y[kept], np.eye(conditions)[condition[kept]], listener[kept], cells


@pytest.mark.parametrize("seed", range(4))
def test_fit_equals_that_of_statsmodels(seed):
    y, x, listener, cell = unbalanced(seed)
    conditions = x.argmax(1)
    parts = [np.eye(x.shape[1])[conditions[listener == number]] for number in range(listener.max() + 1)]
    names = [[str(number) for number in range(x.shape[1])]] * len(parts)
    model = sm.MixedLM(y, x, groups=listener, exog_re=np.ones((len(y), 1)), exog_vc=VCSpec(["cell"], [names], [parts]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = model.fit(reml=True, method="powell", xtol=1e-8, ftol=1e-12)
    fit = reml.fit(y, x, listener, cell)
    np.testing.assert_allclose(fit.coefficients, expected.fe_params, rtol=1e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), expected.bse_fe, rtol=1e-3)
    variances = [fit.listener, fit.cell, fit.residual]
    np.testing.assert_allclose(variances, [expected.cov_re[0, 0], expected.vcomp[0], expected.scale], rtol=2e-3)


def test_ratings_without_noise_raise():
    _, x, listener, cell = unbalanced(0)
    with pytest.raises(ValueError, match="did not converge"):
        reml.fit(x @ np.arange(4.0), x, listener, cell)

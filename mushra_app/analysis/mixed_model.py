"""Linear mixed model of the ratings: fixed effects of condition and item, random effects of listener, by REML."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student

from earmark.mushra_app.analysis import reml

MOST_ITEMS = 150  # each is a column of the fixed effects


@dataclass(frozen=True)
class MixedModel:
    """Fit of score = condition + item + (listener) + (listener x condition) + error, terms in brackets random.

    Args:
        means: condition, mixed_mean, mixed95_low, mixed95_high: means for the average item, with intervals by
            Student's t with (listeners - 1) degrees of freedom, cut at the ends of the scale; empty if the model was
            not fitted. The model has the same variances in all conditions. The ratings of the hidden reference
            cluster at 100, so its interval is too wide.
        sd_listener, sd_listener_condition, sd_residual: standard deviations of the random terms, in scale points.
        reason: why the model was not fitted, or "".
    """

    means: pd.DataFrame
    sd_listener: float = float("nan")
    sd_listener_condition: float = float("nan")
    sd_residual: float = float("nan")
    reason: str = ""


def fit(frame: pd.DataFrame) -> MixedModel:
    """Fit the model, if there are enough ratings.

    Args:
        frame: ratings: listener, item, condition, score.
    """
    listeners, items, conditions = (frame[name].nunique() for name in ("listener", "item", "condition"))
    if listeners < 3:
        return _unfitted("it needs at least three listeners")
    if items < 2 or conditions < 2:
        return _unfitted("it needs at least two items and two conditions")
    if items > MOST_ITEMS:
        return _unfitted(f"it is fitted to at most {MOST_ITEMS} items")
    if frame["score"].nunique() == 1:
        return _unfitted("all scores are the same")
    frame = frame.sort_values(["listener", "condition"], kind="stable")
    condition = pd.Categorical(frame["condition"])
    fixed = np.hstack([np.eye(conditions)[condition.codes], _sum_coded(frame["item"])])
    if np.linalg.matrix_rank(fixed) < fixed.shape[1]:
        return _unfitted("some conditions were rated with some items only, so their effects cannot be separated")
    listener = pd.factorize(frame["listener"])[0]
    cell = pd.factorize(listener * conditions + condition.codes)[0]
    try:
        fitted = reml.fit(frame["score"].to_numpy(float), fixed, listener, cell)
    except ValueError as error:
        return _unfitted(str(error))
    estimates = fitted.coefficients[:conditions]
    half_width = student.ppf(0.975, listeners - 1) * np.sqrt(np.diag(fitted.covariance)[:conditions])
    means = pd.DataFrame(
        {
            "condition": condition.categories.astype("str"), "mixed_mean": estimates,
            "mixed95_low": np.clip(estimates - half_width, 0, 100),
            "mixed95_high": np.clip(estimates + half_width, 0, 100),
        }
    )  # fmt: skip
    return MixedModel(means, *np.sqrt([fitted.listener, fitted.cell, fitted.residual]).tolist())


def _sum_coded(items: pd.Series[str]) -> np.ndarray:
    """Sum-to-zero coding of the items, [ratings, items - 1], so that condition effects are means over items."""
    codes = pd.Categorical(items).codes
    count = codes.max() + 1
    return np.vstack([np.eye(count - 1), -np.ones(count - 1)])[codes]


def _unfitted(reason: str) -> MixedModel:
    empty = pd.DataFrame(columns=["condition", "mixed_mean", "mixed95_low", "mixed95_high"])
    return MixedModel(empty.astype({"condition": "str"} | dict.fromkeys(empty.columns[1:], float)), reason=reason)
